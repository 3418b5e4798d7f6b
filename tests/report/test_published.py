"""Published values beside the measured ones: in tables, in the list of results and in every export."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from made_up_results import Study, at, rows, study_in

from satdsl.ir.plan import Display, Published
from satdsl.report.figure import Figure
from satdsl.report.load_report import load_report
from satdsl.report.pivot import PivotTable
from satdsl.report.result_formats import to_csv, to_json, to_text
from satdsl.show.terminal import ruled_in_pieces, text

HARDEST_10 = (("order", "hardest"), ("share", "10%"))
RANDOM_10 = (("order", "random"), ("share", "10%"))
LINES = Display("Robust", "line", (at("sat.robust"),), x="share", series=("order",), mean=("draw",))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One draw of the hardest, two random ones, and a baseline."""
    study = study_in(tmp_path)
    study.axes = {"order": ("hardest", "random"), "share": ("10%",), "draw": ("0", "1")}
    for place, (order, draw, right) in enumerate([("hardest", "0", 52), ("random", "0", 40), ("random", "1", 44)]):
        point = (("order", order), ("share", "10%"), ("draw", draw))
        study.accuracy("sat.robust", study.evaluation(rows(right, 100 - right), lr=1 + place), at=point)
    study.accuracy("full.robust", study.evaluation(rows(69, 31), lr=9))
    return study


def shown(study: Study, display: Display = LINES) -> str:
    return text(ruled_in_pieces(figure_of(study, display).table))


def figure_of(study: Study, display: Display) -> Figure:
    report = load_report(study.plan, study.store)
    return Figure(display, report.plan, report.results)


def table_of(study: Study, display: Display) -> PivotTable:
    return figure_of(study, display).pivot


def test_a_cell_has_the_value_that_is_published_for_exactly_its_results(study: Study) -> None:
    study.published = [
        Published("sat.robust", HARDEST_10, 0.521, "figure 6"),
        Published("sat.robust", RANDOM_10, 0.41),
        Published("full.robust", (), 0.69),
    ]
    display = Display("Robust", "line", LINES.results, "share", None, ("order",), ("draw",), (at("full.robust"),))
    found = table_of(study, display)
    ((hardest, random),) = (row.cells for row in found.rows)
    ((_, baseline),) = found.baselines
    assert hardest is not None
    assert random is not None
    assert (hardest.published, hardest.source) == (0.521, "figure 6")
    assert (random.published, random.source) == (0.41, "")
    assert baseline.published == 0.69


def test_a_mean_over_draws_is_not_shown_beside_one_draw_nor_a_draw_beside_the_mean(study: Study) -> None:
    study.published = [Published("sat.robust", RANDOM_10, 0.41)]
    every_draw = Display("Robust", "rows", LINES.results)
    assert table_of(study, every_draw).published == []
    study.published = [Published("sat.robust", (*RANDOM_10, ("draw", "1")), 0.41)]
    assert table_of(study, LINES).published == []
    assert [cell.published for cell in table_of(study, every_draw).published] == [0.41]


def test_the_terminal_puts_what_is_published_in_brackets_and_says_so(study: Study) -> None:
    without = shown(study)
    assert "[" not in without
    assert "published" not in without
    study.published = [
        Published("sat.robust", HARDEST_10, 0.521, "figure 6"),
        Published("sat.robust", RANDOM_10, 0.405, "table 1"),
    ]
    assert (
        shown(study)
        == """\
Robust (%)
share       hardest              random
───────────────────────────────────────
10%     52.0 [52.1]   42.0 ± 2.8 [40.5]
±: standard deviation (n - 1) of the 2 values along draw; no interval of their
mean; a number without ± is one value
in brackets: published (figure 6, table 1)
"""
    )


def test_a_result_that_is_not_run_still_has_its_published_value(study: Study) -> None:
    study.accuracy("new.robust", study.evaluation(None, lr=20))
    study.published = [Published("new.robust", (), 0.5)]
    assert "not run [50.0]" in shown(study, Display("New", "rows", (at("new.robust"),)))


def test_scores_are_published_in_their_own_unit(study: Study) -> None:
    study.mean_score("ref.hardness", study.scored([0.5, 1.5]))
    study.published = [Published("ref.hardness", (), 1.25)]
    assert "1 [1.25]" in shown(study, Display("Hardness", "rows", (at("ref.hardness"),)))


def test_by_class_and_by_part_are_axes_like_others(study: Study) -> None:
    label = [0, 0, 1, 1, 2, 2]
    study.accuracy("sat.by_class", study.evaluation([1, 0, 1, 1, 0, 0], label=label, lr=30), by_class=True)
    study.published = [Published("sat.by_class", (("class", "dog"),), 0.9)]
    cells = table_of(study, Display("By class", "bars", (at("sat.by_class"),), x="class")).published
    assert [(cell.value, cell.published) for cell in cells] == [(1.0, 0.9)]


def test_exports_have_single_values_beside_their_results_and_json_the_means_too(study: Study) -> None:
    study.published = [
        Published("sat.robust", HARDEST_10, 0.521, "figure 6", "fig6.sat", 7),
        Published("sat.robust", RANDOM_10, 0.41, "", "fig6.sat", 8),
    ]
    report = load_report(study.plan, study.store)
    assert [line["published"] for line in csv.DictReader(io.StringIO(to_csv(report.results)))] == ["0.521", "", "", ""]
    document = json.loads(to_json(report))
    assert [one["published"] for one in document["results"]] == [0.521, None, None, None]
    assert document["published"][1] == {
        "result": "sat.robust",
        "at": {"order": "random", "share": "10%"},
        "published": 0.41,
        "source": "",
        "value": pytest.approx(0.42),
        "of": 2,
        "file": "fig6.sat",
        "line": 8,
    }
    lines = to_text(report).splitlines()
    assert lines[0].endswith("published")
    assert lines[2].endswith("52.1 %")
    assert "mean of sat.robust[order=random, share=10%]: 42.0 %, published 41.0 %" in lines


def test_the_mean_of_draws_that_are_not_all_run_has_no_value_yet(study: Study) -> None:
    point = (("order", "random"), ("share", "10%"), ("draw", "2"))
    study.accuracy("sat.robust", study.evaluation(None, lr=21), at=point)
    study.published = [Published("sat.robust", RANDOM_10, 0.41)]
    (only,) = json.loads(to_json(load_report(study.plan, study.store)))["published"]
    assert (only["value"], only["of"]) == (None, 3)
