"""Clean against robust accuracy: which results make a point, and seeds together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up_results import Study, rows, study_in

from satdsl.ir.steps import CatalogCall
from satdsl.report.clean_against_robust import clean_against_robust
from satdsl.report.drawing_cache import DrawingCache
from satdsl.report.results import measured

PGD = CatalogCall("pgd", (("norm", "L2"), ("eps", 0.5), ("steps", 7)))
FGSM = CatalogCall("fgsm", (("norm", "L2"), ("eps", 0.5)))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """`a` has two seeds and `b` one, all under PGD; `a` alone is measured under FGSM, `c` only without attack."""
    study = study_in(tmp_path)
    for name, seed, lr, clean, robust in (("a", 1, 0.1, 90, 40), ("a", 2, 0.1, 80, 50), ("b", 1, 0.2, 70, 60)):
        at = (("seed", str(seed)),)
        study.accuracy(f"{name}.clean", study.evaluation(rows(clean, 100 - clean), seed=seed, lr=lr), at=at)
        attacked = study.evaluation(rows(robust, 100 - robust), attack=PGD, seed=seed, lr=lr)
        study.accuracy(f"{name}.robust", attacked, at=at)
    study.accuracy("a.fast", study.evaluation(rows(45, 55), attack=FGSM, seed=1, lr=0.1), at=(("seed", "1"),))
    study.accuracy("c.clean", study.evaluation(rows(95, 5), lr=0.3))
    return study


def test_methods_with_both_accuracies_are_points_and_seeds_one(study: Study) -> None:
    (found,) = clean_against_robust(study.plan, measured(study.plan, study.store))
    a, b = found.methods
    assert (a.title, b.title) == ("a, 2 seeds", "b[seed=1]")
    assert (a.clean.value, a.robust.value) == pytest.approx((0.85, 0.45))
    assert (b.clean.value, b.robust.value) == pytest.approx((0.7, 0.6))
    assert "pgd" in found.attack


def test_the_page_draws_a_point_for_each(study: Study) -> None:
    ((_, svg),) = DrawingCache().clean_against_robust(study.plan, measured(study.plan, study.store))
    assert svg.count('class="point"') == 2
    assert "a, 2 seeds: clean 85.0 %, robust 45.0 %" in svg


def test_attacks_that_differ_are_never_averaged_as_if_they_were_seeds_nor_data_put_together(study: Study) -> None:
    short, other = (CatalogCall("pgd", (*PGD.args, ("step_size", size))) for size in (0.1, 0.2))
    for name, lr in (("d", 0.4), ("e", 0.5)):
        study.accuracy(f"{name}.clean", study.evaluation(rows(90, 10), lr=lr))
        for size, attack, right in (("0.1", short, 60), ("0.2", other, 20)):
            tested = study.evaluation(rows(right, 100 - right), attack=attack, lr=lr)
            study.accuracy(f"{name}.robust", tested, at=(("size", size),))
        study.accuracy(f"{name}.far", study.evaluation(rows(5, 95), attack=short, lr=lr, data="mnist"))
        study.accuracy(f"{name}.clean_far", study.evaluation(rows(50, 50), lr=lr, data="mnist"))
    labels = {step.key: f"data {step.settings.source.name}" for step in study.steps if step.kind == "data"}
    found = clean_against_robust(replace(study.plan, labels=labels), measured(study.plan, study.store))
    assert [
        (one.attack, one.part, [(method.title, method.clean.value, method.robust.value) for method in one.methods])
        for one in found
        if one.methods[0].name[0] == "d"
    ] == [
        (
            "pgd-7 L2 0.5, step_size=0.1",
            "val of digits",
            [("d[size=0.1]", 0.9, 0.6), ("e[size=0.1]", 0.9, 0.6)],
        ),
        (
            "pgd-7 L2 0.5, step_size=0.2",
            "val of digits",
            [("d[size=0.2]", 0.9, 0.2), ("e[size=0.2]", 0.9, 0.2)],
        ),
        ("pgd-7 L2 0.5, step_size=0.1", "val of mnist", [("d", 0.5, 0.05), ("e", 0.5, 0.05)]),
    ]


def test_a_mean_is_over_the_networks_that_have_both_accuracies(study: Study) -> None:
    study.accuracy("a.clean", study.evaluation(rows(0, 100), seed=3, lr=0.1), at=(("seed", "3"),))
    study.accuracy("a.robust", study.evaluation(None, attack=PGD, seed=3, lr=0.1), at=(("seed", "3"),))
    (found,) = clean_against_robust(study.plan, measured(study.plan, study.store))
    assert (found.methods[0].title, found.methods[0].clean.value) == ("a, 2 seeds", pytest.approx(0.85))
