"""Claims whose evaluations have only their first blocks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_results import CLASSES, Study, at, compare, study_in

from satdsl.ir.claim_needs import why_in_full
from satdsl.ir.plan import Arithmetic, Claim, Number, Reduced, Selected
from satdsl.report import uncertainty
from satdsl.report.claims import ClaimResult, Verdict, verdicts
from satdsl.report.early_looks import half_width_range
from satdsl.report.expressions import Expressions
from satdsl.report.load_report import load_report
from satdsl.report.paired_images import Means, Range
from satdsl.report.result_formats import to_csv, to_json, to_text
from satdsl.report.results import measured

N, COUNT = 2000, 20


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


def images(share: float, rng: np.random.Generator, n: int = N) -> np.ndarray:
    return rng.permutation(np.arange(n) < round(share * n))


def judged(study: Study) -> list[ClaimResult]:
    return verdicts(study.plan, measured(study.plan, study.store))


def two(study: Study, better: float, worse: float, stored: int, count: int = COUNT) -> None:
    """`ours` and `theirs`, of which so many blocks are stored; the images that one loses are among the other's."""
    rng = np.random.default_rng(5)
    order = rng.permutation(N)
    study.accuracy("ours.robust", study.evaluation_in_blocks((np.arange(N) < better * N)[order], count, stored, lr=0.1))
    study.accuracy(
        "theirs.robust", study.evaluation_in_blocks((np.arange(N) < worse * N)[order], count, stored, lr=0.2)
    )


@pytest.mark.parametrize(
    ("margin", "verdict"),
    [(0.0, Verdict.HOLDS), (0.4, Verdict.FAILS), (0.19, Verdict.UNDECIDED)],
)
def test_a_claim_is_decided_where_the_images_tell_what_all_will_say(
    study: Study, margin: float, verdict: Verdict
) -> None:
    two(study, 0.6, 0.4, stored=5)
    study.claim(Arithmetic("-", at("ours.robust"), at("theirs.robust")), ">", margin)
    (claim,) = judged(study)
    assert claim.verdict is verdict
    assert claim.decided is (verdict is not Verdict.UNDECIDED)
    assert ("decided on 500 of 2,000 images" in claim.figures) is claim.decided
    (one,) = claim.compared
    assert one.look is not None
    assert (one.look.n, one.look.of) == (500, N)
    assert one.look.difference.low < 0.2 - margin < one.look.difference.high


def test_what_is_decided_early_is_the_verdict_of_all_images(study: Study) -> None:
    for margin in (0.0, 0.19, 0.2, 0.21, 0.4):
        for operator in ("<", "<=", ">", ">=", "==", "!="):
            study.claim(Arithmetic("-", at("ours.robust"), at("theirs.robust")), operator, margin)
    found = []
    for stored in (1, 6, 9, 10):
        study.results.clear()
        two(study, 0.6, 0.4, stored, count=10)
        found.append(judged(study))
    for *early, whole in zip(*found, strict=True):
        assert whole.decided_on is None
        assert whole.verdict is not Verdict.UNDECIDED
        assert {one.verdict for one in early} <= {Verdict.UNDECIDED, whole.verdict}
    assert [sum(one.decided for one in claims) for claims in found] == [12, 12, 18, 30]


def test_half_of_the_interval_lies_in_its_range(study: Study) -> None:
    two(study, 0.5, 0.43, stored=10, count=10)
    expressions = Expressions(study.plan, measured(study.plan, study.store))
    left, right = expressions.value(at("ours.robust")), expressions.value(at("theirs.robust"))
    whole = expressions.half_width(uncertainty.combined(left.value - right.value, [(left, 1.0), (right, -1.0)]))
    for stored in (1, 3, 8):
        study.results.clear()
        two(study, 0.5, 0.43, stored, count=10)
        means = Means({0: 1.0, 1: -1.0}, measured(study.plan, study.store))
        half = half_width_range(means.variance(means.where(0.05), 0.01), [])
        assert half.low <= whole <= half.high
    assert half.high < 1.2 * whole


def test_a_number_from_some_images_says_so_everywhere(study: Study) -> None:
    two(study, 0.6, 0.4, stored=3)
    study.claim(at("ours.robust"), ">", at("theirs.robust"))
    (ours, _) = measured(study.plan, study.store)
    assert (ours.n, ours.of) == (300, N)
    assert ours.interval is not None
    assert ours.interval.low < 0.6 < ours.interval.high
    report = load_report(study.plan, study.store)
    assert "300 of 2,000" in to_text(report)
    assert "the 95 % interval is where the value on all m lies" in " ".join(to_text(report).split())
    assert ",300,2000," in to_csv(report.results)
    document = json.loads(to_json(report))
    assert document["results"][0] | {"n": 300, "of": N} == document["results"][0]
    assert document["claims"][0]["decided_on"] == {"n": 300, "of": N}
    assert document["claims"][0]["comparisons"][0]["look"]["n"] == 300


def test_the_same_images_are_compared_where_one_has_come_farther(study: Study) -> None:
    rng = np.random.default_rng(2)
    order = rng.permutation(N)
    study.accuracy("a.robust", study.evaluation_in_blocks((np.arange(N) < 1200)[order], 20, 4, lr=0.1))
    seen = []
    for stored in (4, 9, 20):
        del study.results[1:]
        study.claims.clear()
        study.accuracy("b.robust", study.evaluation_in_blocks((np.arange(N) < 800)[order], 20, stored, lr=0.2))
        study.claim(at("a.robust"), ">", at("b.robust"))
        (one,) = judged(study)[0].compared
        assert one.verdict is Verdict.HOLDS
        assert one.look is not None
        assert (one.look.n, one.look.of) == (400, N)
        seen.append(one.look.difference)
    assert seen[0] == seen[1] == seen[2]


def test_results_on_other_classes_are_compared_on_the_images_that_they_share(study: Study) -> None:
    rng = np.random.default_rng(4)
    label = rng.integers(0, 3, N)
    evaluations = [
        study.evaluation_in_blocks(images(share, rng), 20, 6, label=label, lr=lr)
        for lr, share in ((0.1, 0.75), (0.2, 0.25))
    ]
    split = study.split([0, 1, 2], classes=[[0, 1], [1, 2], [2]])
    for k, evaluation in enumerate(evaluations):
        part = replace(study.val(evaluation), name=f"part{k}", split=split.key, subset=k)
        study.accuracy(f"{'ab'[k]}.robust", evaluation, part=part)
    study.claim(at("a.robust"), ">", at("b.robust"))
    found = measured(study.plan, study.store)
    assert [one.of for one in found] == [int((label < 2).sum()), int((label > 0).sum())]
    (one,) = judged(study)[0].compared
    assert one.verdict is Verdict.HOLDS
    assert one.look is not None
    assert one.look.of == N
    assert one.look.difference.low < 0.5 < one.look.difference.high


def test_classes_are_judged_one_by_one(study: Study) -> None:
    rng = np.random.default_rng(4)
    label = np.arange(N) % 3
    right = images(0.5, rng) | (label == 1)
    study.accuracy("net.robust", study.evaluation_in_blocks(right, 20, 10, label=label), by_class=True)
    compared = tuple(
        replace(compare(Selected("net.robust", (("class", name),)), ">", 0.8), at=(("class", name),))
        for name in CLASSES
    )
    study.claims.append(Claim("a claim", compared, "made_up.sat", 7))
    (claim,) = judged(study)
    assert [one.verdict for one in claim.compared] == [Verdict.FAILS, Verdict.HOLDS, Verdict.FAILS]
    assert claim.verdict is Verdict.FAILS
    assert "decided on 334 of 667 images" in claim.figures


def test_means_over_seeds_bound_what_the_seeds_differ_by(study: Study) -> None:
    study.axes = {"seed": ("0", "1", "2")}
    for stored in (6, 10):
        study.results.clear()
        for seed in range(3):
            for name, share, lr in (("ours", 0.7 + 0.01 * seed, 0.1), ("theirs", 0.3, 0.2)):
                order = np.random.default_rng(5).permutation(N)
                right = (np.arange(N) < share * N)[order]
                step = study.evaluation_in_blocks(right, 10, stored, lr=lr, seed=seed)
                study.accuracy(f"{name}.robust", step, at=(("seed", str(seed)),))
        left, right = Reduced("mean", Selected("ours.robust")), Reduced("mean", Selected("theirs.robust"))
        study.claims[:] = [Claim("a claim", (compare(left, ">", right),), "made_up.sat", 7)]
        (claim,) = judged(study)
        assert claim.verdict is Verdict.HOLDS
        if stored < 10:
            (one,) = claim.compared
            half = one.look.half
    (one,) = claim.compared
    assert half.low <= one.half_width <= half.high


def test_degrees_of_freedom_are_bounded_at_a_corner() -> None:
    for images_, first, second in ((0.5, 1.0, 0.0), (0.1, 2.0, 0.3), (3.0, 0.2, 0.2)):
        spreads = [(Range(0.5 * first, 2 * first), 2), (Range(0.0, second), 4)]
        half = half_width_range(Range(0.5 * images_, 2 * images_), spreads)
        for scale in (0.5, 1.0, 2.0):
            draws = (uncertainty.Spread(first * scale, 2), uncertainty.Spread(second * min(scale, 1.0), 4))
            alone = uncertainty.half_width(uncertainty.Estimate(0.0, {}, draws), {})
            assert alone <= half.high


@pytest.mark.parametrize(
    ("left", "word"),
    [
        (Arithmetic("/", at("a.r"), at("b.r")), "ratio"),
        (Arithmetic("*", at("a.r"), at("b.r")), "product"),
        (Reduced("std", at("a.r")), "standard deviation"),
        (Reduced("min", at("a.r")), "least"),
        (Arithmetic("-", at("a.r"), Reduced("max", at("b.r"))), "greatest"),
        (Arithmetic("*", Number(0.5), Arithmetic("-", at("a.r"), at("b.r"))), ""),
        (Arithmetic("/", Reduced("mean", at("a.r")), Number(2.0)), ""),
    ],
)
def test_what_is_no_average_over_images_is_judged_on_all(left: object, word: str) -> None:
    reason = why_in_full(compare(left, ">", 0.5))
    assert word in reason
    assert bool(reason) == bool(word)


def test_a_ratio_waits_for_all_images(study: Study) -> None:
    two(study, 0.9, 0.1, stored=19)
    study.claim(Arithmetic("/", at("ours.robust"), at("theirs.robust")), ">", 2.0)
    (claim,) = judged(study)
    assert claim.verdict is Verdict.UNDECIDED
    assert not claim.decided
    assert "not decided yet on 1,900 of 2,000 images, since a ratio" in claim.figures


def test_one_part_that_fails_decides_a_claim_of_several(study: Study) -> None:
    two(study, 0.6, 0.4, stored=5)
    open_, fails = compare(at("ours.robust"), ">", 0.59), compare(at("ours.robust"), "<", at("theirs.robust"))
    study.claims.append(Claim("a claim", (open_, fails), "made_up.sat", 7))
    (claim,) = judged(study)
    assert [one.verdict for one in claim.compared] == [Verdict.UNDECIDED, Verdict.FAILS]
    assert claim.verdict is Verdict.FAILS
    assert claim.decided
    assert claim.decided_on == (500, N)
