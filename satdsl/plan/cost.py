"""What steps cost, in images put through a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from satdsl.catalog import catalog
from satdsl.ir import probe
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall, SubsetTraining, Train
from satdsl.plan.autoattack import attack_names, effort

FAB_EXTRA = 8
"""Forward passes that FAB takes for a target beside its iterations, at most: counted on the published code."""


@cache
def attack(choice: CatalogCall, classes: int) -> Passes:
    """One image measured under one attack: its clean prediction, the attack, and whether that succeeded.

    An upper bound: what is wrong without attack is not attacked.
    """
    if choice.name == "autoattack":
        return _autoattack(choice, classes)
    attacked = training_attack(choice)
    return Passes(2 + attacked.forward, attacked.forward_backward, at_most=True)


def _autoattack(choice: CatalogCall, classes: int) -> Passes:
    tried = effort(choice, classes)
    iterations = tried.iterations
    total = Passes(1)
    for name in attack_names(choice):
        if name == "square":
            total += Passes(tried.queries + 1)
        elif name == "fab":
            total += Passes(iterations, iterations * classes).times(tried.restarts)
        elif name == "fab-t":
            total += Passes(iterations + FAB_EXTRA, iterations).times(tried.targets)
        elif name == "apgd-t":
            total += Passes(1, iterations + 1).times(tried.targets)
        else:
            total += Passes(1, (iterations + 1) * tried.samples).times(tried.restarts)
    return Passes(total.forward, total.forward_backward, at_most=True)


@cache
def robust(attacks: tuple[CatalogCall, ...], classes: int) -> Passes:
    """One image measured under some attacks; under none, its clean prediction."""
    total = Passes() if attacks else Passes(1)
    for choice in attacks:
        total += attack(choice, classes)
    return total


@cache
def evaluation(choice: CatalogCall | None, classes: int) -> Passes:
    """One image of an `evaluate` step: measured, and under attack its gradient looked at as well."""
    if choice is None or choice.name == "none":
        return Passes(1)
    return attack(choice, classes) + Passes(0, 1)


@cache
def takes_gradient(score: str) -> bool:
    """Whether a score takes a backward pass, too."""
    entry = catalog().find("score", score)
    return entry is not None and bool((entry.facts or {}).get("gradient"))


def score(name: str, images: int) -> Passes:
    """Scoring images with finished weights."""
    return Passes(0, images) if takes_gradient(name) else Passes(images)


def training(step: Train, train: int, sizes: Sequence[int | None], selection: int, classes: int) -> Passes:
    """A whole training. `sizes` follow the step's subsets; where one is unknown, it is taken to be all of `train`."""
    epochs = step.recipe["epochs"]
    epoch = Passes(0, train) + watching(step, min(selection or train, probe.IMAGES))
    for part, size in zip(step.subsets, sizes, strict=True):
        if part.attack is not None:
            known = train if size is None else size
            epoch += attacking(part).times(known)
            epoch = Passes(epoch.forward, epoch.forward_backward, epoch.at_most or size is None)
    recorded = Passes(train, train * len(step.scores))  # each of these scores takes a backward pass of its own
    total = epoch.times(epochs) + recorded.times(len(step.snapshots))
    if step.select is not None:
        total += robust(step.select.attacks, classes).times(selection * len(step.select.epochs))
    return total


def attacking(part: SubsetTraining) -> Passes:
    """What an attacked image costs beside its pass in training; TRADES predicts it clean and trains on both."""
    assert part.attack is not None
    both = Passes(1, 1) if part.loss is not None and part.loss.name == "trades" else Passes()
    return training_attack(part.attack) + both


def watching(step: Train, images: int) -> Passes:
    """The probe for catastrophic overfitting that follows each epoch of an adversarial training."""
    choice = probe.probe(part.attack for part in step.subsets)
    if choice is None:
        return Passes()
    each = attack(choice, 0)
    return Passes(each.forward, each.forward_backward).times(images)


def training_attack(choice: CatalogCall) -> Passes:
    """The attack's own passes: to find the least likely class, and to compare the last iterate where it has to be."""
    aim = Passes(1 if choice.get("target") == "least_likely" else 0)
    if choice.name == "fgsm":
        return aim + Passes(0, 1)
    last = 1 if choice["keep"] == "best" or choice["restarts"] > 1 else 0
    return aim + Passes(last, choice["steps"]).times(choice["restarts"])


def attacked_whole(step: Train, train: int, selection: int, classes: int) -> Passes:
    """The same training with its costliest attack on every image; unattacked trainings stay as they are."""
    clean = training(step, train, [0] * len(step.subsets), selection, classes)
    attacked = [attacking(part) for part in step.subsets if part.attack is not None]
    if not attacked:
        return clean
    return clean + max(attacked, key=lambda passes: passes.cost).times(train * step.recipe["epochs"])
