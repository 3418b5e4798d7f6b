"""An interrupted training: what is ended first, what is saved, and what a second interrupt does."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from satdsl.backend.training_checkpoint import LEAST_SECONDS, SAVE_SECONDS, TrainingCheckpoint
from satdsl.backend.training_end import TrainingEnd
from satdsl.ir.interrupts import Stop, saved_first, terminated_as_interrupted


def ago(seconds: float) -> float:
    return time.monotonic() - seconds


def ending(folder: Path, said: list[str], saved: int, *, asked: bool = True) -> TrainingEnd:
    checkpoint = TrainingCheckpoint(folder, "key")
    checkpoint.saved = saved
    return TrainingEnd(Stop(asked), checkpoint, 10, said.append)


def test_an_epoch_that_takes_long_is_given_up_if_those_before_it_are_saved(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        ending(tmp_path, said, 3).after_batch(3, 0.5, began=ago(LEAST_SECONDS + 1))
    assert said == ["epochs 1 to 3 of 10 are saved, and it goes on with epoch 4"]
    with pytest.raises(KeyboardInterrupt):
        ending(tmp_path, said, 0).after_batch(0, 0.5, began=ago(LEAST_SECONDS + 1))
    assert said[1:] == ["none of its 10 epochs is done, and it begins anew"]


@pytest.mark.parametrize(("saved", "seconds"), [(3, LEAST_SECONDS - 1), (2, LEAST_SECONDS + 1)])
def test_one_that_ends_soon_or_follows_one_that_is_not_saved_is_ended_and_saved(
    saved: int, seconds: float, tmp_path: Path
) -> None:
    said: list[str] = []
    end = ending(tmp_path, said, saved)
    for share in (0.5, 0.75, 1.0):  # it is told once
        end.after_batch(3, share, began=ago(seconds * 2 * share))
    assert said == [f"epoch 4 of 10 is ended first, in {seconds:.0f} s; Ctrl-C again ends at once"]
    with pytest.raises(KeyboardInterrupt):
        end.between_epochs(4, lambda: {"completed": 4}, lambda: None)
    assert said[1:] == ["epochs 1 to 4 of 10 are saved, and it goes on with epoch 5"]
    assert TrainingCheckpoint(tmp_path, "key").load("cpu") == {"completed": 4, "key": "key"}


def test_a_training_that_is_not_to_stop_hears_nothing_of_it(tmp_path: Path) -> None:
    end = ending(tmp_path, [], 3, asked=False)
    end.after_batch(3, 0.5, began=ago(100))
    end.between_epochs(4, lambda: pytest.fail("saved"), lambda: None)


def test_a_state_is_saved_the_more_often_the_less_it_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("satdsl.backend.training_checkpoint.time.monotonic", lambda: now)
    checkpoint, waits = TrainingCheckpoint(tmp_path, "key"), []
    for cost in (0.0, 0.2, 100.0):
        checkpoint._took, began = cost, now
        while not checkpoint.due:
            now += 0.5
        waits.append(now - began)
        checkpoint._last = now
    assert waits == [LEAST_SECONDS + 0.5, 10.5, SAVE_SECONDS + 0.5]


def interrupted(*numbers: int) -> int:
    """Send these signals inside of `saved_first`, and return after how many it ended."""
    heard = 0
    try:
        with saved_first() as stop:
            for number in numbers:
                heard += 1
                os.kill(os.getpid(), number)
                assert stop.asked
    except KeyboardInterrupt:
        return heard
    pytest.fail("the interrupt is lost")


def test_the_first_interrupt_is_noted_the_second_ends_at_once_and_a_termination_may_come_twice() -> None:
    with terminated_as_interrupted():
        assert interrupted(signal.SIGTERM, signal.SIGTERM, signal.SIGTERM) == 3
        assert interrupted(signal.SIGINT) == 1
        assert interrupted(signal.SIGINT, signal.SIGINT, signal.SIGINT) == 2
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with saved_first() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGINT, before)
