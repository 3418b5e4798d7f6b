"""The extension in a real VS Code: colours, findings from the language server, and what it says without satdsl.

Needs `make -C editors in-vscode`, which installs a headless VS Code from npm, playwright, and a Chromium.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vs_code import CHROMIUM, PACKED, PATIENCE, SERVER, opened, project, served
from words_in_place import specified

sync = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: say where in $CHROMIUM"),
    pytest.mark.skipif(
        not (SERVER.exists() and PACKED.exists()), reason="needs a headless VS Code: `make -C editors in-vscode`"
    ),
]

serving = pytest.mark.skipif(
    importlib.util.find_spec("satdsl.lsp") is None or importlib.util.find_spec("pygls") is None,
    reason="needs satdsl's language server",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("vscode")) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


FIRST = specified("first").read_text("utf-8")


BEGIN = ["dataset", "train", "split", "expect"]
INSIDE = ["hardest", "examples", "using", "by"]
OTHERS = ["# Never", '"Thirty', "0.05", "small_cnn", "snapshot-entropy"]

TOLD_APART = """groups => {
  const pieces = [...document.querySelectorAll('.view-line span span')];
  const text = piece => piece.innerText.replaceAll('\\u00a0', ' ').trimStart();
  const places = groups.map(words => words.map(word => pieces.find(piece => text(piece).startsWith(word))));
  if (places.flat().includes(undefined)) return false;
  const [begin, inside, others] = places.map(found => new Set(found.map(piece => getComputedStyle(piece).color)));
  return begin.size === 1 && inside.size === 1 && others.size >= 4 && !others.has(...begin) && !others.has(...inside);
}"""


def test_a_specification_is_coloured_and_the_lack_of_satdsl_is_told(address, browser, tmp_path):
    folder = project(tmp_path / "bare", "first.sat", FIRST, with_satdsl=False)
    page = opened(browser, address, folder, "first.sat")
    page.wait_for_function(TOLD_APART, arg=[BEGIN, INSIDE, OTHERS], timeout=PATIENCE)
    told = page.wait_for_selector("text=neither in this folder", timeout=PATIENCE)
    assert "satdsl" in told.inner_text()
    assert page.get_by_text("Copy install command").is_visible()
    page.close()


@serving
def test_a_mistake_is_underlined_while_it_is_there(address, browser, tmp_path):
    folder = project(tmp_path / "wrong", "first.sat", FIRST.replace("snapshot-entropy", "snapshot-entrpy"))
    page = opened(browser, address, folder, "first.sat")
    page.wait_for_selector(".squiggly-error", state="attached", timeout=PATIENCE)
    page.keyboard.press("Control+Shift+M")
    page.wait_for_selector("text=snapshot-entrpy", timeout=PATIENCE)
    listed = page.locator(".markers-panel").inner_text()
    assert "snapshot-entropy" in listed
    assert "E202" in listed or "satdsl" in listed
    (folder / "first.sat").write_text(FIRST, "utf-8")
    page.wait_for_selector(".squiggly-error", state="detached", timeout=PATIENCE)
    page.close()


@serving
def test_the_satdsl_of_a_folder_is_not_started_before_its_author_is_trusted(address, browser, tmp_path):
    folder = project(tmp_path / "foreign", "first.sat", FIRST)
    own = folder / ".venv" / "bin" / "satdsl"
    own.write_text(own.read_text().replace("PYTHONPATH", f'touch "{folder / "started"}"\nPYTHONPATH'))
    page = opened(browser, address, folder, "first.sat", trusted=False)
    page.wait_for_selector("text=Do you trust the authors", timeout=PATIENCE)
    page.wait_for_timeout(3000)
    assert not (folder / "started").exists()
    page.get_by_text("Yes, I trust the authors").click()
    page.wait_for_selector("text=431 examples", timeout=PATIENCE)
    assert (folder / "started").exists()
    page.close()


def test_the_packed_extension_has_what_it_names():
    with zipfile.ZipFile(PACKED) as packed:
        inside = {Path(name).relative_to("extension") for name in packed.namelist() if name.startswith("extension/")}
        manifest = json.loads(packed.read("extension/package.json"))
    named = [manifest["main"], manifest["icon"]]
    named += [entry["path"] for entry in manifest["contributes"]["grammars"] + manifest["contributes"]["snippets"]]
    named += [entry["configuration"] for entry in manifest["contributes"]["languages"]]
    named += [path for entry in manifest["contributes"]["languages"] for path in entry["icon"].values()]
    assert {Path(name) for name in named} <= inside
