"""Change the learning rate: what a schedule multiplies it by at each moment of a training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """A moment of a training: how many of its `epochs`, the first `warmup` of them included, are completed.

    It falls within an epoch, `epoch` being a fraction, for schedules with a rise of their own only.
    """

    epoch: float
    epochs: int
    warmup: int
