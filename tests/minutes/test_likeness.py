"""What takes equally long for each pass is alike; what takes another time is not."""

from __future__ import annotations

import pytest

from satdsl.compile import check
from satdsl.ir.steps import Train
from satdsl.minutes.likeness import of_piece
from satdsl.plan.expand import expand

SPEC = """sat 1
dataset d = digits(holdout=20%)
model m = small_cnn(width=4)
recipe r = sgd(epochs=2, batch=64, lr=0.1, schedule=step(at=[1]))
attack p = pgd(norm=L2, eps=0.5, steps=7, step_size=0.1)
train t = m on d using r { attack all with p }
evaluate t { clean = clean accuracy on val }
"""


def likeness(old: str = "", new: str = "") -> str:
    """What the training is like after a change of the specification."""
    assert old in SPEC
    plan = expand(check("x.sat", SPEC.replace(old, new) if old else SPEC, {}))
    ((key, settings),) = ((key, one.settings) for key, one in plan.steps.items() if isinstance(one.settings, Train))
    return of_piece(plan.pieces[key][0], settings, "2 cores")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("eps=0.5", "eps=0.7"),
        ("step_size=0.1", "step_size=0.2"),
        ("epochs=2", "epochs=9"),
        ("lr=0.1", "lr=0.3"),
        ("at=[1]", "at=[1], factor=0.5"),
        ("{ attack", "{ seed = 4; attack"),
        ("digits(", "digits(limit=500, "),
    ],
)
def test_what_a_pass_takes_no_longer_for_makes_no_difference(old: str, new: str) -> None:
    assert likeness(old, new) == likeness()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("steps=7", "steps=8"),
        ("norm=L2", "norm=Linf"),
        ("width=4", "width=8"),
        ("batch=64", "batch=32"),
        ("digits(", "digits(augment=[crop(padding=1)], "),
        ("attack all with p", "attack all with p; loss all = trades"),
        ("lr=0.1", "lr=0.1, precision=bf16"),
    ],
)
def test_what_it_takes_another_time_for_does(old: str, new: str) -> None:
    assert likeness(old, new) != likeness()
