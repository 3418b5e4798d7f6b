"""Run as much of a plan as a given time allows: steps in a given order, none that would not end in time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from satdsl.ir.steps import Key


class OutOfTime(KeyboardInterrupt):
    """The time is over: what runs is stopped as by an interrupt, and what it had saved is kept."""


@dataclass(frozen=True)
class Budget:
    """The `seconds` of a run; the `order` in which its steps are begun; how long each is expected to take, if known."""

    seconds: float
    order: Sequence[Key] = ()
    expected: Mapping[Key, float] = field(default_factory=dict)

    @property
    def ranks(self) -> dict[Key, int]:
        """Return the place of each step in the order."""
        return {key: place for place, key in enumerate(self.order)}


class Clock:
    """How much of a run's time is left; a run without a budget has time for every step."""

    def __init__(self, budget: Budget | None) -> None:
        self.budget = budget
        self.held: set[Key] = set()
        self._ends = None if budget is None else time.monotonic() + budget.seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left."""
        return float("inf") if self._ends is None else max(0.0, self._ends - time.monotonic())

    def allows(self, key: Key) -> bool:
        """Return whether a step is to be begun: whether it will end in time, if it takes as long as is expected."""
        if self.budget is None:
            return True
        allowed = self.left > 0 and self.budget.expected.get(key, 0.0) <= self.left
        if not allowed:
            self.held.add(key)
        return allowed

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Raise `OutOfTime` inside when the time is over, wherever the main thread is then."""
        main = threading.current_thread() is threading.main_thread()
        if self._ends is None or not main or not hasattr(signal, "setitimer"):
            yield
            return
        before = signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, max(self.left, 1e-3))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise OutOfTime
