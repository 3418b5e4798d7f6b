"""Say where steps of one plan were computed on processors of several kinds, or with other numbers of threads.

Both round sums otherwise, which a training amplifies, so that numbers differ as those of other seeds do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key, Train
from satdsl.ir.work import Computation

T = TypeVar("T")

NAMED = 4
"""Steps of each kind that are named; the others are counted."""


def differences(plan: Plan, computed: Mapping[Key, Computation]) -> tuple[str, ...]:
    """Return a sentence for what differs among steps that compute with networks, whose manifests say this.

    A large network takes more threads than a small one. So threads are compared among steps of one kind with the same
    network.
    """
    own = {key: computed[key] for key in plan.shown if key in computed and _model(plan, key) is not None}
    sentences = []
    processors: dict[str, list[Key]] = defaultdict(list)
    for key, one in own.items():
        processors[one.processor].append(key)
    if len(processors) > 1:
        parts = [f"{name}: {_named(plan, keys)}" for name, keys in _fewest_last(processors)]
        sentences.append(f"Steps were computed on processors that round differently ({'; '.join(parts)}).")
    threads: dict[int, list[Key]] = defaultdict(list)
    for key in _unlike(plan, own):
        threads[own[key].threads].append(key)
    if threads:
        parts = [f"{count}: {_named(plan, keys)}" for count, keys in _fewest_last(threads)]
        sentences.append(
            f"Steps with the same network were computed with other numbers of threads ({'; '.join(parts)})."
        )
    return tuple(sentences)


def _unlike(plan: Plan, own: Mapping[Key, Computation]) -> Iterator[Key]:
    """Give the steps of each group that is not computed with one number of threads."""
    groups: dict[Hashable, list[Key]] = defaultdict(list)
    for key in own:
        groups[plan.steps[key].kind, _model(plan, key)].append(key)
    for keys in groups.values():
        if len({own[key].threads for key in keys}) > 1:
            yield from keys


def _model(plan: Plan, key: Key) -> Hashable:
    """Return the network that a step computes with; None where it computes with none."""
    step = plan.steps[key]
    if isinstance(step.settings, Train):
        return step.settings.model, step.settings.recipe.get("batch")
    weights = dict(step.inputs).get("weights")
    return None if weights is None else _model(plan, weights)


def _fewest_last(groups: Mapping[T, list[Key]]) -> list[tuple[T, list[Key]]]:
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _named(plan: Plan, keys: Sequence[Key]) -> str:
    names = ", ".join(plan.labels[key] for key in keys[:NAMED])
    return f"{names} and {len(keys) - NAMED} more" if len(keys) > NAMED else names
