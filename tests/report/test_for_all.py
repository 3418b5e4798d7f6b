"""`for all` in claims, from the text to the verdict: the conjunction written out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_results import Study, at, compare, study_in

from satdsl.check import check
from satdsl.ir.plan import Claim, Comparison, Number, Plan, Selected
from satdsl.ir.steps import Evaluate
from satdsl.plan.expand import expand
from satdsl.report.claims import ClaimResult, Verdict, verdicts
from satdsl.report.load_report import Report
from satdsl.report.result_formats import to_json
from satdsl.report.result_tables import verdict_table
from satdsl.report.results import Measured, measured
from satdsl.show.terminal import ruled, text

SPEC = """sat 1
dataset d = digits()
model m = small_cnn()
recipe r = sgd(epochs=2)
sweep { order = [easiest, hardest]; share = 10%..40% step 10% }
train ref = m on d using r { keep snapshots every epoch }
split s of d { A = $order $share examples by snapshot-entropy of ref; B = rest }
train sat = m on s using r
evaluate ref { clean = clean accuracy on val }
evaluate sat { clean = clean accuracy on val }
"""
SHARES = ("10%", "20%", "30%", "40%")


def plan_of(*claims: str) -> Plan:
    return expand(check("spec.sat", SPEC + "".join(f'expect "it is so": {claim}\n' for claim in claims)))


class Results(list[Measured]):
    """Short in hypothesis' reports."""

    def __repr__(self) -> str:
        return "results"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What the plan's evaluations might have found, the same for every claim."""
    study = study_in(tmp_path_factory.mktemp("for_all"))
    random = np.random.default_rng(0)
    plan = plan_of()
    for step in plan.steps.values():
        if isinstance(step.settings, Evaluate):
            right = random.random(360) < random.uniform(0.4, 0.6)
            arrays = {"index": np.arange(360), "label": np.zeros(360, int), "correct": right, "broken_by": right - 1}
            study._stored(step, "rows", arrays, {"n": 360, "warnings": [], "attacks": []})
    return Results(measured(plan, study.store))


def judged(results: Results, *claims: str) -> list[ClaimResult]:
    return verdicts(plan_of(*claims), results)


sides = st.sampled_from(
    [
        ("sat.clean[order=hardest]", "sat.clean[order=hardest, share={}]"),
        ("sat.clean[order=easiest] - 4%", "sat.clean[order=easiest, share={}] - 4%"),
        ("mean(sat.clean)", "mean(sat.clean[share={}])"),
        ("max(sat.clean[order=hardest]) * 0.9", "max(sat.clean[order=hardest, share={}]) * 0.9"),
        ("30% + $share", "30% + {}"),
        ("ref.clean", "ref.clean"),
        ("sat.clean[order=hardest, share=20%]", "sat.clean[order=hardest, share=20%]"),
        ("50%", "50%"),
    ]
)
operators = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.tuples(sides, operators, sides), min_size=1, max_size=3), st.sets(st.sampled_from(SHARES)))
def test_for_all_is_the_conjunction_written_out(results, comparisons, shares):
    first = (("sat.clean[order=hardest]", "sat.clean[order=hardest, share={}]"), ">", ("48%", "48%"))
    comparisons = [first, *comparisons]
    condition = " and ".join(f"{left[0]} {operator} {right[0]}" for left, operator, right in comparisons)
    chosen = [share for share in SHARES if share in shares] or SHARES
    restricted = f" in [{', '.join(chosen)}]" if shares else ""
    written_out = " and ".join(
        f"{left[1].format(share)} {operator} {right[1].format(share)}"
        for share in chosen
        for left, operator, right in comparisons
    )
    short, long = judged(results, f"for all share{restricted}: {condition}", written_out)
    assert short.verdict is long.verdict
    sides_of = [
        {(one.comparison.operator, one.left, one.right, one.half_width) for one in verdict.compared}
        for verdict in (short, long)
    ]
    assert sides_of[0] == sides_of[1]


@settings(deadline=None, derandomize=True, max_examples=2)
@given(st.permutations(["order", "share"]))
def test_the_order_in_which_axes_are_named_does_not_matter(results, axes):
    found, other = judged(
        results, f"for all {', '.join(axes)}: sat.clean > 40%", "for all order, share: sat.clean > 40%"
    )
    assert [one.comparison for one in found.compared] == [one.comparison for one in other.compared]
    assert len(found.compared) == 8


# --- how it is shown -----------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


def claim_at(study: Study, right: list[int], operator: str, than: float) -> ClaimResult:
    """A claim for all shares, at each of which so many of 1,000 images are right."""
    comparisons = []
    for place, count in enumerate(right):
        share = (("share", f"{place + 1}0%"),)
        study.accuracy("sat.clean", study.evaluation(np.arange(1000) < count, lr=place), at=share)
        comparison = compare(Selected("sat.clean", share), operator, than)
        comparisons.append(type(comparison)(comparison.operator, comparison.left, comparison.right, "", share))
    study.claims.append(Claim("all are right", tuple(comparisons), "made_up.sat", 3, "for all share: ..."))
    return verdicts(study.plan, measured(study.plan, study.store))[0]


def test_a_claim_that_holds_everywhere_shows_where_it_does_so_most_narrowly(study: Study) -> None:
    verdict = claim_at(study, [900, 700, 800], ">", 0.5)
    assert verdict.verdict is Verdict.HOLDS
    assert verdict.figures == ("holds at all 3\nshare=20%: 70.0 % > 50 %: difference +20.0 points, 95 % interval ±2.8")


def test_a_claim_fails_where_one_point_fails_and_names_the_points(study: Study) -> None:
    verdict = claim_at(study, [900, 510, 300, 200, 800], ">", 0.5)
    assert verdict.verdict is Verdict.FAILS
    assert verdict.figures == (
        "holds at 2 of 5: fails at share=30%, 40%; too close to call at share=20%\n"
        "share=40%: 20.0 % > 50 %: difference -30.0 points, 95 % interval ±2.5"
    )


def test_a_claim_is_too_close_where_one_point_is_and_none_fails(study: Study) -> None:
    verdict = claim_at(study, [900, 510, 800], ">", 0.5)
    assert verdict.verdict is Verdict.TOO_CLOSE
    assert verdict.figures.startswith("holds at 2 of 3: too close to call at share=20%\nshare=20%: ")


def test_a_smoke_run_says_at_how_many_points_a_claim_could_be_computed(study: Study) -> None:
    claim_at(study, [900, 300], ">", 0.5)
    plan = replace(study.plan, smoke=("one draw",))
    (verdict,) = verdicts(plan, measured(plan, study.store))
    assert verdict.verdict is Verdict.SMOKE
    assert verdict.figures.startswith("computed at all 2\nshare=")


def test_a_point_without_a_result_takes_nothing_from_the_others(study: Study) -> None:
    """Such as a class that a part does not have."""
    claim_at(study, [900, 300], ">", 0.5)
    (claim,) = study.claims
    nowhere = (("share", "90%"),)
    missing = replace(claim.comparisons[0], left=Selected("sat.clean", nowhere), at=nowhere)
    study.claims[0] = replace(claim, comparisons=(missing, claim.comparisons[0]))
    (verdict,) = verdicts(study.plan, measured(study.plan, study.store))
    assert verdict.verdict is Verdict.NOT_RUN
    assert verdict.figures == (
        "holds at 1 of 2: not run at share=90%\nshare=90%: there is no result sat.clean[share=90%]"
    )


# --- classes without images ------------------------------------------------------------------------


def by_class(study: Study, condition: str) -> ClaimResult:
    """A claim at each of the three classes: over `sat.clean` on A_val, without dogs, and over `sat.all` on val."""
    split = study.split([0, 0, 1], classes=[[0, 2], [1]])
    evaluation = study.evaluation(np.repeat([1, 0, 1], 40), label=np.repeat([0, 1, 2], 40))
    val = study.val(evaluation)
    study.accuracy("sat.clean", evaluation, part=replace(val, name="A_val", split=split.key, subset=0), by_class=True)
    study.accuracy("sat.all", evaluation, by_class=True)
    names = {"A": "sat.clean", "val": "sat.all"}
    comparisons = [
        Comparison(operator, Selected(names[left], at), Number(float(right)), "", at)
        for at in ((("class", name),) for name in ("cat", "dog", "ship"))
        for left, operator, right in (one.split() for one in condition.split(" and "))
    ]
    study.claims.append(Claim("it is so", tuple(comparisons), "made_up.sat", 3, f"for all class: {condition}"))
    return verdicts(study.plan, measured(study.plan, study.store))[0]


def test_a_class_without_images_in_the_part_is_left_out_and_named(study: Study) -> None:
    verdict = by_class(study, "A > 0.1")
    assert verdict.verdict is Verdict.HOLDS
    assert verdict.figures.splitlines()[0] == "holds at all 2; no images at class=dog"
    assert verdict.compared[1].verdict is Verdict.NO_IMAGES
    assert verdict.compared[1].figures == "sat.clean: there is no image of class dog in A_val"


def test_what_is_known_of_a_class_counts_though_another_part_has_no_image_of_it(study: Study) -> None:
    verdict = by_class(study, "A > 0.1 and val > 0.1")
    assert verdict.verdict is Verdict.FAILS
    assert verdict.figures.startswith("holds at 2 of 3: fails at class=dog")


def test_a_claim_over_no_class_at_all_is_not_run(study: Study) -> None:
    by_class(study, "A > 0.1")
    (claim,) = study.claims
    study.claims[0] = replace(claim, comparisons=claim.comparisons[1:2])
    (verdict,) = verdicts(study.plan, measured(study.plan, study.store))
    assert verdict.verdict is Verdict.NOT_RUN
    assert verdict.figures.startswith("no images at class=dog\n")


def test_a_smoke_run_leaves_out_the_same_classes(study: Study) -> None:
    by_class(study, "A > 0.1")
    plan = replace(study.plan, smoke=("one draw",))
    (verdict,) = verdicts(plan, measured(plan, study.store))
    assert verdict.verdict is Verdict.SMOKE
    assert verdict.figures.splitlines()[0] == "computed at all 2; no images at class=dog"


def test_a_class_that_is_asked_for_by_name_and_has_no_image_is_not_run_and_says_why(study: Study) -> None:
    by_class(study, "A > 0.1")
    study.claims[:] = [Claim("", (compare(at("sat.clean", **{"class": "dog"}), ">", 0.1),), "made_up.sat", 3)]
    (verdict,) = verdicts(study.plan, measured(study.plan, study.store))
    assert verdict.verdict is Verdict.NOT_RUN
    assert verdict.figures == "sat.clean: there is no image of class dog in A_val"


def test_classes_of_an_evaluation_that_is_not_run_are_not_run(study: Study) -> None:
    evaluation = study.evaluation(None)
    study.accuracy("sat.clean", evaluation, by_class=True)
    point = (("class", "dog"),)
    study.claims.append(Claim("", (Comparison(">", Selected("sat.clean", point), Number(0.1), "", point),), "", 3))
    (verdict,) = verdicts(study.plan, measured(study.plan, study.store))
    assert [one.verdict for one in verdict.compared] == [Verdict.NOT_RUN]


# --- many points -----------------------------------------------------------------------------------


def test_many_points_are_two_lines_on_a_terminal_and_all_there_in_json(study: Study) -> None:
    verdict = claim_at(study, [100] * 40, ">", 0.5)
    assert "fails at share=10%, 20%, 30%, 40%, 50%, 60% and 34 more" in verdict.figures
    assert len(text(ruled(verdict_table([verdict]))).splitlines()) < 9
    document = json.loads(to_json(Report(study.plan, (), [verdict])))
    (claim,) = document["claims"]
    assert claim["condition"] == "for all share: ..."
    assert [one["at"]["share"] for one in claim["comparisons"]] == [f"{n}0%" for n in range(1, 41)]
    assert {one["verdict"] for one in claim["comparisons"]} == {"fails"}


def test_points_on_several_axes_are_told_apart_by_brackets(results):
    (verdict,) = judged(results, "for all order, share in [10%, 20%]: sat.clean > 99%")
    assert "[order=easiest, share=10%], [order=easiest, share=20%], [order=hardest, share=10%]" in verdict.figures


def test_what_depends_on_no_axis_is_compared_once(results):
    (verdict,) = judged(results, "for all share: sat.clean[order=hardest] < 99% and ref.clean < 99%")
    assert [one.comparison.at for one in verdict.compared].count(()) == 1
    assert len(verdict.compared) == 5
    assert "holds at all 4" in verdict.figures


def test_a_smoke_run_says_at_how_many_points_a_claim_was_computed(results: Results) -> None:
    plan = replace(plan_of("for all share: sat.clean[order=hardest] >= ref.clean"), smoke=("small",))
    (verdict,) = verdicts(plan, results)
    assert verdict.verdict is Verdict.SMOKE
    assert set(verdict.points.values()) == {Verdict.SMOKE}
    assert verdict.figures.startswith("computed at all 4\nshare=")
    assert "computed at all 4" in text(ruled(verdict_table([verdict])))
