"""Labels in the place of names: in tables, plots and LaTeX, and not in data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from made_up_results import Study, at, rows, study_in

from satdsl.ir.plan import Display, GivenLabel, Plan
from satdsl.report import result_formats
from satdsl.report.figure import Figure
from satdsl.report.latex import latex
from satdsl.report.load_report import load_report
from satdsl.show.terminal import ruled, text

LABELS = (
    GivenLabel("weights", "sat", "half attacked"),
    GivenLabel("measure", "robust", "under PGD & more"),
    GivenLabel("axis", "share", "attacked"),
    GivenLabel("value", "share", "a third", "30%"),
)


def labelled(tmp_path: Path) -> tuple[Study, Plan]:
    study = study_in(tmp_path)
    for share, right, lr in (("30%", 60, 0.1), ("50%", 70, 0.2)):
        study.accuracy("sat.robust", study.evaluation(rows(right, 100 - right), lr=lr), at=(("share", share),))
    study.accuracy("full.robust", study.evaluation(rows(80, 20), lr=0.3))
    study.axes = {"share": ("30%", "50%")}
    plot = Display("A plot", "bars", (at("sat.robust"),), x="share", baselines=(at("full.robust"),))
    table = Display("A table", "rows", (at("sat.robust"), at("full.robust")))
    study.displays += [plot, table]
    return study, replace(study.plan, given_labels=LABELS)


def test_tables_plots_and_latex_have_the_labels(tmp_path: Path) -> None:
    study, plan = labelled(tmp_path)
    report = load_report(plan, study.store)
    plot, table = report.figures
    shown = text(ruled(table.table))
    for words in ("attacked", "under PGD & more", "half attacked", "a third", "50%", "full"):
        assert words in shown
    assert "share" not in shown
    assert r"under PGD \& more" in latex(table.table)
    svg = plot.inline_svg("p") or ""
    assert "a third" in svg
    assert "full, under PGD &amp; more" in svg
    assert "sat.robust" not in svg


def test_data_and_a_plan_without_labels_keep_the_names(tmp_path: Path) -> None:
    study, plan = labelled(tmp_path)
    named = [one["result"] for one in json.loads(result_formats.to_json(load_report(plan, study.store)))["results"]]
    assert named == ["sat.robust", "sat.robust", "full.robust"]
    bare = Figure(plan.displays[1], study.plan, load_report(study.plan, study.store).results)
    assert "sat" in text(ruled(bare.table))
