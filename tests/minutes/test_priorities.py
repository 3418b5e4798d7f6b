"""What decides most claims for each second comes first, with what claims share counted once."""

from __future__ import annotations

from satdsl.compile import check
from satdsl.ir.plan import Plan
from satdsl.minutes.priorities import by_claims, decided
from satdsl.plan.expand import expand

SPEC = """sat 1
dataset d = digits(holdout=20%)
model m = small_cnn(width=4)
recipe r = sgd(epochs=2, batch=64, lr=0.1)
train a = m on d using r
train b = m on d using r { seed = 1 }
train c = m on d using r { seed = 2 }
evaluate a { v = clean accuracy on val }
evaluate b { v = clean accuracy on val }
evaluate c { v = clean accuracy on val }
expect "one": a.v > 10%
expect "two": a.v > b.v
expect "three": c.v > 10%
"""


def plan() -> Plan:
    return expand(check("x.sat", SPEC, {}))


def ordered(made: Plan, **seconds: float) -> list[str]:
    """The trainings in order, where each takes so long."""
    times = {key: seconds.get(label.removeprefix("train "), 0.1) for key, label in made.labels.items()}
    order = by_claims(made, made.steps, times)
    assert sorted(order) == sorted(made.steps)
    return [made.labels[key].removeprefix("train ") for key in order if made.steps[key].kind == "train"]


def test_the_quickest_claim_comes_first() -> None:
    assert ordered(plan(), a=5, b=1, c=2) == ["c", "a", "b"]


def test_a_step_that_two_claims_share_is_counted_once() -> None:
    """With `a` and `b` two claims are decided in 5 seconds; one each takes 4 (`a`) and 3 (`c`)."""
    assert ordered(plan(), a=4, b=1, c=3) == ["a", "b", "c"]


def test_of_equals_the_first_of_the_file_comes_first() -> None:
    assert ordered(plan(), a=2, b=2, c=2) == ["a", "b", "c"]


def test_what_is_stored_takes_no_time() -> None:
    made = plan()
    times = dict.fromkeys(made.steps, 1.0)
    stored = [key for key, label in made.labels.items() if label.endswith("train a") or "evaluate a" in label]
    order = by_claims(made, [key for key in made.steps if key not in stored], times)
    assert not set(order) & set(stored)


def test_a_claim_is_decided_when_nothing_it_rests_on_is_left() -> None:
    made = plan()
    left = [key for key, label in made.labels.items() if label == "train b"]
    assert list(decided(made, left)) == [True, False, True]
