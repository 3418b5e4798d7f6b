"""Values of one network under two names of its row: shown under both, counted once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up_results import Study, at, rows, study_in

from satdsl.ir.plan import Display, Published, Reduced
from satdsl.report.charts.xy_plot import series_layout
from satdsl.report.claims import verdicts
from satdsl.report.expressions import Expressions
from satdsl.report.load_report import load_report
from satdsl.report.pivot import DisplayedResults, PivotTable
from satdsl.report.results import measured
from satdsl.report.tables.rows import layout


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two trainings, of which one is both the first row and the last."""
    study = study_in(tmp_path)
    study.axes = {"trick": ("base", "decay", "batch"), "wd": ("5", "1")}
    first, second = (study.evaluation(rows(right, 100 - right), lr=right) for right in (60, 90))
    for trick, wd, step in (("base", "5", first), ("decay", "1", second), ("batch", "5", first)):
        study.accuracy("at.clean", step, at=(("trick", trick), ("wd", wd)))
    study.results = [replace(one, rows=("trick",)) for one in study.results]
    return study


def shown(study: Study, display: Display, plan_layout=layout) -> PivotTable:
    report = load_report(study.plan, study.store)
    return plan_layout(DisplayedResults(display, report.plan, report.results))


def values(table: PivotTable) -> dict[tuple[str, ...], list[float | None]]:
    return {row.names: [cell.value if cell else None for cell in row.cells] for row in table.rows}


def test_a_table_has_each_name_of_a_row_where_it_asks_for_them(study: Study) -> None:
    table = shown(study, Display("t", "rows", (at("at.clean"),), series=("trick",)))
    assert values(table) == {("at", "base", "5"): [0.6], ("at", "decay", "1"): [0.9], ("at", "batch", "5"): [0.6]}


def test_a_table_that_does_not_ask_for_them_has_each_training_once(study: Study) -> None:
    table = shown(study, Display("t", "rows", (at("at.clean"),)))
    assert values(table) == {("at", "5"): [0.6], ("at", "1"): [0.9]}


def test_a_plot_along_the_names_has_one_series(study: Study) -> None:
    table = shown(study, Display("t", "line", (at("at.clean"),), x="trick"), series_layout)
    assert values(table) == {("base",): [0.6], ("decay",): [0.9], ("batch",): [0.6]}


def test_a_mean_counts_each_training_once(study: Study) -> None:
    expressions = Expressions(study.plan, measured(study.plan, study.store))
    mean = expressions.value(Reduced("mean", at("at.clean")))
    assert mean is not None
    assert mean.value == pytest.approx(0.75)  # not (0.6 + 0.9 + 0.6) / 3
    single = expressions.value(at("at.clean", wd="5"))
    assert single is not None
    assert single.value == pytest.approx(0.6)
    table = shown(study, Display("t", "rows", (at("at.clean"),), mean=("trick", "wd")))
    (cell,) = table.cells
    assert (cell.value, cell.over) == (pytest.approx(0.75), 2)


def test_a_published_value_stands_beside_the_training_under_each_of_its_names(study: Study) -> None:
    study.published = [Published("at.clean", (("trick", "base"),), 0.61), Published("at.clean", (("wd", "1"),), 0.92)]
    table = shown(study, Display("t", "rows", (at("at.clean"),), series=("trick",)))
    assert [cell.published for cell in table.cells] == [0.61, 0.92, 0.61]


def test_names_of_rows_are_no_open_axes_of_a_claim(study: Study) -> None:
    study.claim(at("at.clean", wd="1"), ">", at("at.clean", trick="batch"))
    (claim,) = verdicts(study.plan, measured(study.plan, study.store))
    assert claim.compared[0].difference == pytest.approx(0.3)
