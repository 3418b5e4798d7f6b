"""Raise and lower the learning rate linearly, once (Smith and Topin, 2018)."""

from __future__ import annotations

from satdsl.backend.schedules import Moment


def cyclic(now: Moment, *, peak: float) -> float:
    """Return what rises from 0 to 1 at `peak` epochs, and falls to 0 at the end."""
    return min(now.epoch / peak, (now.epochs - now.epoch) / (now.epochs - peak))
