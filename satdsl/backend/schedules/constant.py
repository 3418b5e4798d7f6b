"""The constant learning rate."""

from __future__ import annotations

from satdsl.backend.schedules import Moment


def constant(now: Moment) -> float:
    return 1.0
