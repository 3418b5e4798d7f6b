"""`evaluate a, b, c { ... }` takes the same measures of several networks."""

from __future__ import annotations

import pytest

from satdsl.check import analyse, check
from satdsl.findings import Source
from satdsl.plan.expand import expand

THREE = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn()
attack near = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)
recipe r = sgd(epochs=1)
split s of d { A = class 1, 2; B = rest }
train a = m on d using r
train b = m on s using r { attack A with near }
train c = m on s using r { attack all with near }
"""


def findings(text: str) -> list[str]:
    found = analyse(Source("spec.sat", text)).findings
    return [f"{one.code} {one.message}" for one in found if one.severity == "error"]


def test_each_network_has_every_result_and_the_plan_is_that_of_the_statements_written_out():
    lines = "{ clean = clean accuracy on val; robust = robust accuracy under near on val by class }\n"
    together = expand(check("spec.sat", THREE + f"evaluate a, b, c {lines}"))
    apart = expand(check("spec.sat", THREE + "".join(f"evaluate {name} {lines}" for name in "abc")))
    assert [one.name for one in together.results] == [f"{n}.{m}" for n in "abc" for m in ("clean", "robust")]
    assert list(together.steps) == list(apart.steps)
    assert [one.measure for one in together.results] == [one.measure for one in apart.results]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("evaluate a, b, a { x = clean accuracy on val }", ["E201 `a` is named twice"]),
        ("evaluate a, none { x = clean accuracy on val }", ["E203 there is no training or transfer called `none`"]),
        ("evaluate a, b, c { x = robust accuracy under far on val }", ["E203 there is no attack called `far`"]),
        ("evaluate b, c { x = clean accuracy on A_val }", []),
        ("evaluate b, c { x = clean accuracy on C_val }", ["E407 there is no part called `C_val`"]),
        ("evaluate a, b { x = clean accuracy on A_val }", ["E407 there is no part called `A_val`"]),
        (
            "evaluate a, b, c { x = clean accuracy on C_val }",
            ["E407 there is no part called `C_val`", "E407 there is no part called `C_val` (of `b` and `c`)"],
        ),
        (
            "evaluate b { x = clean accuracy on val }\nevaluate a, b { x = clean accuracy on train }",
            ["E201 `b.x` is already measured"],
        ),
    ],
)
def test_what_is_wrong_is_said_once_and_of_the_right_network(statement, found):
    assert findings(THREE + statement + "\n") == found


def test_a_network_that_is_not_there_loses_the_others_nothing():
    found = analyse(Source("spec.sat", THREE + "evaluate a, gone { x = clean accuracy on val }\n"))
    assert list(found.results) == ["a.x"]


def test_a_finding_that_some_networks_have_says_why_for_each_of_them():
    (one,) = analyse(Source("spec.sat", THREE + "evaluate a, b { x = clean accuracy on A_val }\n")).findings
    assert one.reason == "`a` is trained on data without subsets"
