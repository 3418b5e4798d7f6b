"""The HTML page of a report: what is on it, in which order, and that it is whole, accessible and self-contained."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from made_up_results import Study, at, compare, rows, study_in
from pages import Element, parsed

from satdsl.findings import Finding, Source, Span
from satdsl.ir.plan import Claim, Display, Plan, Published
from satdsl.report.drawing_cache import DrawingCache
from satdsl.report.example_images import PAGE_BYTES, Example, Picture, within_page
from satdsl.report.figure import Figure
from satdsl.report.load_report import load_report
from satdsl.report.page import page
from satdsl.report.report_folder import write
from satdsl.report.run_context import RunContext, read_run_context
from satdsl.report.source_listing import source_listings

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
NASTY = """</title><script>alert("1")</script> & 'all' <b>"""
SPEC = Source("spec/made_up.sat", 'sat 1\n\n# why < this\ntitle "made up"\nsweep { share = [10%, 90%] }\n')
SHARES = ("10%", "90%")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two points, a baseline, a measure by class, one evaluation that is not run, and what goes with them."""
    made = study_in(tmp_path)
    made.axes = {"share": SHARES}
    right = {"10%": 9, "90%": 27}
    for number, share in enumerate(SHARES):
        tested = made.evaluation(
            rows(right[share], 36 - right[share]), seed=number, attacks=("apgd-ce", "fab-t"), warnings=(NASTY,)
        )
        made.accuracy("sat.robust", tested, at=(("share", share),))
        missing = made.evaluation(None, seed=number, lr=0.7)
        made.accuracy("sat.clean", missing, at=(("share", share),))
    made.accuracy("full.robust", made.evaluation(rows(30, 6), seed=7))
    made.results[0] = replace(made.results[0], file="spec/made_up.sat", line=3)
    made.displays = [
        Display("Robust", "line", (at("sat.robust"),), x="share", baselines=(at("full.robust"),)),
        Display("All of it", "rows", (at("sat.robust"), at("sat.clean")), file="spec/made_up.sat", line=4),
        Display("Of nothing", "rows", (at("gone.robust"),)),
    ]
    made.claim(at("sat.robust", share="90%"), ">", at("sat.robust", share="10%"))
    several = tuple(replace(compare(at("sat.robust", share=s), ">", 0.5), at=(("share", s),)) for s in SHARES)
    made.claims.append(Claim("more than half everywhere", several, "spec/made_up.sat", 4))
    return made


def html(study: Study, plan: Plan | None = None, **settings: Any) -> str:
    plan = plan or study.plan
    context = read_run_context(plan, study.store, [SPEC], "satdsl run spec/made_up.sat")
    return page(load_report(plan, study.store), context, NOON, **settings)


def shown(study: Study, plan: Plan | None = None, **settings: Any) -> Element:
    return parsed(html(study, plan, **settings))


def section(root: Element, id: str) -> Element:
    (found,) = root.all("section", id=id)
    return found


def words(element: Element) -> str:
    return " ".join(element.text.split())


# --- what is there -------------------------------------------------------------------------------


def test_the_parts_stand_in_this_order_verdicts_first(study: Study) -> None:
    ids = [one.attributes["id"] for one in shown(study).all("section") if "id" in one.attributes]
    parts = ["claims", "figures", "d1", "tables", "d2", "d3", "results", "warnings", "broken", "plan", "environment"]
    assert ids == [*parts, "specification"]


def test_the_contents_lead_to_every_part_and_every_display(study: Study) -> None:
    root = shown(study)
    (contents,) = root.all("nav")
    led = [one.attributes["href"][1:] for one in contents.all("a") if one.attributes["href"].startswith("#")]
    assert led == [one.attributes["id"] for one in root.all("section") if "id" in one.attributes]


def test_every_display_is_there_with_its_numbers_and_baselines_stay_below(study: Study) -> None:
    root = shown(study)
    for number, display in enumerate(study.displays):
        assert display.title in section(root, f"d{number + 1}").text
    body, foot = section(root, "d1").all("tbody")
    assert [[cell.text for cell in row.inside] for row in body.all("tr")] == [["10%", "25.0"], ["90%", "75.0"]]
    assert [[cell.text for cell in row.inside] for row in foot.all("tr")] == [["full.robust", "83.3"]]
    assert [cell.attributes["data-key"] for cell in body.all("td")] == ["0.25", "0.75"]
    assert "not run" in section(root, "d2").text


def test_a_display_that_chooses_no_result_says_so_and_hides_nothing_else(study: Study) -> None:
    (problem,) = section(shown(study), "d3").all("p", class_="problem")
    assert '"Of nothing" shows gone.robust, which has no value there' in problem.text


def test_a_claim_has_its_verdict_in_words_its_figures_and_its_line(study: Study) -> None:
    claims = section(shown(study), "claims")
    (first,), (second,) = claims.all("li", class_="holds"), claims.all("li", class_="fails")
    assert "holds a claim" in words(first)
    assert "75.0 % > 25.0 %: difference +50.0 points" in words(first)
    assert "more than half everywhere" in words(second)
    assert [one.attributes["href"] for one in second.all("a")] == ["#made_up.sat-L4"]


def test_a_claim_shows_the_condition_that_is_checked(study: Study) -> None:
    study.claims = [replace(study.claims[0], condition="sat.robust[share=90%] > sat.robust[share=10%]")]
    (shown_,) = section(shown(study), "claims").all("p", class_="condition")
    assert shown_.text == "sat.robust[share=90%] > sat.robust[share=10%]"


def test_a_figure_says_what_its_vertical_lines_stand_for(study: Study) -> None:
    assert "Vertical lines: 95 % intervals, from the number of images." in section(shown(study), "d1").text
    assert "Vertical lines" not in section(shown(study), "d2").text


def test_all_results_stand_beside_what_is_published_for_them(study: Study) -> None:
    heads = [one.text for one in section(shown(study), "results").all("th", scope="col")]
    assert "published" not in heads
    study.published = [Published("full.robust", (), 0.875, "figure 6")]
    results = section(shown(study), "results")
    assert [one.text for one in results.all("th", scope="col")][-2:] == ["published", "asked for in"]
    (row,) = (words(row) for row in results.all("tr") if words(row).startswith("full.robust"))
    assert row.endswith("87.5 %")


def test_a_claim_over_many_points_folds_under_how_many_of_them_hold(study: Study) -> None:
    (fold,) = section(shown(study), "claims").all("details")
    assert words(fold.all("summary")[0]) == "1 holds 1 fails at 2 points"
    assert [words(one)[:16] for one in fold.all("li")] == ["fails share=10% ", "holds share=90% "]


def test_results_displays_and_claims_lead_to_their_lines_of_the_specification(study: Study) -> None:
    root = shown(study)
    ids = {one.attributes["id"] for one in root.inside if "id" in one.attributes}
    for id in ("results", "d2", "claims"):
        leads = [one.attributes["href"] for one in section(root, id).all("a") if "-L" in one.attributes["href"]]
        assert leads
        assert {lead[1:] for lead in leads} <= ids
    (row,) = (one for one in root.all("span") if one.attributes.get("id") == "made_up.sat-L4")
    assert row.text == 'title "made up"\n'


def test_the_run_says_how_far_it_is_and_how_to_go_on(study: Study) -> None:
    (status,) = shown(study).all("section", class_="unfinished")
    steps = study.plan.steps
    stored = sum(study.store.has(key) for key in steps)
    assert 0 < stored < len(steps)
    done = re.search(r"Not finished: (\d+) of (\d+) steps done", words(status))
    assert done
    assert stored <= int(done[1]) < int(done[2]) == len(steps)
    assert "satdsl run spec/made_up.sat" in status.text


def test_a_page_of_nothing_says_what_is_missing_and_how_to_run_it(tmp_path: Path, study: Study) -> None:
    study.store = study_in(tmp_path / "empty").store
    root = shown(study)
    (status,) = root.all("section", class_="unfinished")
    assert re.search(r"Nothing is stored yet: 0 of \d+ steps done", words(status))
    assert "satdsl run spec/made_up.sat" in status.text
    assert "not run" in section(root, "claims").text
    assert not root.all("section", id="environment")


def test_a_smoke_run_says_so_before_anything_else_and_a_real_one_does_not(study: Study) -> None:
    smoked = shown(study, replace(study.plan, smoke=("share: 2 of 9 values", "one draw")))
    (banner,) = smoked.all("section", class_="smoke")
    assert [one.text for one in banner.all("li")] == ["share: 2 of 9 values", "one draw"]
    assert smoked.all("section")[0] is banner
    assert not shown(study).all("section", class_="smoke")


def test_the_environment_has_versions_and_no_host(study: Study) -> None:
    import platform
    import socket

    text = html(study)
    assert f"<td>{platform.python_version()}</td>" in section_html(text, "environment")
    assert socket.gethostname() not in section_html(text, "environment")


def section_html(text: str, id: str) -> str:
    return text[text.index(f'<section id="{id}"') :]


# --- whole, accessible, self-contained -----------------------------------------------------------


def test_every_id_is_unique_and_every_reference_to_one_is_answered(study: Study) -> None:
    root = shown(study)
    ids = [one.attributes["id"] for one in root.inside if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    asked = [one.attributes["href"][1:] for one in root.all("a") if one.attributes["href"].startswith("#")]
    asked += [one.attributes["aria-labelledby"] for one in root.inside if "aria-labelledby" in one.attributes]
    assert set(asked) <= set(ids)


def test_every_table_has_a_caption_and_every_head_a_scope(study: Study) -> None:
    root = shown(study)
    assert len(root.all("table")) > 5
    for table in root.all("table"):
        (caption,) = table.all("caption")
        assert words(caption)
    assert all(head.attributes["scope"] in ("col", "row") for head in root.all("th"))


def test_headings_descend_by_one_and_there_is_one_main_and_one_title(study: Study) -> None:
    root = shown(study)
    levels = [int(one.tag[1]) for one in root.inside if re.fullmatch(r"h\d", one.tag) and "svg" not in one.parents]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(root.all("main")) == len(root.all("header")) == len(root.all("nav")) == 1
    assert root.all("a")[0].has({"class": "skip"})


@pytest.mark.parametrize("refresh", [None, 5.0])
def test_nothing_is_loaded_from_anywhere(study: Study, refresh: float | None) -> None:
    text = html(study, refresh=refresh)
    root = parsed(text)
    for one in root.inside:
        assert one.tag != "link"
        assert "srcset" not in one.attributes
        assert one.attributes.get("src", "data:").startswith("data:")
        if one.tag in ("use", "image"):
            assert one.attributes.get("href", one.attributes.get("xlink:href", "#")).startswith(("#", "data:"))
    assert not re.search(r"@import|url\((?!#|['\"]?#)|fetch\(|XMLHttpRequest", text)
    (policy,) = (one for one in root.all("meta") if one.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'; img-src data:;")


def test_text_of_the_specification_cannot_become_part_of_the_page(study: Study) -> None:
    study.displays[0] = replace(study.displays[0], title=NASTY)
    study.claims[0] = replace(study.claims[0], text=NASTY)
    plan = replace(study.plan, title=NASTY, smoke=(NASTY,))
    context = replace(
        read_run_context(plan, study.store), sources=[Source("x.sat", f"# {NASTY}\n")], resume_command=NASTY
    )
    text = page(load_report(plan, study.store), context, NOON)
    assert NASTY not in text
    root = parsed(text)
    assert "alert" not in "".join(one.text for one in root.all("script"))
    assert root.all("h1")[0].text == root.all("title")[0].text == NASTY
    for id in ("claims", "d1", "warnings", "specification"):
        assert NASTY in section(root, id).text


def test_the_same_store_gives_the_same_page_but_for_the_date(study: Study) -> None:
    again = html(study)
    assert html(study) == again
    report, context = load_report(study.plan, study.store), read_run_context(study.plan, study.store)
    later = page(report, context, NOON.replace(hour=13))
    assert later.replace("13:00", "12:00") == page(report, context, NOON)


# --- parts of it ---------------------------------------------------------------------------------


def test_a_listing_keeps_every_character_and_marks_words_as_the_language_reads_them() -> None:
    text = 'attack p = pgd(eps=8/255) # "no string"\ntrain t = title on d { attack all with p }\ntitle "a # b <i>"\n'
    (listing,) = source_listings([Source("a/b.sat", text)])
    assert "\n".join(line.striptags() for line in listing.lines) + "\n" == text
    marked = [re.findall(r'class="(\w+)">([^<]*)<', line) for line in listing.lines]
    assert marked[0] == [
        ("keyword", "attack"),
        ("number", "8"),
        ("number", "255"),
        ("comment", "# &#34;no string&#34;"),
    ]
    assert [word for kind, word in marked[1] if kind == "keyword"] == ["train", "on", "attack", "with"]
    assert marked[2] == [("keyword", "title"), ("string", "&#34;a # b &lt;i&gt;&#34;")]


def test_files_of_one_name_have_anchors_of_their_own() -> None:
    paths = ("spec/a.sat", "spec/b/a.sat", "spec/b-a.sat", "c.sat")
    found = source_listings([Source(path, "sat 1\n") for path in paths])
    assert [one.name for one in found] == ["a.sat", "b/a.sat", "b-a.sat", "../c.sat"]
    assert len({one.line_id(1) for one in found}) == 4


def test_files_are_whole_at_every_moment_and_nothing_is_left_beside_them(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = load_report(study.plan, study.store)
    place = write(report, tmp_path / "out", when=NOON)
    before = place.read_text("utf-8")

    def torn(self: Path, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(OSError, match="No space"):
        write(report, tmp_path / "out", RunContext(), when=NOON.replace(hour=13))
    monkeypatch.undo()
    assert place.read_text("utf-8") == before
    there = {path.name for path in place.parent.iterdir()} - {"figures"}
    assert there == {"report.html", "results.csv", "results.json", "curves.csv"}


def test_example_images_beyond_what_a_page_can_carry_are_left_out_one_point_of_each_result_first() -> None:
    third = b"x" * (PAGE_BYTES // 12 * 3 // 4)
    picture = Picture(0, "cat", "cat", "dog", "broken by pgd", third, third, third)
    found = [
        Example(name, (("draw", str(i)),), "digits", "pgd", "key", 1, (picture,))
        for name in ("a", "b")
        for i in range(3)
    ]
    kept = within_page(found)
    assert [(one.result, dict(one.point)["draw"]) for one in kept] == [("a", "0"), ("a", "1"), ("b", "0"), ("b", "1")]


def test_a_figure_is_drawn_anew_when_its_numbers_change_and_only_then(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def svg(figure: Figure, prefix: str) -> str:
        drawn.append(prefix)
        return f'<svg id="{prefix}"></svg>'

    monkeypatch.setattr(Figure, "inline_svg", svg)
    drawings, report = DrawingCache(), load_report(study.plan, study.store)
    plot = study.displays[0]
    for _ in range(2):
        assert drawings.figure(Figure(plot, report.plan, report.results), "d1") == '<svg id="d1"></svg>'
    assert drawn == ["d1"]
    changed = [replace(one, value=0.5) if one.result == "full.robust" else one for one in report.results]
    drawings.figure(Figure(plot, report.plan, changed), "d1")
    drawings.figure(Figure(replace(plot, x=None), report.plan, changed), "d1")
    assert drawn == ["d1"] * 3
    elsewhere = [replace(one, value=0.5) if one.result == "sat.clean" else one for one in changed]
    drawings.figure(Figure(replace(plot, x=None), report.plan, elsewhere), "d1")
    assert drawn == ["d1"] * 3
    assert drawings.figure(Figure(study.displays[1], report.plan, report.results), "d2") is None


# --- in a browser --------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

FIRST = """<script>
const seen = { errors: [], refused: [] };
addEventListener("error", (event) => seen.errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => seen.refused.push(event.blockedURI));
</script>"""

LAST = """<script>
const column = (table, i) => [...table.rows].slice(1).map((row) => row.cells[i].textContent.trim());
const steps = document.querySelector("#d1 table"), heads = [...steps.tHead.rows[0].cells];
const press = (i) => { heads[i].querySelector("button").click(); return [column(steps, 1), heads[i].ariaSort]; };
seen.sorted = [press(1), press(1), press(1)];
seen.others = heads[0].ariaSort;
seen.buttons = heads.map((head) => head.querySelector("button").tabIndex);
seen.said = document.getElementById("said").textContent;
const ground = () => getComputedStyle(document.body).backgroundColor;
const light = ground();
document.getElementById("theme").click();
seen.themes = [light, ground(), document.getElementById("theme").textContent];
seen.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
document.body.innerHTML = "";
document.body.append(Object.assign(document.createElement("pre"), { textContent: JSON.stringify(seen) }));
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium to open the page with")
def test_a_browser_sorts_switches_theme_and_finds_no_error_and_nothing_to_load(study: Study, tmp_path: Path) -> None:
    text = html(study).replace("<title>", FIRST + "<title>", 1).replace("</body>", LAST + "</body>")
    (tmp_path / "page.html").write_text(text, "utf-8")
    quiet = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    dumped = subprocess.run(
        [
            CHROMIUM,
            *quiet.split(),
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            str(tmp_path / "page.html"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r"<pre>(\{.*\})</pre>", dumped.stdout)
    assert found, dumped.stdout[-500:] + dumped.stderr[-500:]
    seen = json.loads(found[1])
    assert seen["errors"] == seen["refused"] == []
    up, down, back = ["25.0", "75.0", "83.3"], ["75.0", "25.0", "83.3"], ["25.0", "75.0", "83.3"]
    assert seen["sorted"] == [[up, "ascending"], [down, "descending"], [back, "none"]]
    assert seen["others"] == "none"
    assert seen["buttons"] == [0, 0]
    assert seen["said"] == "original order"
    assert seen["themes"] == ["rgb(255, 255, 255)", "rgb(13, 17, 23)", "Light theme"]
    assert seen["wide"] == 0


def test_warnings_that_the_specification_accepts_are_shown_with_their_reasons(study: Study) -> None:
    span = Span(SPEC, SPEC.line_starts[2], SPEC.line_starts[2] + 1)
    taken = Finding("E609", span, "a doubt", severity="warning", accepted="the question is <this>")
    other = Finding("E602", span, "another doubt", severity="warning")
    context = read_run_context(study.plan, study.store, [SPEC], findings=[taken, other])
    shown_there = section(parsed(page(load_report(study.plan, study.store), context, NOON)), "warnings")
    (item,) = [one for block in shown_there.all("ul", class_="accepted") for one in block.all("li")]
    assert "E609" in item.text
    assert "a doubt" in item.text
    assert "because the question is <this>" in item.text
    assert "another doubt" not in shown_there.text
    (link,) = item.all("a")
    assert link.attributes["href"].endswith("-L3")
