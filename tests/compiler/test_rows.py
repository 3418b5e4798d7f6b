"""Axes that name a row: what uses one of axes that move together, or that one decides, is picked by the others too."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satdsl.check import analyse, check
from satdsl.check.rows import naming
from satdsl.findings import Source
from satdsl.ir.plan import Plan, Selected
from satdsl.ir.steps import Train
from satdsl.plan.expand import expand

TRICKS = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn()
sweep { (trick, wd, size) = [(base, 5e-4, 128), (small_decay, 1e-4, 128), (small_batch, 5e-4, 64)] }
recipe r = sgd(epochs=1, weight_decay=$wd)
recipe q = sgd(epochs=1, weight_decay=$wd, batch=$size)
train at = m on d using r
train both = m on d using q
evaluate at, both { clean = clean accuracy on val }
"""

DECIDED = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn()
sweep { trick = [base, small]; wd = 1e-4 if $trick == small else 5e-4; note = ["few" : 1, "more": 2] }
recipe r = sgd(epochs=1, weight_decay=$wd)
train at = m on d using r
evaluate at { clean = clean accuracy on val }
"""


def planned(text: str) -> Plan:
    return expand(check("spec.sat", text))


def points(plan: Plan, name: str) -> list[str]:
    return [", ".join(f"{axis}={label}" for axis, label in one.point) for one in plan.results if one.name == name]


def test_a_result_has_the_axes_that_are_asked_for_and_no_others():
    plain = planned(TRICKS + 'table "t" = rows(at.clean, both.clean)\n')
    assert points(plain, "at.clean") == ["wd=0.0005", "wd=0.0001"]
    asked = planned(TRICKS + 'table "t" = rows(at.clean, both.clean, by=[$trick])\n')
    assert points(asked, "at.clean") == [
        "trick=base, wd=0.0005",
        "trick=small_decay, wd=0.0001",
        "trick=small_batch, wd=0.0005",
    ]
    assert asked.steps == plain.steps
    assert {one.rows for one in asked.results} == {("trick",)}


@pytest.mark.parametrize(
    "statement",
    [
        'table "t" = rows(at.clean, by=[$trick])',
        'table "t" = rows(at.clean, by=[$trick, $size])',
        'plot "t" = line(y=at.clean, x=$trick)',
        'plot "t" = bars(y=both.clean, x=$size, series=$trick)',
        'plot "t" = bars(y=at.clean[trick=base], x=$wd)',
        'expect "t": at.clean[trick=base] > at.clean[trick=small_decay]',
        'expect "t": at.clean[trick=base] == at.clean[wd=5e-4]',
        'expect "t": for all trick: at.clean > 1%',
        'expect "t": for all trick in [base, small_batch]: at.clean > mean(both.clean)',
        "published at.clean[trick=base] = 93%",
        "published for all trick: both.clean = [93%, 94%, 95%]",
        "train more = m on d using r { start from at[trick=base] }\nevaluate more { x = clean accuracy on val }",
        "transfer w = at[trick=small_decay] to d using r\nevaluate w { x = clean accuracy on val }",
        "split s of d { A = hardest 10% examples by entropy of at[trick=base]; B = rest }\n"
        "train more = m on s using r\nevaluate more { x = clean accuracy on val }",
    ],
)
def test_a_row_is_named_wherever_a_point_is(statement):
    assert not [one for one in analyse(Source("s.sat", f"{TRICKS}{statement}\n")).findings if one.severity == "error"]


@pytest.mark.parametrize("trick", ["base", "small"])
def test_an_axis_that_decides_another_names_its_rows(trick):
    plan = planned(DECIDED + f'expect "t": at.clean[trick={trick}] > 1%\n')
    (claim,) = plan.claims
    assert claim.comparisons[0].left == Selected("at.clean", (("trick", trick),))
    assert points(plan, "at.clean") == ["trick=base, wd=0.0005", "trick=small, wd=0.0001"]


def test_a_point_that_names_a_row_is_the_point_of_its_values():
    def decays(selector: str) -> list[float]:
        text = f"{TRICKS}train more = m on d using q {{ start from at[{selector}] }}\n"
        plan = planned(text + "evaluate more { x = clean accuracy on val }\n")
        found = []
        for step in plan.steps.values():
            if isinstance(step.settings, Train) and "start" in dict(step.inputs):
                before = plan.steps[dict(step.inputs)["start"]].settings
                assert isinstance(before, Train)
                found.append(before.recipe["weight_decay"])
        return found

    assert decays("trick=base") == decays("wd=5e-4") == [5e-4] * 3
    assert decays("trick=small_decay") == [1e-4] * 3


def test_a_point_may_be_named_by_an_axis():
    text = TRICKS.replace("sweep {", "sweep { other = [base, small_decay];")
    plan = planned(
        text + "train more = m on d using r2 { start from at[trick=$other] }\nrecipe r2 = sgd(epochs=1)\n"
        "evaluate more { x = clean accuracy on val }\n"
    )
    assert points(plan, "more.x") == ["other=base", "other=small_decay"]


def test_an_axis_that_settles_nothing_is_still_a_mistake():
    found = analyse(Source("s.sat", TRICKS + 'expect "t": at.clean[size=64] > 1%\n')).findings
    (error,) = [one for one in found if one.severity == "error"]
    assert error.code == "E701"
    assert error.reason.startswith("`size` and `wd` belong together")
    found = analyse(Source("s.sat", DECIDED + 'table "t" = rows(at.clean, by=[$note])\n')).findings
    assert [one.code for one in found if one.severity == "error"] == ["E701"]


def test_other_statements_see_nothing_of_the_axes_that_one_names():
    claim = 'expect "t": at.clean[wd=5e-4] > 1%\nplot "p" = line(y=at.clean, x=$wd)\n'
    assert not [
        one
        for one in analyse(Source("s.sat", f'{TRICKS}table "t" = rows(at.clean, by=[$trick])\n{claim}')).findings
        if one.severity == "error"
    ]


@given(rows=st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=5, unique=True))
def test_an_axis_names_rows_where_it_settles_or_is_settled_and_only_there(rows):
    listed = ", ".join(f"({', '.join(map(str, row))})" for row in rows)
    text = f"sat 1\nsweep {{ (a, b, c) = [{listed}]; e = 1..2 }}\n"
    axes = analyse(Source("s.sat", text)).axes
    places = dict(zip("abc", range(3), strict=True))
    for own, name in product("abc", "abc"):
        pairs = {(row[places[own]], row[places[name]]) for row in rows}
        one_each = any(len({pair[side] for pair in pairs}) == len(pairs) for side in (0, 1))
        assert naming(axes, {own}, {name, "e"}) == ((name,) if one_each and own != name else ())


LABELS = "sweep { (wd, size) = [base: (5e-4, 128), 0.5: (1e-4, 64), (5e-3, 64)] }\n"


def labelled(rest: str, sweep: str = LABELS) -> Plan:
    text = "sat 1\ndataset d = digits()\nmodel m = small_cnn()\n" + sweep
    text += "recipe r = sgd(epochs=1, weight_decay=$wd, batch=$size)\nrecipe q = sgd(epochs=1, batch=$size)\n"
    text += "train t = m on d using r\ntrain u = m on d using q\nevaluate t, u { x = clean accuracy on val }\n"
    return planned(text + rest)


def test_a_label_before_a_tuple_names_the_row():
    plan = labelled('expect "t": t.x[wd=base] > u.x[wd=0.5]\nexpect "u": t.x[wd=0.005] > u.x[size=128]\n')
    assert points(plan, "t.x") == ["wd=base, size=128", "wd=0.5, size=64", "wd=0.005, size=64"]
    decays = [s.settings.recipe["weight_decay"] for s in plan.steps.values() if isinstance(s.settings, Train)]
    assert decays[:3] == [5e-4, 1e-4, 5e-3]


def test_a_condition_may_compare_with_the_label_of_a_tuple():
    plan = labelled("", LABELS.replace(" }", "; boost = 2 if $wd == base else 1 }"))
    assert points(plan, "t.x")[0] == "wd=base, size=128"


@pytest.mark.parametrize("values", ["base: (5e-4, 128), base: (1e-4, 64)", "5e-4: (1e-4, 128), (5e-4, 64)"])
def test_a_label_of_two_rows_is_an_error(values):
    text = f"sat 1\nsweep {{ (wd, size) = [{values}] }}\n"
    assert "E201" in [one.code for one in analyse(Source("s.sat", text)).findings]
