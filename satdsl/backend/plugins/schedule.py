"""Change the learning rate by a plug-in: `(epoch, epochs, *, ...)` to a factor."""

from __future__ import annotations

import math
from numbers import Real

from torch import Tensor

from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.returned import kind
from satdsl.backend.schedules import Moment


class PluginSchedule:
    """A schedule as a recipe calls it."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._known: dict[Moment, float] = {}

    def __call__(self, now: Moment) -> float:
        """Return the factor in an epoch; those after the warm-up are counted from 0."""
        if now not in self._known:
            self._known[now] = self._asked(now)
        return self._known[now]

    def _asked(self, now: Moment) -> float:
        plugin, epoch, epochs = self._plugin, int(now.epoch) - now.warmup, now.epochs - now.warmup
        factor = plugin(0, epoch=epoch, epochs=epochs)
        if isinstance(factor, Tensor) and factor.numel() == 1:
            factor = factor.item()
        if isinstance(factor, bool) or not isinstance(factor, Real):
            raise plugin.wrong(f"returns {kind(factor)}, not a number", "return the factor of the learning rate")
        if not math.isfinite(factor) or factor < 0:
            raise plugin.wrong(
                f"returns {float(factor):g} for epoch {epoch} of {epochs}, and a learning rate is neither negative nor "
                "NaN",
                "return what the recipe's learning rate is multiplied by, 0 or more",
            )
        return float(factor)
