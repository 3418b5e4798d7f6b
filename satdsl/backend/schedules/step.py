"""Drop the learning rate after some epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from satdsl.backend.schedules import Moment


def step(now: Moment, *, at: Sequence[int], factor: float) -> float:
    """Return `factor` to the power of the drops that have come: one at each number of epochs in `at`."""
    return math.pow(factor, sum(now.epoch >= drop for drop in at))
