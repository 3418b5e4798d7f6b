"""Lower the learning rate along half a cosine (Loshchilov and Hutter, 2017), without restarts."""

from __future__ import annotations

import math

from satdsl.backend.schedules import Moment


def cosine(now: Moment, *, end: float = 0.0) -> float:
    """Return end + (1 - end) * (1 + cos(pi * t / T)) / 2 for t = 0 .. T - 1, the epochs after the warm-up."""
    share = (now.epoch - now.warmup) / (now.epochs - now.warmup)
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * share))
