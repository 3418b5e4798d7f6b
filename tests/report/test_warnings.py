"""Warnings about results: where they come from, that they say the way out, and that they reach the reader."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_results import Study, rows, study_in

from satdsl.engine.local_store import LocalStore
from satdsl.ir.plan import Plan
from satdsl.ir.steps import CatalogCall
from satdsl.report.curves import curves
from satdsl.report.load_report import Report
from satdsl.report.report_folder import write
from satdsl.report.result_formats import to_json, to_text
from satdsl.report.result_warnings import ResultWarning, result_warnings, stronger
from satdsl.report.results import measured
from satdsl.report.run_summary import MOST_WARNINGS, run_summary
from satdsl.show.terminal import text


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


def warned_of(plan: Plan, store: LocalStore) -> list[ResultWarning]:
    return result_warnings(plan, store, curves(plan, store))


def found(study: Study) -> list[ResultWarning]:
    return warned_of(study.plan, study.store)


def call(name: str, /, **args: Any) -> CatalogCall:
    return CatalogCall(name, tuple(args.items()))


def pgd(**changed: Any) -> CatalogCall:
    settings = {"norm": "L2", "eps": 0.5, "steps": 7, "step_size": 0.1, "restarts": 1, "target": "none"}
    return call("pgd", **(settings | changed))


def fgsm(**changed: Any) -> CatalogCall:
    return call("fgsm", **({"norm": "L2", "eps": 0.5, "step_size": None, "target": "none"} | changed))


def autoattack(**changed: Any) -> CatalogCall:
    return call("autoattack", **({"norm": "L2", "eps": 0.5, "version": "standard", "attacks": ()} | changed))


# --- what steps say of themselves ----------------------------------------------------------------


def test_what_an_evaluation_warns_of_is_told_of_the_result_at_its_point(study: Study) -> None:
    doubted = study.evaluation(rows(3, 1), attack=pgd(), warnings=["there is no gradient"])
    study.accuracy("sat.clean", study.evaluation(rows(4, 0)))
    study.accuracy("sat.robust", doubted, at=(("share", "30%"),))
    study.accuracy("sat.again", doubted)
    assert found(study) == [ResultWarning("sat.robust", (("share", "30%"),), "there is no gradient")]


def probed(*robust: float) -> list[dict[str, Any]]:
    return [
        {
            "n": 10,
            "subsets": [],
            "attacked": 10,
            "seconds": 1.0,
            "epoch": epoch,
            "lr": 0.1,
            "probe": {"part": "hold-out", "n": 256, "clean": 0.9, "robust": value},
        }
        for epoch, value in enumerate(robust, start=1)
    ]


def test_catastrophic_overfitting_is_told_of_the_training_with_its_epoch(study: Study) -> None:
    step = study.training(probed(0.3, 0.452, 0.031, 0.0))
    named = replace(study.plan, named={"sat": ((((("seed", "1"),)), step.key),)})
    (warning,) = warned_of(named, study.store)
    assert (warning.result, warning.point) == ("sat", (("seed", "1"),))
    assert "256 images of the hold-out fell from 45.2% to 3.1% in epoch 3: catastrophic overfitting" in warning.text
    # What a network learns from the few images of a smoke run says nothing.
    assert warned_of(replace(named, smoke=("images: 5",)), study.store) == []


def under(**norms: float) -> dict[str, Any]:
    return {"part": "train", "n": 9, "clean": 0.9, "robust": min(norms.values()), "under": norms}


def test_overfitting_is_looked_for_under_each_norm_by_itself(study: Study) -> None:
    looks = [under(Linf=0.5, L2=0.2), under(Linf=0.1, L2=0.2), under(Linf=0.1, L2=0.7)]
    step = study.training([{**epoch, "probe": look} for epoch, look in zip(probed(0, 0, 0), looks, strict=True)])
    named = replace(study.plan, named={"sat": (((), step.key),)})
    (warning,) = warned_of(named, study.store)
    assert "under Linf on 9 images of the training set fell from 50.0% to 10.0% in epoch 2" in warning.text


def test_what_falls_under_one_norm_from_what_another_had_is_no_overfitting(study: Study) -> None:
    looks = [under(Linf=0.6, L2=0.3), under(Linf=0.55, L2=0.3)]
    step = study.training([{**epoch, "probe": look} for epoch, look in zip(probed(0, 0), looks, strict=True)])
    assert warned_of(replace(study.plan, named={"sat": (((), step.key),)}), study.store) == []


def test_a_training_that_stays_robust_and_a_step_not_run_say_nothing(study: Study) -> None:
    step = study.training(probed(0.3, 0.45, 0.35))
    study.accuracy("net.robust", study.evaluation(None, attack=pgd()))
    study.accuracy("net.weak", study.evaluation(rows(1, 1), attack=fgsm()))
    named = replace(study.plan, named={"sat": (((), step.key),)})
    assert warned_of(named, study.store) == []


# --- a stronger attack that finds less -----------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (autoattack(), pgd()),
        (autoattack(), fgsm()),
        (autoattack(eps=0.6), autoattack()),
        (autoattack(), pgd(eps=0.3, target="next")),
        (pgd(), fgsm()),
        (pgd(), fgsm(eps=0.2)),
        (pgd(steps=20), pgd()),
        (pgd(restarts=5), pgd()),
        (pgd(eps=0.7), pgd()),
        (pgd(), pgd(steps=5)),
        (fgsm(eps=0.6), fgsm()),
    ],
)
def test_a_stronger_attack_is_known(one: CatalogCall, other: CatalogCall) -> None:
    assert stronger(one, other)
    assert not stronger(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (autoattack(norm="Linf"), pgd()),
        (autoattack(eps=0.4), pgd()),
        (autoattack(version="custom", attacks=("square",)), pgd()),
        (autoattack(version="rand"), autoattack(eps=0.1)),
        (pgd(step_size=0.01), fgsm()),
        (pgd(target="next"), fgsm()),
        (pgd(steps=20, restarts=1), pgd(restarts=5)),
        (pgd(steps=20, eps=0.4), pgd()),
        (pgd(step_size=0.2), pgd()),
        (pgd(), pgd()),
    ],
)
def test_where_attacks_cannot_be_ordered_neither_is_stronger(one: CatalogCall, other: CatalogCall) -> None:
    assert not stronger(one, other)


def measures(study: Study, strong: Any, weak: Any, seed: int = 0) -> None:
    study.accuracy("net.pgd", study.evaluation(weak, attack=pgd()))
    study.accuracy("net.aa", study.evaluation(strong, attack=autoattack(), seed=seed))


def test_a_stronger_attack_that_finds_less_is_a_warning_with_the_way_out(study: Study) -> None:
    measures(study, rows(60, 40), rows(40, 60))
    (warning,) = found(study)
    assert (warning.result, warning.point) == ("net.aa", ())
    assert warning.text.startswith(
        "60.0% stand against autoattack(L2, eps=0.5), but only 40.0% against pgd(L2, eps=0.5, steps=7), which is the "
        "weaker attack: gradients are masked"
    )
    assert "worst case" in warning.text


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        (rows(40, 60), rows(60, 40)),  # as it ought to be
        (rows(400, 600), rows(385, 615)),  # less than two points
        (rows(6, 4), rows(4, 6)),  # chance
    ],
)
def test_a_stronger_attack_that_finds_as_much_or_by_chance_less_is_none(study: Study, strong: Any, weak: Any) -> None:
    measures(study, strong, weak)
    assert found(study) == []


def test_other_weights_are_not_compared(study: Study) -> None:
    measures(study, rows(60, 40), rows(40, 60), seed=1)
    assert found(study) == []


def test_the_weights_after_another_epoch_are_not_compared_and_are_warned_of_by_themselves(study: Study) -> None:
    study.accuracy("net.pgd", study.evaluation(rows(40, 60), attack=pgd(), warnings=["one class"]))
    study.accuracy("net.aa", study.evaluation(rows(60, 40), attack=autoattack(), epoch=5, warnings=["one class"]))
    assert [(warning.result, warning.text) for warning in found(study)] == [
        ("net.pgd", "one class"),
        ("net.aa", "one class"),
    ]


# --- where they are read -------------------------------------------------------------------------


def test_warnings_stand_below_the_results_in_text_in_json_and_on_the_page(study: Study, tmp_path: Path) -> None:
    doubted = study.evaluation(rows(3, 1), attack=pgd(), warnings=["there is no gradient; look elsewhere"])
    study.accuracy("sat.robust", doubted, at=(("share", "30%"),))
    results, warnings = measured(study.plan, study.store), found(study)
    report = Report(study.plan, results, warnings=warnings)
    line = "warning: sat.robust[share=30%]: there is no gradient; look elsewhere"
    assert to_text(report).splitlines()[-1] == line
    assert line in "".join(text(part) for part in run_summary(report))
    document = json.loads(to_json(report))
    expected = {"result": "sat.robust", "point": {"share": "30%"}, "text": "there is no gradient; look elsewhere"}
    assert document["warnings"] == [expected]
    page = write(report, tmp_path / "report")
    assert "there is no gradient; look elsewhere" in page.read_text("utf-8")
    assert json.loads((tmp_path / "report/results.json").read_text("utf-8"))["warnings"] == [expected]


def test_a_terminal_shows_the_first_of_many_warnings_and_how_many_are_left(study: Study, tmp_path: Path) -> None:
    many = [ResultWarning("sat.robust", (("draw", str(i)),), "there is no gradient") for i in range(MOST_WARNINGS + 7)]
    shown = "".join(text(part) for part in run_summary(Report(study.plan, warnings=many)))
    assert shown.count("there is no gradient") == MOST_WARNINGS
    assert "and 7 more warnings" in shown
    page = write(Report(study.plan, warnings=many), tmp_path / "report").read_text("utf-8")
    assert page.count("there is no gradient") == MOST_WARNINGS + 7
