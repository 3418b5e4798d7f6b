"""Find which results are draws of the same thing: those whose steps differ in nothing but seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from satdsl.ir.plan import Part, Plan, Point, Result
from satdsl.ir.steps import CatalogCall, Data, Key, OfClasses, Settings, Split, canonical, document


class Replicates:
    """Tells draws from different experiments by the steps themselves: no axis needs a certain name."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[Key, str] = {}

    def of(self, result: Result, class_name: str | None) -> str:
        """Return the same text for results that are draws of one another."""
        steps = [self.of_step(key) for key in result.measure.steps]
        return _digest([steps, result.measure.words, result.part.name, class_name])

    def of_step(self, key: Key) -> str:
        """Return a step's identity when every seed in it and in what it is made from is left out."""
        if key not in self._known:
            step = self._plan.steps[key]
            inputs = {role: self.of_step(source) for role, source in step.inputs}
            self._known[key] = _digest([step.kind, _seedless(document(_undrawn(step.settings))), inputs])
        return self._known[key]

    def of_call(self, call: CatalogCall) -> str:
        """Return the identity of an attack, or another call, when its seed is left out."""
        return _digest(_seedless(call.document))

    def of_images(self, part: Part) -> str:
        """Return the identity of the data that a part is of; images to train on do not change those of validation."""
        step = self._plan.steps[part.data]
        if part.base == "train" or step.inputs or not isinstance(step.settings, Data):
            return self.of_step(part.data)
        return _digest(_seedless({**step.settings.source.document, "limit": None}))


def common_point(points: Sequence[Point]) -> Point:
    """Return what the points of draws agree on, in the order of the first."""
    return tuple(item for item in points[0] if all(item in point for point in points))


def with_seeds(name: str, draws: int) -> str:
    """Return `sat[order=hardest], 3 seeds`; the name alone of a single draw."""
    return name + (f", {draws} seeds" if draws > 1 else "")


def _undrawn(settings: Settings) -> Settings:
    """Return a split with the number of the classes that a seed chose in place of their names."""
    if not isinstance(settings, Split):
        return settings
    subsets = [
        OfClasses((len(subset.classes),)) if isinstance(subset, OfClasses) and subset.drawn else subset
        for subset in settings.subsets
    ]
    return replace(settings, subsets=tuple(subsets))


def _seedless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _seedless(entry) for name, entry in value.items() if name != "seed"}
    if isinstance(value, list):
        return [_seedless(entry) for entry in value]
    return value


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()
