"""Clean against robust accuracy: which results make a point, and seeds together."""

from __future__ import annotations

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
