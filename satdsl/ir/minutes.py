"""Define what is known of the time that the steps of a plan take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from satdsl.ir.plan import Passes
from satdsl.ir.steps import Key

Source = Literal["stored", "measured"]
"""What a time is known from: steps like it that are stored, or batches that `explain --measure` tried."""


@dataclass(frozen=True)
class Seconds:
    """A time: what is expected, and between which values what it was known from lies."""

    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Seconds:
        """Return the mean of some measured times, and the shortest and the longest."""
        found = list(values)
        return cls(sum(found) / len(found), min(found), max(found))

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.expected + other.expected, self.low + other.low, self.high + other.high)

    def times(self, count: float) -> Seconds:
        return Seconds(self.expected * count, self.low * count, self.high * count)


@dataclass(frozen=True)
class StepTime:
    """The time of one step, and the passes that are expected of it; None where nothing is known."""

    seconds: Seconds
    source: Source
    passes: Passes
    standing: str = ""
    """Where an attack leaves broken images alone: from what it is known how many withstand it."""


@dataclass(frozen=True)
class Price:
    """What an hour costs, of each core or each GPU that is used; and the power that it draws."""

    per_hour: float | None = None
    unit: Literal["gpu", "cpu"] = "cpu"
    watts: float | None = None


@dataclass(frozen=True)
class Minutes:
    """The times of a plan's steps on one kind of device."""

    device: str
    """In words: `2 cores of AMD EPYC 9B14`."""
    cores: int
    steps: Mapping[Key, StepTime | None]
    """Of each step that is to run; None where its time is not known."""
    workers: Mapping[int, Seconds]
    """How long they take all together, by how many run at once. It is without the steps whose time is not known."""
    start: Seconds | None = None
    """What starting a process takes, which is in `workers`; None where it was not measured."""
    price: Price = field(default_factory=Price)

    @property
    def unknown(self) -> tuple[Key, ...]:
        return tuple(key for key, time in self.steps.items() if time is None)

    def known(self, keys: Iterable[Key]) -> Seconds:
        """Return how long those of some steps whose time is known take, one after the other."""
        total = Seconds()
        for key in keys:
            time = self.steps.get(key)
            if time is not None:
                total += time.seconds
        return total
