"""What is measured, scored, transferred and trained further after an epoch, against trainings that end there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from satdsl.backend import weights
from satdsl.ir.steps import Evaluate, Head, Score, Selection
from satdsl.ir.work import StepError

from .workshop import HOLDOUT, Workshop, call, columns_of, curves_of, pgd, sgd, training, weights_of

CLEAN = Evaluate(None, "val", HOLDOUT)


def after(epoch: int, attack: object = None) -> Evaluate:
    return Evaluate(attack, "val", HOLDOUT, epoch=epoch)  # type: ignore[arg-type]


@pytest.fixture
def long(workshop: Workshop, few_digits: Path) -> Path:
    """A training of three epochs at one learning rate that keeps the weights of the first two."""
    return workshop.do(training(3, keep_weights=(1, 2)), data=few_digits)


@pytest.fixture
def short(workshop: Workshop, few_digits: Path) -> Path:
    """The same training, ended after two epochs."""
    return workshop.do(training(2), data=few_digits)


def test_a_measure_after_an_epoch_is_that_of_a_training_that_ends_there(
    workshop: Workshop, few_digits: Path, long: Path, short: Path
) -> None:
    for attack in (None, pgd()):
        found = workshop.do(after(2, attack), weights=long, data=few_digits)
        expected = workshop.do(Evaluate(attack, "val", HOLDOUT), weights=short, data=few_digits)
        for name, column in columns_of(expected, "rows").items():
            assert np.array_equal(columns_of(found, "rows")[name], column)
    other = columns_of(workshop.do(CLEAN, weights=long, data=few_digits), "rows")
    assert not np.array_equal(other["correct"], columns_of(found, "rows")["correct"])


def test_a_score_after_an_epoch_is_that_of_a_training_that_ends_there(
    workshop: Workshop, few_digits: Path, long: Path, short: Path
) -> None:
    found = workshop.do(Score("loss", None, 2), weights=long, data=few_digits)
    expected = workshop.do(Score("loss", None), weights=short, data=few_digits)
    assert np.array_equal(columns_of(found, "scores")["loss"], columns_of(expected, "scores")["loss"])


def test_a_training_and_a_transfer_begin_with_the_weights_of_an_epoch(
    workshop: Workshop, few_digits: Path, long: Path, short: Path
) -> None:
    pairs = [
        (training(1, start_epoch=2), training(1), "start"),
        (Head(call("linear"), sgd(1), (), None, epoch=2), Head(call("linear"), sgd(1), (), None), "weights"),
    ]
    for named, ended, role in pairs:
        found = workshop.do(named, data=few_digits, **{role: long})
        expected = workshop.do(ended, data=few_digits, **{role: short})
        assert curves_of(found)[0]["loss"] == curves_of(expected)[0]["loss"]
        for name, tensor in weights_of(expected).items():
            assert weights_of(found)[name].equal(tensor)


def test_the_last_weights_of_a_training_that_selects_are_measured_by_their_epoch(
    workshop: Workshop, few_digits: Path
) -> None:
    """The only candidate before the end is the one that is chosen, or else the end is: both are told apart here."""
    out = workshop.do(training(2, select=Selection((), (1, 2)), keep_weights=(1, 2)), data=few_digits)
    plain = workshop.do(training(2), data=few_digits)
    found = columns_of(workshop.do(after(2), weights=out, data=few_digits), "rows")
    assert np.array_equal(
        found["correct"], columns_of(workshop.do(CLEAN, weights=plain, data=few_digits), "rows")["correct"]
    )


def test_an_epoch_that_was_not_kept_is_no_other_one(workshop: Workshop, few_digits: Path, short: Path) -> None:
    with pytest.raises(StepError, match=r"weights-epoch-1\.safetensors is not there"):
        workshop.do(after(1), weights=short, data=few_digits)
    assert weights.stored(short).keys() == weights_of(short).keys()
