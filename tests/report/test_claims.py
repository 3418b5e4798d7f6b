from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from made_up_results import Study, at, compare, rows, study_in
from scipy.stats import binomtest
from scipy.stats import t as student_t

from satdsl.ir.plan import Arithmetic, Claim, Expression, Number, Part, Reduced
from satdsl.report.claims import ClaimResult, ComparisonResult, Verdict, verdicts
from satdsl.report.results import ImageSet, Sample, measured
from satdsl.report.uncertainty import Estimate, half_width

Z = 1.959963984540054


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


def judged(study: Study) -> list[ClaimResult]:
    return verdicts(study.plan, measured(study.plan, study.store))


def compared(study: Study, left: Expression, operator: str, right: Expression | float) -> ComparisonResult:
    study.claims.clear()
    study.claim(left, operator, right)
    return judged(study)[0].compared[0]


def standing(study: Study, left: Expression, operator: str, right: Expression | float) -> Verdict:
    return compared(study, left, operator, right).verdict


def discordant(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two networks' answers on the same images, by how many each has right."""
    counts = (both, only_a, only_b, neither)
    return np.repeat([1, 1, 0, 0], counts).astype(bool), np.repeat([1, 0, 1, 0], counts).astype(bool)


def pair(study: Study, a: np.ndarray, b: np.ndarray, data: str = "digits") -> None:
    study.accuracy("a.acc", study.evaluation(a, lr=0.1))
    study.accuracy("b.acc", study.evaluation(b, lr=0.2, data=data))


# --- one result ----------------------------------------------------------------------------------


def test_a_share_against_a_number_has_the_interval_of_a_share(study: Study) -> None:
    study.accuracy("a.acc", study.evaluation(rows(6000, 4000)))
    found = compared(study, at("a.acc"), ">=", 0.5)
    assert (found.left, found.right) == (0.6, 0.5)
    assert found.half_width == pytest.approx(Z * math.sqrt(0.6 * 0.4 / 10_000), rel=1e-3)
    assert found.figures == "60.0 % >= 50 %: difference +10.0 points, 95 % interval ±1.0"


def test_a_claim_holds_fails_or_is_too_close_on_either_side_of_the_edge(study: Study) -> None:
    study.accuracy("a.acc", study.evaluation(rows(600, 400)))
    half = compared(study, at("a.acc"), ">", 0.5).half_width
    assert half is not None
    inside, outside = 0.999 * half, 1.001 * half
    for operator in (">", ">="):
        assert standing(study, at("a.acc"), operator, 0.6 - outside) is Verdict.HOLDS
        assert standing(study, at("a.acc"), operator, 0.6 - inside) is Verdict.TOO_CLOSE
        assert standing(study, at("a.acc"), operator, 0.6 + inside) is Verdict.TOO_CLOSE
        assert standing(study, at("a.acc"), operator, 0.6 + outside) is Verdict.FAILS
    for operator in ("<", "<="):
        assert standing(study, at("a.acc"), operator, 0.6 - outside) is Verdict.FAILS
        assert standing(study, at("a.acc"), operator, 0.6 + outside) is Verdict.HOLDS
    assert standing(study, at("a.acc"), "!=", 0.6 + outside) is Verdict.HOLDS
    assert standing(study, at("a.acc"), "==", 0.6 + outside) is Verdict.FAILS
    assert standing(study, at("a.acc"), "==", 0.6) is Verdict.TOO_CLOSE


@pytest.mark.parametrize("right", [0, 50])
def test_images_that_all_agree_leave_a_doubt_as_large_as_a_few_images(study: Study, right: int) -> None:
    study.accuracy("a.acc", study.evaluation(rows(right, 50 - right)))
    found = compared(study, at("a.acc"), ">", 0.5)
    assert found.half_width is not None
    assert 2 / 50 < found.half_width < 4 / 50


def test_numbers_alone_are_compared_exactly(study: Study) -> None:
    tenth_and_fifth = Arithmetic("+", Number(0.1), Number(0.2))
    assert standing(study, tenth_and_fifth, "==", 0.3) is Verdict.HOLDS
    assert standing(study, tenth_and_fifth, ">", 0.3) is Verdict.FAILS
    assert standing(study, tenth_and_fifth, ">=", 0.3) is Verdict.HOLDS


def test_a_result_is_equal_to_itself_without_doubt(study: Study) -> None:
    study.accuracy("a.acc", study.evaluation(rows(6, 4)))
    assert standing(study, at("a.acc"), ">=", at("a.acc")) is Verdict.HOLDS
    assert standing(study, at("a.acc"), ">", at("a.acc")) is Verdict.FAILS
    assert compared(study, at("a.acc"), "==", at("a.acc")).half_width == 0


def test_mean_scores_are_shown_in_their_own_unit(study: Study) -> None:
    study.mean_score("ref.hardness", study.scored(np.linspace(0, 2, 100)))
    found = compared(study, at("ref.hardness"), "<", 1.5)
    assert found.figures == "1 < 1.5: difference -0.5, 95 % interval ±0.12"
    assert found.verdict is Verdict.HOLDS


# --- two results ---------------------------------------------------------------------------------


def test_results_over_the_same_images_are_compared_image_by_image(study: Study) -> None:
    a, b = discordant(5000, 700, 500, 3800)
    pair(study, a, b)
    found = compared(study, at("a.acc"), ">", at("b.acc"))
    n, more, fewer = 10_000, 700, 500
    mcnemar = Z * math.sqrt(more + fewer - (more - fewer) ** 2 / n) / n
    assert found.half_width == pytest.approx(mcnemar, rel=2e-3)
    assert found.figures == "57.0 % > 55.0 %: difference +2.0 points, 95 % interval ±0.7"


def test_the_interval_of_a_paired_difference_agrees_with_a_bootstrap(study: Study) -> None:
    a, b = discordant(300, 40, 25, 135)
    pair(study, a, b)
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(a), (4000, len(a)))
    spread = (a[draws].mean(axis=1) - b[draws].mean(axis=1)).std()
    assert compared(study, at("a.acc"), ">", at("b.acc")).half_width == pytest.approx(Z * spread, rel=0.06)


@pytest.mark.parametrize(("more", "fewer"), [(30, 8), (30, 22), (12, 1), (8, 2), (4, 0), (1, 0), (400, 330)])
def test_paired_verdicts_agree_with_the_exact_mcnemar_test_or_are_more_careful(
    study: Study, more: int, fewer: int
) -> None:
    pair(study, *discordant(500, more, fewer, 400))
    p = binomtest(more, more + fewer).pvalue
    holds = standing(study, at("a.acc"), ">", at("b.acc")) is Verdict.HOLDS
    assert holds == (p < 0.05) or p == pytest.approx(0.05, abs=0.03)


def test_results_over_different_data_add_their_variances(study: Study) -> None:
    pair(study, rows(600, 400), rows(700, 1300), data="svhn")
    expected = Z * math.sqrt(0.6 * 0.4 / 1000 + 0.35 * 0.65 / 2000)
    found = compared(study, at("a.acc"), ">", at("b.acc"))
    assert found.half_width == pytest.approx(expected, rel=5e-3)


def test_results_over_overlapping_images_share_what_they_have_in_common(study: Study) -> None:
    """A part against the whole: the bootstrap draws images of the whole, and the part's lie among them."""
    right = np.random.default_rng(1).random(600) < 0.6
    label = np.arange(600) % 3
    split = study.split([0], classes=[[0], [1, 2]])
    evaluation = study.evaluation(right, label=label)
    part = Part("A_val", "val", study.val(evaluation).data, split.key, 0)
    study.accuracy("net.part", evaluation, part=part)
    study.accuracy("net.whole", evaluation)
    generator = np.random.default_rng(2)
    draws = generator.integers(0, 600, (4000, 600))
    in_part = label[draws] == 0
    of_part = (right[draws] & in_part).sum(axis=1) / in_part.sum(axis=1)
    spread = (of_part - right[draws].mean(axis=1)).std()
    found = compared(study, at("net.part"), ">", at("net.whole"))
    assert found.half_width == pytest.approx(Z * spread, rel=0.06)


def test_a_ratio_has_the_uncertainty_of_a_ratio(study: Study) -> None:
    a, b = discordant(250, 50, 100, 100)
    pair(study, a, b)
    ratio = Arithmetic("/", at("a.acc"), at("b.acc"))
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(a), (4000, len(a)))
    spread = (a[draws].mean(axis=1) / b[draws].mean(axis=1)).std()
    found = compared(study, ratio, ">=", 0.95)
    assert found.half_width == pytest.approx(Z * spread, rel=0.06)
    assert found.figures.startswith("60.0 % / 70.0 % >= 0.95: difference -0.0929")


@pytest.mark.parametrize(("n", "a", "b"), [(50, 0.2, 0.2), (300, 0.03, 0.03), (300, 0.01, 0.0), (2000, 0.1, 0.08)])
def test_at_most_one_verdict_in_twenty_is_wrong_though_not_too_close(n: int, a: float, b: float) -> None:
    generator = np.random.default_rng(0)
    images = ImageSet("val", np.arange(n))
    wrong = 0
    for only_a, only_b, _ in generator.multinomial(n, [a, b, 1 - a - b], 600):
        x, y = discordant(0, only_a, only_b, n - only_a - only_b)
        samples = {0: Sample(images, x), 1: Sample(images, y)}
        half = half_width(Estimate(0, {0: 1.0, 1: -1.0}), samples)
        wrong += abs(x.mean() - y.mean() - (a - b)) > half
    assert wrong / 600 < 0.07


def test_a_number_added_to_a_share_is_shown_in_percent_one_that_scales_it_is_not(study: Study) -> None:
    pair(study, rows(814, 186), rows(842, 158))
    slack = Arithmetic("-", at("b.acc"), Number(0.04))
    found = compared(study, at("a.acc"), ">=", slack)
    assert found.figures.startswith("81.4 % >= 84.2 % - 4 %: difference +1.2 points, 95 % interval ±")
    scaled = Arithmetic("*", Number(0.5), Arithmetic("+", at("a.acc"), at("b.acc")))
    found = compared(study, at("a.acc"), ">=", scaled)
    assert found.figures.startswith("81.4 % >= 0.5 * (81.4 % + 84.2 %): difference -1.4 points")
    nested = Arithmetic("-", at("a.acc"), Arithmetic("-", at("b.acc"), Number(0.01)))
    assert "81.4 % - (84.2 % - 1 %)" in compared(study, nested, "<", 0.5).figures


def test_a_division_by_zero_is_too_close_to_call_and_says_why(study: Study) -> None:
    pair(study, rows(4, 6), rows(0, 10))
    found = compared(study, Arithmetic("/", at("a.acc"), at("b.acc")), ">", 1.0)
    assert found.verdict is Verdict.TOO_CLOSE
    assert found.figures == "40.0 % / 0.0 % > 1: undefined, a division by zero"


@pytest.mark.parametrize("function", ["mean", "std", "min", "max"])
@pytest.mark.parametrize("divisors", [[0.0, 0.4], [0.4, 0.0]])
def test_a_division_by_zero_at_one_point_leaves_nothing_to_be_called(
    study: Study, function: str, divisors: list[float]
) -> None:
    """The largest of an undefined ratio and 2 is not 2, whichever comes first."""
    draws(study, "a.acc", [0.8, 0.8], lr=0.1)
    draws(study, "b.acc", divisors, lr=0.2)
    ratio = Arithmetic("/", at("a.acc"), at("b.acc"))
    for over in (ratio, Arithmetic("-", ratio, Number(0.0))):
        found = compared(study, Reduced(function, over), ">", 1.0)
        assert found.verdict is Verdict.TOO_CLOSE


# --- several values ------------------------------------------------------------------------------


def draws(study: Study, name: str, accuracies: list[float], n: int = 1000, lr: float = 0.1) -> None:
    """One result per draw, alike in all but the seed of the training."""
    for draw, accuracy in enumerate(accuracies):
        right = round(accuracy * n)
        evaluation = study.evaluation(rows(right, n - right), seed=draw, lr=lr)
        study.accuracy(name, evaluation, at=(("draw", str(draw)),))


def test_a_mean_over_draws_adds_the_variance_between_them(study: Study) -> None:
    accuracies = [0.50, 0.60, 0.55, 0.65]
    draws(study, "net.acc", accuracies, n=100_000)
    found = compared(study, Reduced("mean", at("net.acc")), ">", 0.5)
    expected = student_t.ppf(0.975, 3) * np.std(accuracies, ddof=1) / 2
    assert found.half_width == pytest.approx(expected, rel=0.01)
    assert found.figures.startswith("mean 57.5 % > 50 %: difference +7.5 points")


def test_with_few_images_the_images_decide_the_interval_of_a_mean(study: Study) -> None:
    draws(study, "net.acc", [0.5, 0.5, 0.5, 0.5, 0.51], n=100)
    found = compared(study, Reduced("mean", at("net.acc")), ">", 0.4)
    assert found.half_width == pytest.approx(Z * 0.5 / 10, rel=0.05)


def test_a_mean_over_different_experiments_has_no_variance_between_draws(study: Study) -> None:
    for number, accuracy in enumerate((0.2, 0.8)):
        right = round(accuracy * 1000)
        evaluation = study.evaluation(rows(right, 1000 - right), lr=0.1 * (number + 1))
        study.accuracy("net.acc", evaluation, at=(("lr", str(number)),))
    found = compared(study, Reduced("mean", at("net.acc")), ">", 0.4)
    both_right, one_right = 0.2, 0.6
    per_image = both_right * (1 - 0.5) ** 2 + one_right * 0 + 0.2 * 0.5**2
    assert found.half_width == pytest.approx(Z * math.sqrt(per_image / 1000), rel=0.02)


def test_a_single_draw_adds_nothing(study: Study) -> None:
    draws(study, "net.acc", [0.5])
    with_mean = compared(study, Reduced("mean", at("net.acc")), ">", 0.4).half_width
    assert with_mean == compared(study, at("net.acc"), ">", 0.4).half_width


def test_std_min_and_max_reduce_what_is_left(study: Study) -> None:
    draws(study, "net.acc", [0.50, 0.60, 0.70])
    assert compared(study, Reduced("std", at("net.acc")), "<", 0.5).left == pytest.approx(0.1)
    assert compared(study, Reduced("min", at("net.acc")), "<", 0.5).left == 0.5
    assert compared(study, Reduced("max", at("net.acc")), "<", 0.5).left == 0.7
    assert standing(study, Reduced("std", at("net.acc")), "<", 0.9) is Verdict.HOLDS
    assert standing(study, Reduced("std", at("net.acc")), "<", 0.15) is Verdict.TOO_CLOSE


def not_run(one: ComparisonResult, why: str) -> None:
    assert one.verdict is Verdict.NOT_RUN
    assert re.search(why, one.figures)


def test_std_of_one_value_is_not_judged(study: Study) -> None:
    draws(study, "net.acc", [0.5])
    not_run(compared(study, Reduced("std", at("net.acc")), "<", 0.5), "std needs at least two values")


def test_an_expression_is_worked_out_point_by_point_before_it_is_reduced(study: Study) -> None:
    draws(study, "a.acc", [0.5, 0.7])
    draws(study, "b.acc", [0.6, 0.6], lr=0.2)
    study.accuracy("c.acc", study.evaluation(rows(100, 900), lr=0.3))
    gain = Arithmetic("-", at("a.acc"), at("b.acc"))
    assert compared(study, Reduced("max", gain), ">", 0.0).left == pytest.approx(0.1)
    assert compared(study, Reduced("min", gain), ">", 0.0).left == pytest.approx(-0.1)
    over_c = Arithmetic("-", at("a.acc"), at("c.acc"))
    assert compared(study, Reduced("mean", over_c), ">", 0.0).left == pytest.approx(0.5)


def test_a_point_in_brackets_chooses_one_value(study: Study) -> None:
    for draw, order in enumerate(("hardest", "easiest")):
        evaluation = study.evaluation(rows(900 - 400 * draw, 100 + 400 * draw), lr=0.1 + draw)
        study.accuracy("sat.acc", evaluation, at=(("order", order), ("draw", "0")))
    found = compared(study, at("sat.acc", order="hardest"), ">", at("sat.acc", order="easiest"))
    assert (found.left, found.right, found.verdict) == (0.9, 0.5, Verdict.HOLDS)
    difference = Arithmetic("-", at("sat.acc", order="hardest"), at("sat.acc", order="easiest"))
    assert compared(study, difference, ">", 0.1).left == pytest.approx(0.4)


def test_a_result_with_one_part_answers_to_its_name(study: Study) -> None:
    study.accuracy("net.acc", study.evaluation(rows(3, 1)))
    assert compared(study, at("net.acc", part="val"), ">", 0.1).left == 0.75


def test_axes_left_open_are_listed_and_nothing_is_judged(study: Study) -> None:
    draws(study, "net.acc", [0.5, 0.6])
    not_run(compared(study, at("net.acc"), ">", 0.1), r"2 values .* axes: draw")


def test_a_point_that_no_result_has_is_not_judged(study: Study) -> None:
    draws(study, "net.acc", [0.5, 0.6])
    not_run(compared(study, at("net.acc", draw="7"), ">", 0.1), r"there is no result net\.acc\[draw=7\]")


# --- what is not run, and several comparisons ----------------------------------------------------


def test_what_is_not_run_has_no_verdict(study: Study) -> None:
    pair(study, rows(6, 4), rows(6, 4))
    study.accuracy("c.acc", study.evaluation(None, lr=0.3))
    found = compared(study, at("a.acc"), ">", at("c.acc"))
    assert (found.verdict, found.left, found.right) == (Verdict.NOT_RUN, 0.6, None)
    assert found.figures == "60.0 % > not run"


def test_a_mean_of_which_one_value_is_missing_is_not_run(study: Study) -> None:
    draws(study, "net.acc", [0.5, 0.6])
    study.accuracy("net.acc", study.evaluation(None, seed=9), at=(("draw", "9"),))
    found = compared(study, Reduced("mean", at("net.acc")), ">", 0.1)
    assert (found.verdict, found.figures) == (Verdict.NOT_RUN, "mean not run > 10 %")


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        ((0.1, 0.2), Verdict.HOLDS),
        ((0.1, 0.6), Verdict.TOO_CLOSE),
        ((0.6, 0.9), Verdict.FAILS),
        ((0.1, None), Verdict.NOT_RUN),
        ((0.6, None), Verdict.TOO_CLOSE),
        ((0.9, None), Verdict.FAILS),
    ],
)
def test_of_comparisons_joined_with_and_the_weakest_decides(
    study: Study, thresholds: tuple[float | None, ...], expected: Verdict
) -> None:
    pair(study, rows(600, 400), rows(600, 400))
    study.accuracy("c.acc", study.evaluation(None, lr=0.3))
    comparisons = tuple(
        compare(at("a.acc"), ">", at("c.acc") if threshold is None else threshold) for threshold in thresholds
    )
    study.claims.append(Claim("both", comparisons, "made_up.sat", 1))
    (verdict,) = judged(study)
    assert verdict.verdict is expected
    assert len(verdict.figures.splitlines()) == 2
