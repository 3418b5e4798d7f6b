"""Count what steps cost, in images that pass through a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from satdsl.catalog import overfitting_probe as probe
from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.losses import LossEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.perturbations import PerturbationEntry
from satdsl.catalog.registry import changed
from satdsl.catalog.scores import ScoreEntry
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.plan import Passes, added
from satdsl.ir.steps import (
    CatalogCall,
    Loss,
    Phase,
    Repicking,
    SeveralAttacks,
    SubsetTraining,
    Train,
    attacks_in,
    unscaled,
)


@cache
def attack(choice: CatalogCall, classes: int) -> Passes:
    """Return what measuring one image under one attack costs."""
    return AttackEntry.of(choice).measuring(choice, classes)


@cache
def robust(attacks: tuple[CatalogCall, ...], classes: int) -> Passes:
    """Return the cost of one image measured under some attacks, or without attack."""
    total = Passes() if attacks else Passes(1)
    for choice in attacks:
        total += attack(choice, classes)
    return total


@cache
def evaluation(choice: CatalogCall | None, classes: int) -> Passes:
    """Return the cost of one image of an `evaluate` step; under attack, its gradient is examined, too."""
    if choice is None or AttackEntry.of(choice).clean:
        return Passes(1)
    return attack(choice, classes) + Passes(0, 1)


def measure(choice: CatalogCall) -> Passes:
    """Return the cost of one image measured by a function of the user's own."""
    return MeasureEntry.of(choice).passes(choice)


def score(choice: CatalogCall | str, attacked: CatalogCall | None, images: int) -> Passes:
    """Return the cost of scoring images with finished weights, as they are or as an attack makes them.

    The score is one of the catalog, or the call of one of the user's own.
    """
    entry = ScoreEntry.of(choice)
    passes = Passes(0, 1) if entry.gradient else Passes(1)
    each = entry.passes(choice) if isinstance(choice, CatalogCall) else passes
    if attacked is not None:
        each += AttackEntry.of(attacked).passes(attacked)
    return each.times(images)


def training(step: Train, train: int, sizes: Sequence[int | None], selection: int, classes: int) -> Passes:
    """Return the cost of a training. `sizes` follow its subsets; an unknown size counts as all of `train`."""
    epochs, at_most, every_image = step.recipe["epochs"], False, train
    if step.part is not None:
        train, at_most = _trained_on(step.part, train, sizes)
    epoch = Passes(0, train, at_most) + watching(step, min(selection or train, probe.IMAGES))
    total = epoch.times(epochs)
    for part, size in zip(step.subsets, sizes, strict=True):
        beside = [more.times(count) for phase, count in lengths(part, epochs) if (more := attacking(phase)) != Passes()]
        total += added(beside).times(train if size is None else size)
        total = replace(total, at_most=total.at_most or (size is None and bool(beside)))
    backward = sum(ScoreEntry.of(score).gradient for score in step.scores)  # each of these takes a pass of its own
    recorded = Passes(train, train * backward, at_most)
    total += recorded.times(len(step.snapshots)) + optimising(step, train, sizes, at_most)
    if step.repick is not None:
        total += Passes(every_image * _picks(step.repick, epochs))
    if step.select is not None:
        total += robust(step.select.attacks, classes).times(selection * len(step.select.epochs))
    return total


def _picks(repick: Repicking, epochs: int) -> int:
    """Return how often subsets are picked: before the epochs k + 1, 2k + 1, ..., and where asked before the first."""
    return len(range(repick.every, epochs, repick.every)) + (repick.at_start and epochs > 0)


def _trained_on(part: int, train: int, sizes: Sequence[int | None]) -> tuple[int, bool]:
    """Return how many images one subset has, and whether that is only the most that there can be."""
    size = sizes[part]
    return (train, True) if size is None else (size, False)


def lengths(part: SubsetTraining, epochs: int) -> list[tuple[Phase, int]]:
    """Return how many epochs a subset is trained in each way, in a training of so many."""
    ends = [*[phase.first - 1 for phase in part.changes], epochs]
    return [(phase, end - phase.first + 1) for phase, end in zip(part.phases, ends, strict=True)]


def optimising(step: Train, train: int, sizes: Sequence[int | None], at_most: bool) -> Passes:
    """Return what a recipe costs beside a pass with backward for each image: perturbed weights, and averaged ones."""
    epochs, perturb, swa = step.recipe["epochs"], step.recipe.get("perturb"), step.recipe.get("swa")
    found = Passes()
    if perturb is not None:
        begins = PerturbationEntry.of(perturb).begins(perturb)
        found += Passes(0, train, at_most).times(max(0, epochs - begins))
        for part, size in zip(step.subsets, sizes, strict=True):
            for phase, count in lengths(part, epochs):
                again = max(0, min(count, phase.first - 1 + count - begins))
                more = _other_versions(phase) * again * (train if size is None else size)
                found += Passes(0, more, bool(more) and size is None)
    if swa is not None:
        found += Passes(train * max(0, epochs - swa), 0, at_most)
    return found


def attacking(phase: Phase) -> Passes:
    """Return what an attacked image costs in training beside its own pass.

    Of several attacks the strongest is found by looking at what each of them made; for the mean of their losses the
    images that each made are trained on; of those that are drawn for each batch, the mean is expected.
    """
    choice, beside = unscaled(phase.attack), loss(phase.loss)
    objective = LossEntry.of(phase.loss).objective if isinstance(phase.loss, CatalogCall) else None
    if not isinstance(choice, SeveralAttacks):
        return _made(choice, objective) + beside
    made, count = added([_made(one, objective) for one in choice.attacks]), len(choice.attacks)
    match choice.how:
        case "strongest":
            moved = any(one.get("objective", "ce") == "kl" for one in attacks_in(choice)) or objective == "kl"
            return made + Passes(count + moved) + beside
        case "mean":
            return made + Passes(loss(phase.loss, count).forward, _other_versions(phase))
        case "drawn":
            return made.times(1 / count) + beside


def _other_versions(phase: Phase) -> float:
    """Return how many versions of an image are trained on beside the one that every image has."""
    both = loss(phase.loss).forward_backward
    choice = unscaled(phase.attack)
    count = len(choice.attacks) if isinstance(choice, SeveralAttacks) and choice.how == "mean" else 1
    return both * count or count - 1


def _made(attack: CatalogCall | None, objective: str | None) -> Passes:
    """Return what one adversarial image costs, of an attack that may maximise what its loss wants."""
    if attack is None:
        return Passes()
    wanted = attack if objective is None else changed(attack, objective=objective)
    return AttackEntry.of(wanted).passes(wanted)


def loss(of: Loss | None, versions: int = 1) -> Passes:
    """Return what a loss costs for each image, of so many adversarial versions, beside the attack and its one pass.

    Networks that it asks make a forward pass of what they are asked about.
    """
    match of:
        case CatalogCall():
            return LossEntry.of(of).passes.times(versions)
        case LossFormula():
            asked = sum(versions if image == "adversarial" else 1 for _, image in of.teachers)
            return Passes(asked, (len(of.looks_at) - 1) * versions)
    return Passes()


def _attacks(step: Train) -> list[CatalogCall]:
    return [attack for part in step.subsets for attack in part.every_attack]


def watching(step: Train, images: int) -> Passes:
    """Return the cost of the probe for catastrophic overfitting after each epoch of an adversarial training."""
    made = [AttackEntry.of(choice).passes(choice) for choice in probe.probes(_attacks(step))]
    if not made:
        return Passes()
    clean, looks = Passes(1), Passes(len(made))
    return sum(made, clean + looks).times(images)


def attacked_whole(step: Train, train: int, sizes: Sequence[int | None], selection: int, classes: int) -> Passes:
    """Return the cost of the same training with its costliest attack, if it has one, on every image that it sees."""
    if step.part is not None:
        return training(step, train, sizes, selection, classes)  # whatever it attacks, it attacks all that it sees
    clean = training(step, train, [0] * len(step.subsets), selection, classes)
    phases = [phase for part in step.subsets for phase in part.phases]
    attacked = [attacking(phase) for phase in phases if phase.attack is not None]
    if not attacked:
        return clean
    return clean + max(attacked, key=lambda passes: passes.cost).times(train * step.recipe["epochs"])
