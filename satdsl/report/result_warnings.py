"""Find what is to be doubted: what finished steps warn of, and measures that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from satdsl.artifacts import image_prints
from satdsl.artifacts.epochs import UNDER
from satdsl.artifacts.outcomes import ONE_CLASS
from satdsl.catalog.attacks import AttackEntry
from satdsl.engine.store import Store
from satdsl.ir.plan import Plan, Point
from satdsl.ir.steps import CatalogCall, Evaluate, Key, Step, Train
from satdsl.report.artifact_reader import ArtifactReader, NotStored, Values
from satdsl.report.curves import PROBED, Curve, curves
from satdsl.report.intervals import Z

LEAST = 0.02
"""No warning is made where a stronger attack finds less by a smaller share of the images than this."""

EFFORTS = ("eps", "steps", "restarts", "samples", "queries", "draws")
"""The arguments that make an attack stronger the larger they are."""

FEWEST_IMAGES = 100
"""Of fewer images, the accuracy is not compared with chance."""


@dataclass(frozen=True)
class ResultWarning:
    """What is to be doubted about `result` at `point`: of a measure `sat.robust`, of a training `sat`."""

    result: str
    point: Point
    text: str


def result_warnings(plan: Plan, store: Store, trained: Sequence[Curve]) -> list[ResultWarning]:
    """Return what `trained` networks and other finished steps warn of, then contradictions between measures.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
    """
    artifacts, names = ArtifactReader(store), _names(plan)
    # What networks learn in a smoke run, from a few images, says nothing.
    trained = () if plan.smoke else trained
    at_chance = dict(_at_chance(plan, trained, artifacts))
    found = [
        *_overfitted(trained),
        *at_chance.items(),
        *_of_one_class(plan, trained, artifacts),
        *_of_steps(plan, artifacts, at_chance),
        *_seen_elsewhere(plan, artifacts),
        *_contradictions(plan, artifacts),
    ]
    return [ResultWarning(*names.get(key, (plan.labels[key], ())), text) for key, text in found]


def _names(plan: Plan) -> dict[Key, tuple[str, Point]]:
    """Return what the file calls each step's outcome: the first of several names."""
    names: dict[Key, tuple[str, Point]] = {}
    for name, places in plan.named.items():
        for point, key in places:
            names.setdefault(key, (name, point))
    for result in plan.results:
        for key in result.measure.evaluations:
            names.setdefault(key, (result.name, result.point))
    return names


def chance_warning(plan: Plan, store: Store, key: Key) -> str | None:
    """Return what to say of a training that has just ended, if it ends at chance.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
    """
    trained = () if plan.smoke else curves(plan, store, [key])[:1]
    return next((text for _, text in _at_chance(plan, trained, ArtifactReader(store))), None)


def _of_steps(plan: Plan, artifacts: ArtifactReader, at_chance: Container[Key]) -> Iterator[tuple[Key, str]]:
    """Yield what data steps and evaluations warn of; what is said of one network in the same words, once.

    That a network names one class for all images is not said again of one whose training ended `at_chance`.
    """
    said = set()
    for key, step in plan.shown.items():
        for text in _own(step, artifacts):
            weights = dict(step.inputs).get("weights", key)
            of = weights, getattr(step.settings, "epoch", None), text
            if of not in said and not (weights in at_chance and text.startswith(ONE_CLASS)):
                said.add(of)
                yield key, text


def _seen_elsewhere(plan: Plan, artifacts: ArtifactReader) -> Iterator[tuple[Key, str]]:
    """Yield evaluations on the validation images of a data set that are training images of another one.

    Those that are training images of the same data set are what its data step warns of.
    """
    said = set()
    for key, step in plan.shown.items():
        if not isinstance(step.settings, Evaluate) or step.settings.part != "val":
            continue
        inputs = dict(step.inputs)
        for trained_on in _trained_on(plan, inputs["weights"]) - {inputs["data"]}:
            pair = inputs["weights"], inputs["data"], trained_on
            if pair in said:
                continue
            said.add(pair)
            try:
                val, train = artifacts.prints(inputs["data"], "val"), artifacts.prints(trained_on, "train")
                count, first = image_prints.seen(val, train)
                if image_prints.too_many(count, val):
                    index = artifacts.val_index(inputs["data"])[first]
                    yield key, image_prints.seen_warning(count, val, int(index), f" of {plan.labels[trained_on]}")
            except NotStored:
                continue


def _trained_on(plan: Plan, weights: Key) -> set[Key]:
    """Return the data steps whose training images shaped these weights, or those that they started from."""
    inputs = dict(plan.steps[weights].inputs) if weights in plan.steps else {}
    found = {inputs["data"]} if "data" in inputs else set()
    for role in ("start", "weights"):
        if role in inputs:
            found |= _trained_on(plan, inputs[role])
    return found


def _own(step: Step, artifacts: ArtifactReader) -> tuple[str, ...]:
    """Return what a data step, a split or an evaluation left as its warnings; none where it is not run."""
    read = {"data": artifacts.data_warnings, "split": artifacts.warnings, "evaluate": artifacts.warnings}.get(step.kind)
    try:
        return () if read is None else read(step.key)
    except NotStored:
        return ()


def _at_chance(plan: Plan, trained: Sequence[Curve], artifacts: ArtifactReader) -> Iterator[tuple[Key, str]]:
    """Yield trainings that are right on no more of their images than whoever always names the most frequent class."""
    for curve in trained:
        epoch = curve.epochs[min(curve.chosen, len(curve.epochs)) - 1]
        n, accuracy = epoch["n"], epoch.get("accuracy")
        try:
            labels = _trained_labels(plan.steps[curve.key], artifacts)
        except NotStored:
            continue
        most = np.bincount(labels).max() / len(labels)
        if accuracy is not None and n >= FEWEST_IMAGES and accuracy <= most + Z * sqrt(most * (1 - most) / n):
            yield (
                curve.key,
                f"it ends at chance: in epoch {epoch['epoch']} {accuracy:.1%} of its {n:,} images are right, "
                f"{'as attacked, ' if epoch.get('attacked') else ''}and naming the most frequent class for all gives "
                f"{most:.1%}; the network may have learned nothing: try another learning rate (a tenth, ten times), "
                "train longer or under a weaker attack, and look at the labels and at the model's mean and std",
            )


def _of_one_class(plan: Plan, trained: Sequence[Curve], artifacts: ArtifactReader) -> Iterator[tuple[Key, str]]:
    """Yield trainings on a part of their data set in which only the scores put images of a single class."""
    for curve in trained:
        settings = plan.steps[curve.key].settings
        if not isinstance(settings, Train) or settings.part is None:
            continue
        try:
            found = np.unique(_trained_labels(plan.steps[curve.key], artifacts))
            name = artifacts.class_names(dict(plan.steps[curve.key].inputs)["data"])[found[0]]
        except NotStored:
            continue
        if len(found) == 1:
            n = curve.epochs[0]["n"]
            yield (
                curve.key,
                f"all {n} images that it is trained on are of class {name}, so there is nothing to tell apart: train "
                "on a larger part, or pick `per class`",
            )


def _trained_labels(step: Step, artifacts: ArtifactReader) -> Values:
    """Return the labels of the images that a training sees; where it sees no part alone, also those held out."""
    inputs = dict(step.inputs)
    labels = artifacts.train_labels(inputs["data"])
    if not isinstance(step.settings, Train) or step.settings.part is None:
        return labels.values
    subsets = artifacts.subsets(inputs["split"])
    return labels[np.isin(labels.index, subsets.index[subsets.subset == step.settings.part])].values


def _overfitted(trained: Sequence[Curve]) -> Iterator[tuple[Key, str]]:
    """Yield trainings that came to withstand nothing but the attack they are trained with."""
    for curve in trained:
        drop = curve.drop
        if drop is not None:
            part, _, norm = drop["part"].partition(UNDER)
            under = f"under {norm} " if norm else ""
            yield (
                curve.key,
                f"robust accuracy {under}on {drop['n']} images of the {PROBED[part]} fell from {drop['before']:.1%} to "
                f"{drop['now']:.1%} in epoch {drop['epoch']}: catastrophic overfitting; train with more steps (pgd), a "
                "random start, or a smaller learning rate, and select by robust accuracy",
            )


# --- a stronger attack that finds less -----------------------------------------------------------


def _contradictions(plan: Plan, artifacts: ArtifactReader) -> Iterator[tuple[Key, str]]:
    """Yield evaluations under which more images stand than under a weaker attack on the same images."""
    same: dict[object, list[Step]] = defaultdict(list)
    for step in plan.shown.values():
        settings = step.settings
        if not isinstance(settings, Evaluate) or "source" in dict(step.inputs):
            continue  # Of images made on another network, those of the stronger attack need not mislead this one more.
        if _strength(settings.attack) is not None:
            same[step.sources, settings.epoch, settings.part, settings.holdout, settings.subsets].append(step)
    for steps in same.values():
        for step in steps:
            texts = [text for other in steps if (text := _contradicted(step, other, artifacts))]
            if texts:
                yield step.key, texts[0]


def _contradicted(step: Step, other: Step, artifacts: ArtifactReader) -> str | None:
    """Return what to say where `other` has the weaker attack and yet breaks more, by McNemar's test; else None."""
    attack, weaker = _attack(step), _attack(other)
    if not stronger(attack, weaker):
        return None
    try:
        stands, beside = artifacts.correct(step.key).values, artifacts.correct(other.key).values
    except NotStored:
        return None
    more, fewer = int((stands & ~beside).sum()), int((beside & ~stands).sum())
    if more - fewer < max(LEAST * len(stands), Z * sqrt(more + fewer)):
        return None
    return (
        f"{stands.mean():.1%} stand against {_named(attack)}, but only {beside.mean():.1%} against {_named(weaker)}, "
        "which is the weaker attack: gradients are masked, or the stronger attack is badly set (its step_size too long "
        "or too short); trust the lower number, and measure the worst case over both: under A, B"
    )


def _attack(step: Step) -> CatalogCall:
    assert isinstance(step.settings, Evaluate)
    assert step.settings.attack is not None
    return step.settings.attack


def stronger(one: CatalogCall, other: CatalogCall) -> bool:
    """Return whether the attack `one` ought to break all that `other` breaks, and more.

    In the same norm and at least the same ball: one of a higher `AttackEntry.strength` (AutoAttack against PGD, PGD
    against FGSM, all of them against noise), PGD of more steps or restarts, or the same attack in a larger ball. An
    attack that cannot reach the edge of its ball, that aims at a target of its own, or an AutoAttack of chosen attacks,
    is not known to be stronger.
    """
    if one["norm"] != other["norm"] or one["eps"] < other["eps"] or not AttackEntry.of(one).thorough(one):
        return False
    if one.get("target", "none") not in ("none", other.get("target", "none")):
        return False
    if one.name != other.name:
        strength, beside = _strength(one), _strength(other)
        return strength is not None and beside is not None and strength > beside
    if any(one.get(choice) != other.get(choice) for choice in ("version", "objective", "targets", "distribution")):
        return False
    efforts = [(one.get(effort, 1), other.get(effort, 1)) for effort in EFFORTS]
    return all(own >= others for own, others in efforts) and any(own > others for own, others in efforts)


def _strength(attack: CatalogCall | None) -> int | None:
    """Return an attack's place among the others, None where it is not compared with them."""
    return None if attack is None else AttackEntry.of(attack).strength


def _named(attack: CatalogCall) -> str:
    shown = [attack["norm"], f"eps={attack['eps']:.4g}"]
    shown += [f"{effort}={attack[effort]}" for effort in EFFORTS[1:] if attack.get(effort, 1) > 1]
    return f"{attack.name}({', '.join(shown)})"
