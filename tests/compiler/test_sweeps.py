"""Sweeps: which values an axis has, which points exist and in which order, and how results are picked and reduced."""

from __future__ import annotations

import time

import pytest
from words import CLEAN, HEAD, SAT, codes_of, findings_of, plan_of

from satdsl.check import check
from satdsl.ir.plan import Plan, Reduced, Selected
from satdsl.ir.steps import Split, Train

SPLIT = "split s of d { A = $order $share examples by snapshot-entropy of ref seed = $draw; B = rest }\n"
AXES = """sweep {
  order = [hardest, random]
  share = 10%..30% step 10%
  draw = 0..1 if $order == random else 0
}
"""
SPEC = HEAD + AXES + SPLIT + SAT + CLEAN


def points(text: str, **overrides: str) -> list[str]:
    """The points at which `sat.clean` is measured, each as its labels."""
    plan = plan_of(text, **overrides)
    return [" ".join(label for _, label in r.point) for r in plan.results if r.name == "sat.clean"]


def seeds(axes: str, seed: str = "$a", **overrides: str) -> list[str]:
    """The values of `$a`, each as a training with that seed."""
    spec = f"{HEAD}sweep {{ {axes} }}\ntrain sat = m on d using r {{ seed = {seed} }}\n{CLEAN}"
    return points(spec, **overrides)


# --- values ---


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ("[3, 1, 2]", ["3", "1", "2"]),
        ("5", ["5"]),
        ("0..3", ["0", "1", "2", "3"]),
        ("0..10 step 5", ["0", "5", "10"]),
        ("0..9 step 5", ["0", "5"]),
        ("7..7", ["7"]),
        ("[1, 5..7, 9]", ["1", "5", "6", "7", "9"]),
        ("[2, 2, 2.0]", ["2"]),
        ("1..2 if 1 == 1 else 9", ["1", "2"]),
        ("(1 + 1)..4", ["2", "3", "4"]),
    ],
)
def test_an_axis_takes_its_values_in_order(values, labels):
    assert seeds(f"a = {values}") == labels


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ("10%..90% step 10%", [f"{n}%" for n in range(10, 100, 10)]),
        ("1%..3%", ["1%", "2%", "3%"]),
        ("10%..30% step 7.5%", ["10%", "17.5%", "25%"]),
        ("[5%, 30%]", ["5%", "30%"]),
    ],
)
def test_a_range_of_percentages_has_both_ends_and_no_rounding_noise(values, labels):
    split = "split s of d { A = hardest $a examples by snapshot-entropy of ref; B = rest }\n"
    assert points(f"{HEAD}sweep {{ a = {values} }}\n{split}{SAT}{CLEAN}") == labels


def test_classes_of_a_data_set_are_values():
    spec = HEAD + "sweep { c = classes of d }\nsplit s of d { A = class $c; B = rest }\n" + SAT + CLEAN
    plan = plan_of(spec)
    assert points(spec) == list("0123456789")
    assert [facts.subsets[0].size for facts in plan.splits] == [144, 147, 141, 145, 142, 154, 142, 133, 137, 152]


def test_labelled_expressions_are_evaluated_where_the_axis_stands():
    spec = (
        HEAD
        + "sweep { share = [10%, 50%]; w = [vanilla: 1, balanced: |B|/|A|] }\n"
        + "split s of d { A = hardest $share examples by snapshot-entropy of ref; B = rest; weight A = $w }\n"
        + SAT
        + CLEAN
    )
    plan = plan_of(spec)
    assert points(spec) == ["10% vanilla", "10% balanced", "50% vanilla", "50% balanced"]
    weights = [facts.subsets[0].weight for facts in plan.splits]
    assert weights == [1, pytest.approx(1293 / 144), 1, pytest.approx(718 / 719)]


def test_a_labelled_expression_may_mention_another_axis():
    spec = (
        HEAD
        + "sweep { k = [1, 2]; w = [plain: 1, times: $k*|B|/|A|] }\n"
        + "split s of d { A = classes 1; B = rest; weight A = $w }\n"
        + SAT
        + CLEAN
    )
    assert points(spec) == ["1 plain", "1 times", "2 plain", "2 times"]
    # `plain` says the same for both values of `k`.
    assert sum(step.kind == "train" for step in plan_of(spec).steps.values()) == 3


def test_tied_axes_move_together():
    spec = (
        HEAD
        + "sweep { (k, boost) = [(10, 2), (90, 10)] }\n"
        + "split s of d { A = hardest (1%*$k) examples by snapshot-entropy of ref; B = rest; weight A = $boost }\n"
        + SAT
        + CLEAN
    )
    assert points(spec) == ["10 2", "90 10"]
    weights = [facts.subsets[0].weight for facts in plan_of(spec).splits]
    assert weights == [2, 10]


def test_one_of_tied_axes_used_alone_has_each_of_its_values_once():
    assert seeds("(a, b) = [(1, 1), (1, 2), (3, 1)]") == ["1", "3"]


def test_a_conditional_axis_has_its_values_where_its_condition_holds():
    assert points(SPEC) == [
        "hardest 10% 0", "hardest 20% 0", "hardest 30% 0",
        "random 10% 0", "random 10% 1", "random 20% 0", "random 20% 1", "random 30% 0", "random 30% 1",
    ]  # fmt: skip


def test_points_are_in_the_order_of_declaration_whatever_the_order_of_use():
    swapped = AXES.replace("  order = [hardest, random]\n", "").replace("sweep {\n", "sweep {\n  share_ = 1\n")
    spec = HEAD + swapped.replace("  share_ = 1\n", "") + "sweep { order = [hardest, random] }\n" + SPLIT + SAT + CLEAN
    found = points(spec)
    assert [point.split()[0] for point in found[:4]] == ["10%", "10%", "10%", "20%"]
    plain = HEAD + "sweep { b = [1, 2]; a = [1, 2] }\ntrain sat = m on d using r { seed = 10*$a + $b }\n" + CLEAN
    assert points(plain) == ["1 1", "1 2", "2 1", "2 2"]
    assert [result.point[0][0] for result in plan_of(plain).results] == ["b"] * 4


def test_an_axis_may_depend_on_one_that_is_declared_after_it():
    assert seeds("a = 0..1 if $b == 2 else 7; b = [1, 2]", "10*$b + $a") == ["1 7", "2 0", "2 1"]


def test_what_does_not_use_an_axis_exists_once():
    plan = plan_of(SPEC + "evaluate ref { clean = clean accuracy on val }")
    assert [result.point for result in plan.results if result.name == "ref.clean"] == [()]
    assert len(plan.named["ref"]) == 1
    assert len(plan.named["sat"]) == 9


def test_an_axis_is_used_through_params_and_through_what_is_named():
    spec = (
        HEAD
        + "sweep { e = [0.1, 0.2] }\nparam double = 2*$e\n"
        + "attack p = pgd(norm=Linf, eps=$double, step_size=0.2, steps=2)\n"
        + "train sat = m on d using r { attack all with p }\n"
        + CLEAN
    )
    assert points(spec) == ["0.1", "0.2"]
    eps = [
        step.settings.subsets[0].attack["eps"]
        for step in plan_of(spec).steps.values()
        if isinstance(step.settings, Train) and step.settings.subsets[0].attack is not None
    ]
    assert eps == [0.2, 0.4]


def test_a_name_can_be_swept():
    spec = (
        HEAD
        + "model wide = small_cnn(width=64)\nsweep { net = [m, wide] }\ntrain sat = $net on d using r { seed = 1 }\n"
        + CLEAN
    )
    assert points(spec) == ["m", "wide"]
    widths = {s.settings.model["width"] for s in plan_of(spec).steps.values() if isinstance(s.settings, Train)}
    assert len(widths) == 2


# --- --set ---


def test_set_gives_a_param_another_value():
    spec = f"{HEAD}param seed = 1\ntrain sat = m on d using r {{ seed = $seed }}\n{CLEAN}"
    assert plan_of(spec, seed="2").steps.keys() != plan_of(spec).steps.keys()
    assert plan_of(spec, seed="1").steps.keys() == plan_of(spec).steps.keys()


@pytest.mark.parametrize(
    ("text", "labels"), [("4", ["4"]), ("[5, 4]", ["5", "4"]), ("1..2", ["1", "2"]), ("1 if 2 == 3 else 6", ["6"])]
)
def test_set_gives_an_axis_other_values(text, labels):
    assert seeds("a = 0..9", a=text) == labels


def test_set_of_one_axis_leaves_those_that_depend_on_it_to_follow():
    assert points(SPEC, order="hardest") == ["hardest 10% 0", "hardest 20% 0", "hardest 30% 0"]
    assert points(SPEC, order="random", share="10%") == ["random 10% 0", "random 10% 1"]


SHOWN = """
plot "all" = line(y=sat.c, x=$share)
expect "more": sat.c[share=20%] > sat.c[share=10%]
expect "all": for all share in [10%, 20%]: sat.c > 10%
expect "one": sat.c[share=20%] > 10%
published sat.c = [10%, 20%, 30%]
published sat.c[share=20%] = 20%
"""


def test_what_names_values_that_set_takes_away_is_left_out_with_a_warning():
    spec = f"""{HEAD}sweep {{ share = 10%..30% step 10% }}
split s of d {{ A = random $share examples seed = 1; B = rest }}
attack p = fgsm(norm=L2, eps=0.5)
train sat = m on s using r {{ attack A with p }}
evaluate sat {{ c = clean accuracy on val }}
"""
    plan = plan_of(spec + SHOWN, share="20%")
    assert [claim.text for claim in plan.claims] == ["one"]
    assert [(one.at, one.value) for one in plan.published] == [((("share", "20%"),), 0.2)]
    assert len(plan.displays) == 1
    (warning,) = [f for f in check("a.sat", spec + SHOWN, {"share": "20%"}).warnings if f.code == "E714"]
    assert warning.message == "this and 2 more are left out: `--set` gives `share` other values"
    assert "E701" in codes_of(spec + SHOWN.replace("share=20%", "share=25%"))


def test_the_order_of_declaration_stays_under_set():
    assert points(SPEC, share="[20%, 10%]", order="[random, hardest]", draw="0") == [
        "random 20% 0", "random 10% 0", "hardest 20% 0", "hardest 10% 0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        ({"nothing": "1"}, "E203"),
        ({"draws": "1"}, "E203"),
        ({"share": "["}, "E103"),
        ({"share": "10%.."}, "E104"),
        ({"share": "30"}, "E402"),
        ({"order": "harder"}, "E301"),
        ({"draw": "1 2"}, "E104"),
        ({"draw": '1; title "x"'}, "E104"),
        ({"draw": "1\nparam z = 2"}, "E104"),
    ],
)
def test_set_to_nonsense_is_a_finding_at_what_was_set(overrides, code):
    found = findings_of(SPEC.replace("digits(holdout=10%)", "digits(limit=20, holdout=10%)"), **overrides)
    errors = [finding for finding in found if finding.severity == "error"]
    assert errors
    if code != "E104":
        assert code in {finding.code for finding in errors}


def test_tied_axes_cannot_be_set_one_by_one():
    text = f"{HEAD}sweep {{ (a, b) = [(1, 2)] }}\ntrain sat = m on d using r {{ seed = $a + $b }}\n{CLEAN}"
    assert codes_of(text, a="3") == ["E703"]


def test_an_unknown_name_in_set_gets_a_hint():
    (finding,) = findings_of(SPEC, drow="1")
    assert "did you mean `draw`?" in finding.help


# --- values that are none ---


@pytest.mark.parametrize(
    ("axes", "code"),
    [
        ("a = []", "E704"),
        ("a = 9..0", "E702"),
        ("a = 0..9 step 0", "E702"),
        ("a = 0..9 step -1", "E702"),
        ("a = 10%..20% step 1", "E702"),
        ("a = 0..10%", "E702"),
        ("a = x..y", "E702"),
        ("a = 0..1000000", "E702"),
        ("(a, b) = [(1, 2, 3)]", "E703"),
        ("(a, b) = [1, 2]", "E703"),
        ("a = $a", "E205"),
        ("a = $b; b = $a", "E205"),
        ("a = classes of nowhere", "E203"),
        ("a = 1; a = 2", "E201"),
    ],
)
def test_an_axis_without_proper_values_is_an_error(axes, code):
    spec = f"{HEAD}sweep {{ {axes} }}\ntrain sat = m on d using r {{ seed = $a }}\n{CLEAN}"
    assert code in codes_of(spec)


def test_an_axis_that_nobody_uses_is_a_warning_and_used_ones_are_not():
    assert [f.span.text for f in findings_of(SPEC + "sweep { idle = [1, 2] }") if f.code == "E707"] == ["idle"]
    assert "E707" not in codes_of(SPEC)


# --- picking and reducing ---


def claim(condition: str, spec: str = SPEC) -> Plan:
    return plan_of(f'{spec}evaluate ref {{ clean = clean accuracy on val }}\nexpect "e": {condition}\n')


def claimed(condition: str) -> list[str]:
    return codes_of(f'{SPEC}evaluate ref {{ clean = clean accuracy on val }}\nexpect "e": {condition}\n')


@pytest.mark.parametrize(
    "condition",
    [
        "sat.clean[order=hardest, share=10%] > 50%",
        "sat.clean[share=10%, order=hardest, draw=0] > ref.clean",
        "sat.clean[order=random, share=20%, draw=1] - ref.clean > -4%",
        "mean(sat.clean[order=random, share=10%]) > 50%",
        "mean(sat.clean) > ref.clean",
        "max(sat.clean) - min(sat.clean) < 2*std(sat.clean[order=random]) and ref.clean > 1/2*60%",
        "ref.clean > 50%",
        "sat.clean[order=hardest, share=(5%+5%)] > 50%",
    ],
)
def test_a_claim_about_single_values_is_fine(condition):
    assert [code for code in claimed(condition) if code != "E708"] == []


@pytest.mark.parametrize(
    ("condition", "code", "left_over"),
    [
        ("sat.clean > 50%", "E706", ["`order`", "`share`", "`draw`"]),
        ("sat.clean[order=hardest] > 50%", "E706", ["`share`"]),
        ("sat.clean[order=random, share=10%] > 50%", "E706", ["`draw`"]),
        ("ref.clean + sat.clean[order=hardest] > 50%", "E706", ["`share`"]),
        ("ref.clean > 1% and sat.clean > 50%", "E706", ["`share`"]),
        ("sat.clean[order=hardest, share=15%] > 50%", "E701", ["15%"]),
        ("sat.clean[order=easiest, share=10%] > 50%", "E701", ["easiest"]),
        ("sat.clean[order=hardest, share=10%, draw=1] > 50%", "E701", ["not in the sweep"]),
        ("ref.clean[order=hardest] > 50%", "E701", ["`order`"]),
        ("mean(sat.clean[sahre=10%]) > 50%", "E701", ["`sahre`"]),
        ("median(sat.clean) > 50%", "E202", ["`median`"]),
        ("mean(sat.clean, ref.clean) > 50%", "E303", ["`mean`"]),
        ("sat.robust > 50%", "E207", ["`robust`"]),
        ("mean(of=sat.clean) > 50%", "E303", ["`mean`"]),
        ("mean(sat.clean[share=10%, share=20%]) > 50%", "E201", ["`share` is picked twice"]),
        ("mean(sat.clean[order=[hardest, easiest]]) > 50%", "E701", ["no value `[hardest,easiest]`"]),
        ("ref.clean > 50", "E302", ["`50`"]),
        ("ref.clean + 4 > 50%", "E302", ["mixes"]),
    ],
)
def test_a_claim_that_is_not_about_single_values_names_what_is_left(condition, code, left_over):
    text = f'{SPEC}evaluate ref {{ clean = clean accuracy on val }}\nexpect "e": {condition}\n'
    errors = [finding for finding in findings_of(text) if finding.severity == "error"]
    assert [finding.code for finding in errors] == [code]
    assert all(word in errors[0].message for word in left_over)


def test_a_selector_picks_by_label():
    (comparison,) = claim("sat.clean[share=20%, order=hardest] > ref.clean").claims[0].comparisons
    assert comparison.left == Selected("sat.clean", (("share", "20%"), ("order", "hardest")))
    assert comparison.right == Selected("ref.clean")


def test_a_reduction_is_over_what_its_selector_leaves():
    (comparison,) = claim("std(sat.clean[order=random]) < 5%").claims[0].comparisons
    assert comparison.left == Reduced("std", Selected("sat.clean", (("order", "random"),)))


def test_a_result_by_class_is_picked_by_class():
    spec = HEAD + "evaluate ref { clean = clean accuracy on val by class }\n"
    assert codes_of(spec + 'expect "e": ref.clean[class=3] > min(ref.clean)') == []
    assert codes_of(spec + 'expect "e": ref.clean > 3%') == ["E706"]


def test_a_point_of_another_training_can_be_started_from():
    spec = SPEC + "train more = m on d using r { start from sat[order=hardest, share=$share, draw=0] }\n"
    plan = plan_of(spec + "evaluate more { clean = clean accuracy on val }")
    starts = [dict(step.inputs).get("start") for step in plan.steps.values()]
    at = {dict(point)["share"]: key for point, key in plan.named["sat"] if dict(point)["order"] == "hardest"}
    assert [start for start in starts if start] == list(at.values())


@pytest.mark.parametrize(
    ("plot", "codes"),
    [
        ("line(y=sat.clean, x=$share, series=$order, mean=$draw)", []),
        ("line(y=sat.clean[order=hardest], x=$share)", []),
        ("line(y=sat.clean[order=random, draw=1], x=$share)", []),
        ("line(y=sat.clean, x=$share, series=[$order, $draw])", []),
        ("heatmap(value=sat.clean[order=hardest], x=$share, y=$order)", []),
        ("line(y=sat.clean, x=$share, series=$order)", ["E705"]),
        ("line(y=sat.clean[order=hardest], x=$order)", ["E705"]),
        ("line(y=sat.clean, x=$share, series=$order, mean=class)", ["E701", "E705"]),
        ("line(y=sat.clean[order=hardest], x=share)", ["E301"]),
    ],
)
def test_every_axis_of_a_plotted_result_has_a_place(plot, codes):
    assert sorted(codes_of(f'{SPEC}plot "p" = {plot}')) == codes


# --- size ---


def test_a_thousand_points_are_a_thousand_trainings_in_a_moment():
    spec = (
        HEAD
        + "sweep { share = 1%..50%; draw = 0..19 }\n"
        + "split s of d { A = random $share examples seed = $draw; B = rest }\n"
        + SAT
        + CLEAN
    )
    started = time.process_time()
    plan = plan_of(spec)
    assert time.process_time() - started < 8
    assert [step.kind for step in plan.steps.values()].count("train") == 1000
    assert len(plan.results) == 1000
    picks = {s.settings.subsets[0] for s in plan.steps.values() if isinstance(s.settings, Split)}
    assert len(picks) == 1000


def test_an_axis_of_a_thousand_values_that_one_statement_uses_multiplies_nothing_else():
    spec = f"{HEAD}sweep {{ a = 0..999; b = 0..999 }}\ntrain sat = m on d using r {{ seed = $a }}\n{CLEAN}"
    assert len(check("big.sat", spec + "train t = m on d using r { seed = $b }").trainings["sat"].table) == 1000


# --- for all ---


def places(condition: str, **overrides: str) -> list[tuple[str, Selected]]:
    """Where each comparison of a claim stands, and what its left side selects there."""
    (claim,) = plan_of(f'{SPEC}expect "e": {condition}\n', **overrides).claims
    assert claim.condition == condition
    found = []
    for one in claim.comparisons:
        assert isinstance(one.left, Selected)
        found.append((" ".join(label for _, label in one.at), one.left))
    return found


def test_for_all_takes_results_at_each_combination_that_the_sweep_has():
    found = places("for all order, draw: sat.clean[share=10%] > 1%")
    assert [place for place, _ in found] == ["hardest", "random 0", "random 1"]
    assert [selected.at for _, selected in found] == [
        (("share", "10%"), ("order", "hardest")),
        (("share", "10%"), ("order", "random"), ("draw", "0")),
        (("share", "10%"), ("order", "random"), ("draw", "1")),
    ]


def test_for_all_leaves_a_result_alone_that_does_not_vary_there():
    text = f'{SPEC}expect "e": for all draw: sat.clean[order=random, share=10%] > sat.clean[order=hardest, share=10%]\n'
    (claim,) = plan_of(text).claims
    assert [one.at for one in claim.comparisons] == [(("draw", "0"),), (("draw", "1"),)]
    assert {one.right for one in claim.comparisons} == {Selected("sat.clean", (("order", "hardest"), ("share", "10%")))}


def test_for_all_goes_over_one_value_that_set_leaves():
    assert [place for place, _ in places("for all share: sat.clean[order=hardest] > 1%", share="[20%]")] == ["20%"]


def test_for_all_goes_over_classes():
    text = HEAD + "evaluate ref { c = clean accuracy on val by class }\n"
    (claim,) = plan_of(text + 'expect "e": for all class in [3, 1]: ref.c > 1%').claims
    assert [dict(one.at)["class"] for one in claim.comparisons] == ["3", "1"]
    (claim,) = plan_of(text + 'expect "e": for all class: ref.c > 1%').claims
    assert [dict(one.at)["class"] for one in claim.comparisons] == [str(i) for i in range(10)]


def test_an_axis_stands_for_its_value_in_a_claim_only_where_for_all_goes_over_it():
    assert codes_of(SPEC + 'expect "e": for all share: mean(sat.clean[share=$share]) > $share') == []
    assert codes_of(SPEC + 'expect "e": mean(sat.clean) > $share') == ["E706"]
    assert codes_of(SPEC + 'table "t" = rows(sat.clean[share=$share])') == ["E706"]


def test_a_comment_in_a_claim_is_no_part_of_its_condition():
    (claim,) = plan_of(f'{SPEC}expect "e":   # why\n  for all share:  # each\n  mean(sat.clean) >  1%  # so').claims
    assert claim.condition == "for all share: mean(sat.clean) > 1%"


def test_a_transfer_takes_the_only_value_of_an_axis_of_one() -> None:
    text = HEAD + (
        "sweep { share = [50%] }\n"
        "split s of d { A = random $share examples seed = 1; B = rest }\n"
        "train sat = m on s using r\ntransfer t = sat to d using r\nevaluate t { clean = clean accuracy on val }\n"
    )
    assert sum(step.kind == "head" for step in plan_of(text).steps.values()) == 1
