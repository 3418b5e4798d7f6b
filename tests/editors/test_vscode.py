"""The extension in a real VS Code: colours, findings from the language server, and what it says without satdsl.

Needs `make editors-in-vscode`, which installs a headless VS Code from npm, playwright, and a Chromium.
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
        not (SERVER.exists() and PACKED.exists()), reason="needs a headless VS Code: `make editors-in-vscode`"
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


def colour(page: Any, word: str) -> str:
    """The colour of the first piece of coloured text that has a word."""
    script = """word => {
      const pieces = [...document.querySelectorAll('.view-line span span')];
      const found = pieces.find(piece => piece.innerText.includes(word));
      return found ? getComputedStyle(found).color : '';
    }"""
    return str(page.evaluate(script, word))


def test_a_specification_is_coloured_and_the_lack_of_satdsl_is_told(address, browser, tmp_path):
    folder = project(tmp_path / "bare", "first.sat", FIRST, with_satdsl=False)
    page = opened(browser, address, folder, "first.sat")
    page.wait_for_function("() => document.querySelectorAll('.view-line span[class*=mtk]').length > 60", timeout=PATIENCE)
    keywords = {colour(page, word) for word in ("dataset", "train", "split", "hardest", "snapshots")}
    others = {colour(page, word) for word in ("Never", '"Thirty', "0.05", "small_cnn", "entropy")}
    assert len(keywords) == 1
    assert "" not in others | keywords
    assert not keywords & others
    assert len({colour(page, word) for word in ("Never", '"Thirty', "0.05", "small_cnn")}) == 4
    told = page.wait_for_selector("text=neither in this folder", timeout=PATIENCE)
    assert "satdsl" in told.inner_text()
    assert page.get_by_text("Copy install command").is_visible()
    page.close()


@serving
def test_a_mistake_is_underlined_while_it_is_there(address, browser, tmp_path):
    folder = project(tmp_path / "wrong", "first.sat", FIRST.replace("snapshot-entropy", "snapshot-entrpy"))
    page = opened(browser, address, folder, "first.sat")
    page.wait_for_selector(".squiggly-error", timeout=PATIENCE)
    page.keyboard.press("Control+Shift+M")
    page.wait_for_selector("text=snapshot-entrpy", timeout=PATIENCE)
    listed = page.locator(".markers-panel").inner_text()
    assert "snapshot-entropy" in listed
    assert "E202" in listed or "satdsl" in listed
    (folder / "first.sat").write_text(FIRST, "utf-8")
    page.wait_for_selector(".squiggly-error", state="detached", timeout=PATIENCE)
    page.close()


@serving
def test_sizes_of_subsets_stand_beside_them(address, browser, tmp_path):
    page = opened(browser, address, project(tmp_path / "right", "first.sat", FIRST), "first.sat")
    page.wait_for_selector("text=431 examples", timeout=PATIENCE)
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
