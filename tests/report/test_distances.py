"""Distances in a report: curves, medians with their interval, claims about them, and what has no value."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_results import CLASSES, Study, at, compare, study_in
from scipy.stats import binom

from satdsl.ir.plan import Claim, Display
from satdsl.ir.steps import CatalogCall, Step
from satdsl.report import distances
from satdsl.report.claims import Verdict, verdicts
from satdsl.report.intervals import median_ranks
from satdsl.report.pivot import DisplayedResults
from satdsl.report.results import ReportError, measured

NEAR = CatalogCall("fmn", (("norm", "L2"), ("steps", 100)))
FAR = CatalogCall("ddn", (("steps", 100),))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


def nearest(study: Study, distance: Any, attack: CatalogCall = NEAR, seed: int = 0, label: Any = None) -> Step:
    distance = np.asarray(distance, float)
    broken = np.where(distance == 0, 0, np.where(np.isinf(distance), -1, 1))
    return study.evaluation(
        broken == -1, broken_by=broken, distance=distance, attack=attack, seed=seed, label=label, attacks=[attack.name]
    )


def test_a_curve_is_the_share_whose_nearest_lies_beyond_each_radius(study: Study) -> None:
    step = nearest(study, [0, 0, 0.1, 0.5, 0.5, 0.7, 2.0, np.inf])
    for radius in (0.0, 0.1, 0.5, 1.0, 9.0):
        study.robust_at("net.curve", radius, step, at=(("eps", f"{radius:g}"),))
    found = measured(study.plan, study.store)
    assert [one.value for one in found] == [6 / 8, 5 / 8, 3 / 8, 2 / 8, 1 / 8]
    assert all(one.unit == "share" and one.n == 8 and one.interval is not None for one in found)


def test_under_several_attacks_the_smallest_distance_counts(study: Study) -> None:
    one = nearest(study, [0.0, 0.4, 2.0, np.inf])
    other = nearest(study, [0.0, 0.6, 1.0, 3.0], attack=FAR)
    study.robust_at("net.curve", 0.5, one, other)
    study.distance("net.mean", "mean", one, other)
    curve, mean = measured(study.plan, study.store)
    assert curve.value == 2 / 4
    assert mean.value == pytest.approx((0.4 + 1 + 3) / 4)
    assert mean.unit == "distance"


def test_distances_by_class_are_of_its_images(study: Study) -> None:
    step = nearest(study, [1, 2, 3, 10, 20, 30], label=[0, 0, 0, 1, 1, 1])
    study.distance("net.d", "median", step, by_class=True)
    study.robust_at("net.r", 2.5, step, by_class=True)
    found = {(one.result, dict(one.point)["class"]): one.value for one in measured(study.plan, study.store)}
    assert found == {
        ("net.d", CLASSES[0]): 2,
        ("net.d", CLASSES[1]): 20,
        ("net.r", CLASSES[0]): 1 / 3,
        ("net.r", CLASSES[1]): 1.0,
    }


@pytest.mark.parametrize("n", [6, 7, 20, 101, 1000])
def test_the_ranks_hold_the_median_with_95_percent_and_no_nearer_ones_do(n: int) -> None:
    ranks = median_ranks(n)
    assert ranks is not None
    low, high = ranks
    assert low + high == n + 1

    def covered(low: int) -> float:
        # The median lies between the low-th least and the low-th largest value unless too few lie on one side of it.
        return float(1 - 2 * binom.cdf(low - 1, n, 0.5))

    assert covered(low) >= 0.95
    assert covered(low + 1) < 0.95


def test_of_so_few_values_no_two_hold_the_median_with_95_percent() -> None:
    assert [median_ranks(n) is None for n in range(1, 8)] == [True] * 5 + [False] * 2


def test_the_interval_of_a_median_holds_that_of_all_images_19_times_of_20() -> None:
    random = np.random.default_rng(0)
    truth, inside = math.log(2), 0
    for _ in range(400):
        found = distances.median(random.exponential(size=80))
        assert found is not None
        assert found.interval is not None
        inside += found.interval.low <= truth <= found.interval.high
        assert found.influence.mean() == pytest.approx(found.value)
    assert inside / 400 > 0.93


def test_the_standard_error_of_a_median_is_that_of_its_influence() -> None:
    random = np.random.default_rng(1)
    medians = [float(np.median(random.exponential(size=300))) for _ in range(400)]
    errors = []
    for _ in range(50):
        found = distances.median(random.exponential(size=300))
        assert found is not None
        errors.append(found.influence.std() / math.sqrt(300))
    assert float(np.mean(errors)) == pytest.approx(float(np.std(medians)), rel=0.15)


def test_what_was_not_found_counts_as_far_in_a_median_and_leaves_no_mean(study: Study) -> None:
    step = nearest(study, [0.1] * 20 + [0.2] * 20 + [np.inf] * 9)
    study.distance("net.median", "median", step)
    study.distance("net.mean", "mean", step)
    study.distance("net.lost", "median", nearest(study, [0.1] * 3 + [np.inf] * 5, seed=1))
    median, mean, lost = measured(study.plan, study.store)
    assert median.value == 0.2
    assert median.interval is not None
    assert (mean.value, mean.n, lost.value, lost.n) == (None, 49, None, 8)


def test_medians_over_the_same_images_are_compared_image_by_image(study: Study) -> None:
    random = np.random.default_rng(2)
    first = random.exponential(size=400)
    for name, distance in (("a", first), ("b", first + 0.05), ("c", random.exponential(size=400) + 0.05)):
        study.distance(f"{name}.d", "median", nearest(study, distance, seed=ord(name)))
    study.claims += [Claim("x", (compare(at(one), ">", at("a.d")),), "x.sat", 1) for one in ("b.d", "c.d")]
    paired, apart = (claim.compared[0] for claim in verdicts(study.plan, measured(study.plan, study.store)))
    assert paired.half_width is not None
    assert apart.half_width is not None
    assert paired.half_width < 0.6 * apart.half_width
    assert apart.verdict is Verdict.TOO_CLOSE


def test_radii_stand_in_their_order_whatever_the_order_of_the_results(study: Study) -> None:
    step = nearest(study, [0.1, 0.5, 1.5, 3])
    for label, radius in (("1", 1.0), ("8/255", 8 / 255), ("0.5", 0.5), ("2", 2.0)):
        study.robust_at("net.curve", radius, step, at=(("eps", label),))
    display = Display("x", "line", (at("net.curve"),), x="eps")
    shown = DisplayedResults(display, study.plan, measured(study.plan, study.store)).pivot(("eps",), ())
    assert [row.names for row in shown.rows] == [("8/255",), ("0.5",), ("1",), ("2",)]


def test_rows_without_distances_are_told(study: Study) -> None:
    study.distance("net.d", "median", study.evaluation([True, False], attack=NEAR))
    with pytest.raises(ReportError, match="does not hold index, label, distance"):
        measured(study.plan, study.store)
