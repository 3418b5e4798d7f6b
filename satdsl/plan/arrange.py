"""Put the subsets of a split into a canonical order, so that neither names nor the order of lines change a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import (
    ITSELF,
    Combined,
    Key,
    Loss,
    Pick,
    Ranking,
    Rest,
    Subset,
    SubsetTraining,
    Train,
    Weight,
    WeightFormula,
    Where,
    key_text,
)


def canonical(
    subsets: Sequence[Subset], inputs: Mapping[str, Key], sources: Mapping[str, tuple[str, Key]]
) -> tuple[tuple[Subset, ...], dict[str, Key], tuple[int, ...]]:
    """Return the subsets ordered by the text of their definitions, with `rest` last; the inputs; and the order.

    `sources` gives for each role that a ranking names the score and the step that has it. Roles are numbered anew, by
    score and key, so that they depend on what is ranked by and not on what is written first.
    """
    numbered = {source: f"ranking{i}" for i, source in enumerate(sorted(set(sources.values())))}
    roles = {role: numbered[source] for role, source in sources.items()}
    renamed = [_renamed(subset, roles) for subset in subsets]
    order = sorted(range(len(renamed)), key=lambda i: (isinstance(renamed[i], Rest), key_text(renamed[i])))
    rankings = {role: key for (_, key), role in numbered.items()}
    return tuple(renamed[i] for i in order), {**inputs, **rankings}, tuple(order)


def _renamed(subset: Subset, roles: Mapping[str, str]) -> Subset:
    """Return a definition whose rankings name the new roles."""
    if not roles:
        return subset
    match subset:
        case Pick():
            within = None if subset.within is None else _renamed(subset.within, roles)
            ranking = None if subset.ranking is None else _ranking(subset.ranking, roles)
            return replace(subset, within=within, ranking=ranking)
        case Where():
            return replace(subset, ranking=_ranking(subset.ranking, roles))
        case Combined():
            return replace(subset, left=_renamed(subset.left, roles), right=_renamed(subset.right, roles))
    return subset


def _ranking(ranking: Ranking, roles: Mapping[str, str]) -> Ranking:
    return ranking if ranking.of in (None, ITSELF) else replace(ranking, of=roles[ranking.of])


def by_itself(subset: Subset) -> bool:
    """Return whether a definition ranks images by the training that uses the split."""
    match subset:
        case Pick():
            own: bool = subset.ranking is not None and subset.ranking.of == ITSELF
            return own or (subset.within is not None and by_itself(subset.within))
        case Combined():
            return by_itself(subset.left) or by_itself(subset.right)
    return False


def weight(given: Weight, order: Sequence[int]) -> Weight:
    """Return a loss weight whose formula counts the subsets in canonical order."""
    if not isinstance(given, WeightFormula):
        return given
    return WeightFormula(_counted(given.formula, {i: place for place, i in enumerate(order)}))


def sharing(train: Train, shares: Sequence[float | None], epoch_images: int | None) -> Train:
    """Return a training whose subsets have shares of every batch."""
    subsets = tuple(replace(one, share=share) for one, share in zip(train.subsets, shares, strict=True))
    return replace(train, subsets=subsets, epoch_images=epoch_images)


def _counted(formula: Any, places: Mapping[int, int]) -> Any:
    if not isinstance(formula, tuple):
        return formula
    if formula[0] in ("size", "classes"):
        return formula[0], places[formula[1]]
    return formula[0], *(_counted(part, places) for part in formula[1:])


def teachers(keys: Sequence[Key]) -> tuple[dict[str, Key], tuple[int, ...]]:
    """Return the inputs of the networks that losses ask, numbered by their keys, and the number of each of `keys`."""
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    return {f"teacher{number}": key for key, number in numbers.items()}, tuple(numbers[key] for key in keys)


def asking(training: SubsetTraining, teachers: Sequence[int]) -> SubsetTraining:
    """Return how a subset is trained, its losses asking networks by the numbers of the step's inputs."""
    changes = tuple(replace(phase, loss=_loss(phase.loss, teachers)) for phase in training.changes)
    return replace(training, loss=_loss(training.loss, teachers), changes=changes)


def _loss(given: Loss | None, teachers: Sequence[int]) -> Loss | None:
    return given.renumbered(teachers) if isinstance(given, LossFormula) and teachers else given
