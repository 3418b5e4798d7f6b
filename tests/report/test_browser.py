"""The page in a browser: what its script does for who points, types, and reads in the dark.

Needs playwright (`pip install playwright`) and a Chromium, the path in $CHROMIUM or one on the search path.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_results import at, rows, study_in

from satdsl.ir.plan import Display
from satdsl.ir.steps import CatalogCall
from satdsl.report.load_report import load_report
from satdsl.report.report_folder import write

sync = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
LONG = "trained_on_the_hardest_examples_by_a_score_that_has_a_long_name"
PGD = CatalogCall("pgd", (("norm", "L2"), ("eps", 0.5), ("steps", 7), ("step_size", 0.1), ("restarts", 1)))
RIGHT = {"10%": 27, "50%": 9, "90%": 30}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: say where in $CHROMIUM")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report with a line plot of three points, and eight trainings on the same axes."""
    folder = tmp_path_factory.mktemp("report")
    study = study_in(folder)
    study.axes = {"share": tuple(RIGHT)}
    for number, (share, right) in enumerate(RIGHT.items()):
        tested = study.evaluation(rows(right, 36 - right), seed=number, attacks=("apgd-ce", "fab-t"))
        study.accuracy("sat.robust", tested, at=(("share", share),))
    study.accuracy("full.robust", study.evaluation(rows(30, 6), seed=7))
    study.displays = [Display("Robust", "line", (at("sat.robust"),), x="share", baselines=(at("full.robust"),))]
    study.claim(at("sat.robust", share="90%"), ">", at("sat.robust", share="50%"))
    for number, name in enumerate((LONG, f"another_{LONG}")):
        study.accuracy(f"{name}.clean", study.evaluation(rows(30, 6), seed=8 + number))
        study.accuracy(f"{name}.robust", study.evaluation(rows(20, 16), seed=8 + number, attack=PGD))
    part = {"n": 36, "loss": 1.0, "accuracy": 0.5}
    epochs = [part | {"subsets": [part], "attacked": 0, "seconds": 1.0, "epoch": i, "lr": 0.1} for i in (1, 2, 3)]
    trained = tuple(((("lr", str(lr)),), study.training(epochs, lr=lr).key) for lr in range(1, 9))
    plan = replace(study.plan, named={"sat": trained})
    return write(load_report(plan, study.store), folder / "out").resolve().as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield started
        started.close()


@pytest.fixture
def tab(browser: Any, report: str) -> Iterator[Any]:
    """The page; that it complains of nothing and loads nothing holds whatever a test does with it."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    complaints, loaded = [], []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: loaded.append(request.url))
    opened.goto(report)
    yield opened
    opened.close()
    assert complaints == []
    assert {url for url in loaded if not url.startswith("data:")} == {report}


def shares(tab: Any) -> list[str]:
    return tab.locator("#d1 tbody:not(.foot) th").all_inner_texts()


def ground(tab: Any) -> str:
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")


def test_a_click_sorts_up_down_and_back_and_the_baseline_stays_below(tab: Any) -> None:
    head = tab.get_by_role("columnheader", name="sat.robust")
    orders = []
    for _ in range(3):
        head.get_by_role("button").click()
        orders.append((head.get_attribute("aria-sort"), shares(tab)))
    assert orders == [
        ("ascending", ["50%", "10%", "90%"]),
        ("descending", ["90%", "10%", "50%"]),
        ("none", ["10%", "50%", "90%"]),
    ]
    assert tab.locator("#d1 tbody").last.inner_text().startswith("full.robust")


def test_the_enter_key_sorts_and_says_so(tab: Any) -> None:
    tab.get_by_role("columnheader", name="sat.robust").get_by_role("button").press("Enter")
    assert shares(tab) == ["50%", "10%", "90%"]
    assert tab.locator("#said").inner_text() == "sorted by sat.robust, ascending"


def test_a_point_says_its_numbers_on_hover(tab: Any) -> None:
    tip = tab.locator("#tip")
    assert not tip.is_visible()
    tab.locator("#d1 .point").nth(1).locator(".hit").hover()
    assert tip.inner_text().startswith("sat.robust, share=50%: 25.0 % (n=36, 95 % interval")
    box = tip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280


def test_the_arrow_keys_go_from_point_to_point(tab: Any) -> None:
    tab.locator("#d1 svg .point").first.focus()
    said = []
    for _ in range(3):
        said.append(tab.locator("#tip").inner_text().split(":")[0])
        tab.keyboard.press("ArrowRight")
    assert said == [f"sat.robust, share={share}" for share in RIGHT]
    tab.keyboard.press("Escape")
    assert not tab.locator("#tip").is_visible()


def test_a_figure_is_one_stop_of_the_tab_key(tab: Any) -> None:
    assert tab.locator("#d1 svg [tabindex='0']").count() == 1


def test_the_page_is_as_dark_as_the_system_and_the_button_gives_the_other(tab: Any) -> None:
    light = ground(tab)
    tab.emulate_media(color_scheme="dark")
    dark = ground(tab)
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(13, 17, 23)")
    tab.get_by_role("button", name="Light theme").click()
    assert ground(tab) == light
    tab.reload()
    assert ground(tab) == light, "the choice is kept"


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_of_the_page_is_wider_than_the_window(tab: Any, width: int, scheme: str) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=scheme)
    tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_figures_stay_readable_on_a_narrow_screen(tab: Any) -> None:
    tab.set_viewport_size({"width": 400, "height": 900})
    tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
    sizes = """all => all.map((one) => {
        const to = one.getScreenCTM();
        return parseFloat(getComputedStyle(one).fontSize) * Math.hypot(to.a, to.b);
    })"""
    assert min(tab.locator(".figure svg text").evaluate_all(sizes)) >= 9, "in pixels"
    outside = """all => all.filter((one) => {
        const own = one.getBoundingClientRect(), figure = one.closest("svg").getBoundingClientRect();
        return own.left < figure.left - 1 || own.right > figure.right + 1 || own.bottom > figure.bottom + 1;
    }).map((one) => one.textContent)"""
    assert tab.locator(".figure svg text").evaluate_all(outside) == [], "all of a figure is seen at once"


def test_the_reader_chooses_whose_learning_curves_are_shown(tab: Any) -> None:
    boxes, lines, ends = (tab.locator(f"#compared {of}") for of in ("input", "[id$='-0-mean']", "svg .epoch"))
    shown = "all => all.filter((one) => one.style.display !== 'none').length"
    counts = [len({*boxes.evaluate_all("all => all.map((one) => one.dataset.series)")})]
    counts += [found.evaluate_all(shown) for found in (lines, ends)]
    assert counts == [8, 6, 12], "of each training the loss and the accuracy after the last epoch"
    boxes.last.focus()
    tab.keyboard.press("Space")
    boxes.first.uncheck()
    assert [found.evaluate_all(shown) for found in (lines, ends)] == [6, 12]
    tab.locator("#compared svg [tabindex='0']").focus()
    said = []
    for _ in range(6):
        said.append(tab.locator("#tip").inner_text().split(":")[0])
        tab.keyboard.press("ArrowRight")
    assert said == [f"sat[lr={lr}]" for lr in (2, 3, 4, 5, 6, 8)]


def test_links_to_the_files_lead_to_files(tab: Any) -> None:
    links = tab.locator("#d1 a, nav .quiet a").evaluate_all("all => all.map((one) => one.href)")
    files = [Path(link.removeprefix("file://")) for link in links if "#" not in link]
    assert len(files) == 8
    assert all(file.is_file() for file in files)
