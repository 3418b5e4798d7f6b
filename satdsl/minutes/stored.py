"""Read from a store what steps like those of a plan took, and how many images withstood attacks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from satdsl.engine.errors import Damaged, StoreError
from satdsl.engine.manifest import Manifest
from satdsl.engine.store import ReadableStore
from satdsl.ir.plan import Plan
from satdsl.ir.steps import BLOCK, Key, canonical
from satdsl.minutes import likeness
from satdsl.minutes.calibrations import Device

MOST = 2000
"""Manifests of other plans that are read at most."""

Described = tuple[str, Mapping[str, Any], Mapping[str, Key]]
"""The kind of a step, its settings as JSON data, and its inputs."""


@dataclass(frozen=True)
class StoredStep:
    """What one finished step took: `cost` in passes with backward, where they were counted; facts of an evaluation, and
    the network that it is of."""

    key: Key
    kind: str
    network: Key | None
    seconds: float
    cost: float | None
    images: int | None
    clean: float | None
    accuracy: float | None


class Stored:
    """The finished steps of a store that ran on one kind of device, by what they are like."""

    def __init__(self, plan: Plan, store: ReadableStore, device: Device) -> None:
        self._plan, self._store, self._device = plan, store, device
        self._manifests: dict[Key, Manifest | None] = {}
        self._described: dict[Key, Described | None] = {}
        self._texts: dict[tuple[Any, ...], str] = {}

    # --- what steps are like ---

    def like(self, key: Key, *, exact: bool = False, network: bool = True) -> str:
        """Return a text that is equal for steps whose passes take equally long, of networks that were trained alike.

        It is `exact` in the radius of an attack, and says nothing of how the `network` was trained if not asked to.
        """
        described = self._describe(key)
        if described is None:
            return ""
        kind, settings, inputs = described
        parts = [kind, self._settings(kind, settings, exact=exact), self._source(inputs.get("data"))]
        if "weights" in inputs:
            parts.append(self._network(inputs["weights"], trained=network))
        if any(role.startswith(BLOCK) for role in inputs):
            parts.append("put together of blocks")
        return "\n".join(parts)

    def _describe(self, key: Key) -> Described | None:
        if key not in self._described:
            step = self._plan.steps.get(key)
            if step is not None:
                self._described[key] = step.kind, step.settings_document, dict(step.inputs)
            else:
                found = self._manifest(key)
                self._described[key] = None if found is None else (found.kind, found.settings, found.inputs)
        return self._described[key]

    def _settings(self, kind: str, settings: Mapping[str, Any], *, exact: bool) -> str:
        """Return what settings say of the time of a pass; steps share the documents of equal settings."""
        place = "settings", id(settings), exact
        if place not in self._texts:
            self._texts[place] = canonical(_of_kind(kind, settings, exact=exact))
        return self._texts[place]

    def _source(self, data: Key | None) -> str:
        place = "data", data
        if place not in self._texts:
            described = self._describe(data) if data is not None else None
            source = None if described is None else described[1].get("source")
            self._texts[place] = canonical(likeness.without(source, likeness.OF_DATA))
        return self._texts[place]

    def _network(self, weights: Key, *, trained: bool) -> str:
        place = "network", weights, trained
        if place not in self._texts:
            described = self._describe(weights)
            found = ""
            if described is not None:
                kind, settings, inputs = described
                if kind == "train":
                    found = canonical(likeness.of_training(settings) if trained else settings.get("model"))
                elif "weights" in inputs:
                    found = canonical(settings.get("head")) + self._network(inputs["weights"], trained=trained)
            self._texts[place] = found
        return self._texts[place]

    # --- what is stored ---

    def _manifest(self, key: Key) -> Manifest | None:
        if key not in self._manifests:
            try:
                self._manifests[key] = self._store.manifest(key) if self._store.has(key) else None
            except (Damaged, StoreError):
                self._manifests[key] = None
        return self._manifests[key]

    @cached_property
    def _keys(self) -> list[Key]:
        """The steps of this plan, and where a look at others costs nothing, those of other plans."""
        ours = [key for key in self._plan.steps if self._store.has(key)]
        if not self._store.is_local:
            return ours
        others = sorted(self._store.keys() - set(ours))
        return ours + others[:MOST]

    @cached_property
    def steps(self) -> list[StoredStep]:
        """All that ran on this kind of device, as a whole."""
        found = []
        for key in self._keys:
            made = self._manifest(key)
            if made is not None and not made.continued and self._ran_here(made):
                found.append(self._stored(made))
        return found

    def _ran_here(self, made: Manifest) -> bool:
        if made.device.partition(":")[0] != self._device.kind:
            return False
        computed = made.computed
        if computed is None:
            return False
        same = computed.processor.startswith(self._device.name) or self._device.kind != "cpu"
        return same and computed.limit == self._device.limit

    def _stored(self, made: Manifest) -> StoredStep:
        facts = self._facts(made.key) if made.kind == "evaluate" else {}
        passes = made.computed.passes if made.computed is not None else None
        images, clean, accuracy = (facts.get(name) for name in ("n", "clean", "accuracy"))
        return StoredStep(
            made.key,
            made.kind,
            made.inputs.get("weights"),
            made.seconds,
            passes.cost if passes else None,
            images,
            clean,
            accuracy,
        )

    def _facts(self, key: Key) -> Mapping[str, Any]:
        """Return what an evaluation left: how many images are right, and how many withstood its attack."""
        try:
            found = json.loads((self._store.fetch(key) / "facts.json").read_text("utf-8"))
        except (Damaged, StoreError, OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _by(self, text: Callable[[Key], str]) -> Mapping[str, list[StoredStep]]:
        found: defaultdict[str, list[StoredStep]] = defaultdict(list)
        for step in self.steps:
            found[text(step.key)].append(step)
        return found

    @cached_property
    def _tiers(self) -> tuple[tuple[Callable[[Key], str], Mapping[str, list[StoredStep]]], ...]:
        likenesses: Iterable[Callable[[Key], str]] = (
            lambda key: self.like(key, exact=True),
            self.like,
            lambda key: self.like(key, exact=True, network=False),
            lambda key: self.like(key, network=False),
        )
        return tuple((text, self._by(text)) for text in likenesses)

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(step.kind for step in self.steps)

    def alike(self, key: Key) -> list[StoredStep]:
        """Return the finished steps that are most like a step, but for itself."""
        if self._plan.steps[key].kind not in self._kinds:
            return []
        for text, found in self._tiers:
            if others := [step for step in found.get(text(key), ()) if step.key != key]:
                return others
        return []

    def clean(self, weights: Key, data: Key) -> float | None:
        """Return the share of images that a network is right on without attack, where it was measured on a data set."""
        measured = [step for step in self.steps if step.network == weights and step.clean is not None and step.images]
        there = [step for step in measured if self._data_of(step.key) == data]
        return max(there, key=lambda step: step.images or 0).clean if there else None

    def _data_of(self, key: Key) -> Key | None:
        described = self._describe(key)
        return None if described is None else described[2].get("data")


def _of_kind(kind: str, settings: Mapping[str, Any], *, exact: bool) -> Any:
    """Return what the settings of a step, as JSON data, say of the time that its passes take."""
    if kind == "train":
        return likeness.of_training(settings)
    if kind in ("evaluate", "score", "head"):
        left = {name: value for name, value in settings.items() if name not in ("subsets", "block", "holdout")}
        return left if exact else likeness.without(left, likeness.OF_ATTACKS | likeness.OF_RECIPES)
    return settings.get("source") if kind == "data" else None
