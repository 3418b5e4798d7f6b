"""Count what steps cost, in images that pass through a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from satdsl.catalog import overfitting_probe as probe
from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.losses import LossEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.perturbations import PerturbationEntry
from satdsl.catalog.registry import changed
from satdsl.catalog.scores import ScoreEntry
from satdsl.ir import batches
from satdsl.ir.experiment import Dataset
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.plan import Passes, SelectionCost, added
from satdsl.ir.steps import (
    CatalogCall,
    Loss,
    Phase,
    Repicking,
    Selection,
    SeveralAttacks,
    SubsetTraining,
    Train,
    attacks_in,
    unscaled,
)

AT_ONCE = 500
"""Images that are attacked together. A score that takes a gradient is tried on the first few, which are attacked for it
together with the rest of their batch."""


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


@cache
def work(model: CatalogCall, shape: tuple[int, int, int], classes: int) -> float:
    """Return what an image of this (channels, height, width) is to a network, in weights times pixels.

    It is infinite where the catalog does not know the network's weights: one of the user's own, or of a library.
    """
    outline = ModelEntry.of(model).outline
    channels, height, width = shape
    if outline is None:
        return math.inf
    return float(sum(map(math.prod, outline(model, channels, classes).values())) * height * width)


def measure(choice: CatalogCall) -> Passes:
    """Return the cost of one image measured by a function of the user's own."""
    return MeasureEntry.of(choice).passes(choice)


def score(choice: CatalogCall | str, attacked: CatalogCall | None, images: int) -> Passes:
    """Return the cost of scoring images with finished weights, as they are or as an attack makes them.

    The score is one of the catalog, or the call of one of the user's own.
    """
    entry = ScoreEntry.of(choice)
    found = entry.passes(choice).times(images) if isinstance(choice, CatalogCall) else _scored(entry, images)
    if attacked is not None:
        found += AttackEntry.of(attacked).passes(attacked).times(images + entry.gradient * min(images, AT_ONCE))
    return found


def _scored(entry: ScoreEntry, images: int) -> Passes:
    """Return what a score of the catalog costs; one without a gradient is read off a forward pass."""
    return entry.each.times(images) + entry.beside if entry.gradient else Passes(images)


def training(step: Train, data: Dataset, sizes: Sequence[int | None]) -> Passes:
    """Return the cost of a training. `sizes` follow its subsets; an unknown size counts as all of an epoch's images."""
    return _trained(step, data, *of_epoch(step, data.train or 0, sizes))


def _trained(step: Train, data: Dataset, images: int, sizes: Sequence[int | None]) -> Passes:
    """Return the cost of a training with so many images in an epoch, of which `sizes` are of its subsets."""
    train, classes = data.train or 0, len(data.facts.classes) if data.facts else 0
    epochs, at_most, every_image = step.recipe["epochs"], False, train
    if step.part is not None:
        train, at_most = _trained_on(step.part, train, sizes)
        images = train
    epoch = Passes(0, images, at_most) + watching(step, probed(data, step))
    total = epoch.times(epochs)
    for part, size in zip(step.subsets, sizes, strict=True):
        beside = [more.times(count) for phase, count in lengths(part, epochs) if (more := attacking(phase)) != Passes()]
        total += added(beside).times(images if size is None else size)
        total = replace(total, at_most=total.at_most or (size is None and bool(beside)))
    total += snapshots(step, data, sizes) + optimising(step, images, sizes, at_most)
    if step.repick is not None:
        total += Passes(every_image * _picks(step.repick, epochs))
    if step.pretrained is not None and step.pretrained.proof is not None and step.pretrained.proof.clean is not None:
        total += Passes(data.val or 0)
    if step.select is not None:
        total += robust(step.select.attacks, classes).times(data.selection * len(step.select.epochs))
    return total


def snapshots(step: Train, data: Dataset, sizes: Sequence[int | None]) -> Passes:
    """Return what the scores over a training's snapshots cost: a forward pass for all, and their own gradients."""
    train, at_most = (data.train or 0, False) if step.part is None else _trained_on(step.part, data.train or 0, sizes)
    gradients = [_of_snapshot(ScoreEntry.of(score), train) for score in step.scores]
    return added([Passes(train, 0, at_most), *gradients]).times(len(step.snapshots))


def selecting(rule: Selection, images: int, classes: int) -> SelectionCost:
    """Return what choosing among the candidates of a training costs, on so many images that are held out.

    They race (`backend.candidate_race`), and whether the first attack of each decides is seen when they do.
    """
    whole, first, others = robust(rule.attacks, classes), rule.attacks[0], len(rule.epochs) - 1
    begun = AttackEntry.of(first).first
    beaten = whole if begun is None and len(rule.attacks) == 1 else (begun or attack)(first, classes)
    return SelectionCost(whole.times(images * (others + 1)), (whole + beaten.times(others)).times(images))


def _of_snapshot(entry: ScoreEntry, images: int) -> Passes:
    """Return what a score costs at a snapshot beside the forward pass that all scores share."""
    of = ScoreEntry.of(entry.of_weights) if entry.of_weights else entry
    return _scored(of, images) if of.gradient else Passes()


def of_epoch(step: Train, train: int, sizes: Sequence[int | None]) -> tuple[int, Sequence[int | None]]:
    """Return how many images an epoch has and how many of each subset: where batches have shares, as these say."""
    shares = [part.share for part in step.subsets]
    if not any(share is not None for share in shares):
        return train, sizes
    images = step.epoch_images or train
    return images, batches.of_epoch(shares, sizes, images, step.recipe["batch"])


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


def optimising(step: Train, images: int, sizes: Sequence[int | None], at_most: bool) -> Passes:
    """Return what a recipe costs beside a pass with backward for each image: perturbed weights, and averaged ones."""
    epochs, perturb, swa = step.recipe["epochs"], step.recipe.get("perturb"), step.recipe.get("swa")
    found = Passes()
    if perturb is not None:
        begins = PerturbationEntry.of(perturb).begins(perturb)
        found += Passes(0, images, at_most).times(max(0, epochs - begins))
        for part, size in zip(step.subsets, sizes, strict=True):
            for phase, count in lengths(part, epochs):
                again = max(0, min(count, phase.first - 1 + count - begins))
                more = _other_versions(phase) * again * (images if size is None else size)
                found += Passes(0, more, bool(more) and size is None)
    if swa is not None:
        # Of a network without batch norms there are no statistics to be taken; all of ours have some.
        ours = step.model.plugin is None and not ModelEntry.of(step.model).library
        found += Passes(images * max(0, epochs - swa), 0, at_most or (epochs > swa and not ours))
    return found


def attacking(phase: Phase) -> Passes:
    """Return what an attacked image costs in training beside its own pass.

    Of several attacks the strongest is found by looking at what each of them made; for the mean of their losses the
    images that each made are trained on; of those that are drawn for each batch, the costliest is counted.
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
            costs = [_made(one, objective) for one in choice.attacks]
            forward, backward = (max(getattr(cost, of) for cost in costs) for of in ("forward", "forward_backward"))
            same = all((cost.forward, cost.forward_backward) == (forward, backward) for cost in costs)
            return replace(made, forward=forward, forward_backward=backward, at_most=made.at_most or not same) + beside


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


def probed(data: Dataset, step: Train) -> Passes:
    """Return the images that are probed for catastrophic overfitting: of the hold-out, or else of the training images.

    Each class gives as many as it has, up to its share of `IMAGES`; the number of each class may not be known.
    """
    of_part = not data.selection and step.part is not None and step.repick is None
    counts = None if of_part else data.selection_counts if data.selection else data.train_counts
    if counts is None:
        return Passes(min(data.selection or data.train or 0, probe.IMAGES), at_most=True)
    share, more = divmod(probe.IMAGES, len(counts))
    return Passes(sum(min(count, share + (place < more)) for place, count in enumerate(counts)))


def probes_of(step: Train) -> tuple[CatalogCall, ...]:
    """Return the attacks that a training is probed with."""
    return probe.probes(_attacks(step))


def watching(step: Train, images: Passes) -> Passes:
    """Return the cost of the probe for catastrophic overfitting after each epoch of an adversarial training."""
    made = [AttackEntry.of(choice).passes(choice) for choice in probes_of(step)]
    if not made:
        return Passes()
    clean, looks = Passes(1), Passes(len(made))
    return replace(sum(made, clean + looks).times(images.forward), at_most=images.at_most)


def attacked_whole(step: Train, data: Dataset, sizes: Sequence[int | None]) -> Passes:
    """Return the cost of the same training with its costliest attack, if it has one, on every image that it sees."""
    if step.part is not None:
        return training(step, data, sizes)  # whatever it attacks, it attacks all that it sees
    images, sizes = of_epoch(step, data.train or 0, sizes)
    clean = _trained(step, data, images, [0] * len(sizes))
    phases = [phase for part in step.subsets for phase in part.phases]
    attacked = [attacking(phase) for phase in phases if phase.attack is not None]
    if not attacked:
        return clean
    return clean + max(attacked, key=lambda passes: passes.cost).times(images * step.recipe["epochs"])
