"""Perform the `train` step: subset adversarial training (Losch et al., 2024, algorithm 1), with snapshot scores.

A training that was killed ends with the bits of one that was not. Two things make it so. Every random number belongs to
an epoch: the order, augmentation, attack noise and dropout of epoch 7 are drawn from generators that are seeded with
(seed, stream, 7), so it does not matter whether epochs 1 to 6 ran in the same process. And a checkpoint, which is saved
between epochs, holds everything that an epoch changes: weights, optimiser, moving average, scores, selection, curves.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from satdsl.artifacts.epochs import to_columns
from satdsl.artifacts.schemas import CURVES, SCORES
from satdsl.backend import datasets, teachers, weights
from satdsl.backend.artifact_files import write_json, write_table
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.distributed import SINGLE_PROCESS, ProcessGroup, run_distributed
from satdsl.backend.epoch import Epoch, epoch
from satdsl.backend.epoch_metrics import EpochMetrics, diverged
from satdsl.backend.finite_numbers import require_finite_scores, require_finite_weights
from satdsl.backend.holdout import DataParts, split_holdout
from satdsl.backend.images import DataSet, Images
from satdsl.backend.inference import REPORT_SECONDS
from satdsl.backend.losses import PassResult, SubsetTerm, train_pass
from satdsl.backend.model_selection import ModelSelection, selection_criterion
from satdsl.backend.models import Network
from satdsl.backend.optimisation import Optimisation
from satdsl.backend.overfitting_probe import OverfittingProbe
from satdsl.backend.pretrained import load_pretrained
from satdsl.backend.proof import prove
from satdsl.backend.randomness import Stream, generator, initial_weights, layer_randomness
from satdsl.backend.recipes import Recipe, reduced
from satdsl.backend.repicked_subsets import Repicker
from satdsl.backend.shared_batches import SharedEpoch
from satdsl.backend.snapshot_scores import SnapshotScores
from satdsl.backend.split import is_complete
from satdsl.backend.subset_assignment import SubsetAssignment, assign_subsets
from satdsl.backend.teachers import Teachers
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.backend.training_end import TrainingEnd
from satdsl.backend.weights import Description
from satdsl.ir.interrupts import Stop, saved_first
from satdsl.ir.steps import Step, Train
from satdsl.ir.work import Progress, StepError, Work

Batch = Callable[[int], None]
"""Is told after each batch how many batches of the epoch are done."""


def perform(step: Step, work: Work) -> None:
    """Write the weights, `model.json`, `selection.json`, `curves.parquet`, `scores.parquet`, the kept weights and
    `pretrained.json`, which says what was read from a file."""
    if work.devices > 1:
        run_distributed(train, step, work)
    else:
        train(step, work)


def train(step: Step, work: Work, group: ProcessGroup = SINGLE_PROCESS) -> None:
    """Perform the step as one process of `group`."""
    settings = step.settings
    assert isinstance(settings, Train)
    data = datasets.input_dataset(work)
    parts = split_holdout(data, settings.holdout)
    check(settings, parts)
    check_devices(settings, group)
    complete = is_complete(data, len(parts.train))
    assignment = assign_subsets(parts.train, work.inputs.get("split"), settings.subsets, complete)
    repicker = None
    if settings.repick is not None:
        repicker = Repicker(settings.repick, parts.train, len(data.classes), complete, work, group)
    elif settings.part is not None:
        parts = replace(parts, train=only_part(parts.train, assignment, settings.part))
    description = describe(settings, data, work)
    training = begin(step, work, settings, data, parts, description, group)
    # Ranks would wait for each other: an interrupt ends those of several devices at once.
    with saved_first() if group.size == 1 else nullcontext(Stop()) as stop:
        finish(training, step, work, settings, parts, assignment, repicker, stop)
    if group.is_main:
        write(training, work, settings, parts, description)


def check(settings: Train, parts: DataParts) -> None:
    """Raise StepError if there is nothing to train on, nothing to be told apart, or nothing to select with."""
    if settings.select is not None and not (parts.selection and len(parts.selection)):
        raise StepError("there is no hold-out to select with", "give the data set one: holdout=10%")
    if not len(parts.train):
        raise StepError("there is no image to train on")
    if Recipe.of(settings.recipe).epochs:
        require_several_classes(parts.train)


def check_devices(settings: Train, group: ProcessGroup) -> None:
    """Raise StepError for an attack in training mode on several devices, whose batch norms would see parts of batches.

    In training they share their statistics, but a device without an image to attack would not take part.
    """
    attacks = [attack for subset in settings.subsets for attack in subset.every_attack]
    if group.size > 1 and any(attack.get("mode", "eval") != "eval" for attack in attacks):
        raise StepError(
            "an attack in mode=train needs whole batches, and several devices share them",
            "train on one device (--gpus-per-step 1), or attack in mode=eval",
        )


def only_part(images: Images, assignment: SubsetAssignment, part: int) -> Images:
    """Return the images of one subset."""
    return images.at(torch.from_numpy(assignment.subset_of[images.index.numpy()] == part))


def require_several_classes(images: Images) -> None:
    """Raise StepError if all images are of one class, which any network learns to name without looking."""
    if int(images.labels.min()) == int(images.labels.max()):
        raise StepError(
            f"all {len(images)} training images are of one class, so there is nothing to tell apart",
            "give the data set a larger `limit`, or look whether its folders lie one level too deep",
        )


def describe(settings: Train, data: DataSet, work: Work) -> Description:
    """Describe the network to be trained; under a new head it is otherwise the one in `start`."""
    if settings.head is not None:
        return weights.describe(work.inputs["start"]).transferred(data.classes, data.shape, settings.head)
    return Description(
        settings.model, data.classes, data.shape, settings.mean, settings.std, body_classes=len(data.classes)
    )


@dataclass
class Training:
    """Everything that changes while a network trains."""

    optimisation: Optimisation
    snapshots: SnapshotScores
    best: ModelSelection
    classes: int
    given: dict[str, Any] | None = None
    """What was read from a file, and proved of it."""
    picked: Tensor | None = None
    """The subset of each training image, int64 [n], by the last pick of subsets that are picked anew."""
    completed: int = 0
    curves: list[dict[str, Any]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint has to save."""
        return {
            "optimisation": self.optimisation.state(),
            "snapshots": self.snapshots.state(),
            "best": self.best.state(),
            "picked": self.picked,
            "completed": self.completed,
            "curves": self.curves,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.optimisation.restore(state["optimisation"])
        self.snapshots.restore(state["snapshots"])
        self.best.restore(state["best"])
        self.picked = None if state.get("picked") is None else state["picked"].cpu()
        self.completed = state["completed"]
        self.curves = list(state["curves"])


def begin(
    step: Step,
    work: Work,
    settings: Train,
    data: DataSet,
    parts: DataParts,
    description: Description,
    group: ProcessGroup,
) -> Training:
    """Return a training with new weights, pretrained ones or those to start from, or in the state of its checkpoint.

    Raises:
        StepError: The weights do not fit the model, or the network does not do what they are known to do.
    """
    network = untrained(settings, description, work.inputs.get("start"))
    given: dict[str, Any] | None = None
    if settings.pretrained is not None:
        given = load_pretrained(network, settings.pretrained, settings.model)
    network.to(work.device).to(memory_format=torch.channels_last)
    if given is not None and settings.pretrained is not None and settings.pretrained.proof and group.is_main:
        given["proof"] = prove(network, settings.model, settings.pretrained.proof, data.val, work.device)
    training = Training(
        Optimisation(network, Recipe.of(settings.recipe), group),
        SnapshotScores(parts.train, work.device, settings.scores, work.scratch),
        ModelSelection(
            settings.select,
            parts.selection,
            classes=len(description.classes),
            device=work.device,
            folder=work.scratch / "selection",
        ),
        len(description.classes),
        given,
    )
    state = TrainingCheckpoint(work.scratch, step.key).load(work.device)
    if state is not None and training.best.can_restore(state["best"]):
        training.restore(state)
    return training


def untrained(settings: Train, description: Description, start: Path | None) -> Network:
    """Return the network before its first epoch, with new weights or those in `start`.

    Raises:
        StepError: The weights do not fit the model, or it does not end in a layer that a new head could replace.
    """
    if settings.head is not None:
        assert start is not None
        return weights.with_new_head(start, description, settings.seed, settings.start_epoch)
    with initial_weights(settings.seed):
        network = description.build()
    if start is not None:
        stored = weights.stored(start, settings.start_epoch)
        try:
            network.load_state_dict(stored)
        except RuntimeError as error:
            raise StepError(
                "the weights to start from do not fit this model",
                "start from the same model on the same number of classes",
            ) from error
    return network


def finish(
    training: Training,
    step: Step,
    work: Work,
    settings: Train,
    parts: DataParts,
    assignment: SubsetAssignment,
    repicker: Repicker | None,
    stop: Stop,
) -> None:
    """Train the remaining epochs; after each, take the snapshot, weights, checkpoint and candidate that are due.

    Rank 0 alone does what comes after an epoch; the other ranks begin the next one, and wait there for rank 0.
    """
    optimisation = training.optimisation
    recipe, network, group = optimisation.recipe, optimisation.result, optimisation.group
    images, index = parts.train.to(work.device), parts.train.index.numpy()
    seen = images
    attack_copy, saved = AttackCopy(optimisation.network, recipe.dtype), TrainingCheckpoint(work.scratch, step.key)
    saved.saved = training.completed
    ending = TrainingEnd(stop, saved, recipe.epochs, work.stops)
    probe = OverfittingProbe.create(network, settings, parts, training.classes)
    for each in (optimisation.network, *optimisation.renormalised):
        group.synchronise_batch_norm(each)
    asked = teachers.load(work)
    while True:
        if group.is_main:
            select(training, saved, work, ending)
            ending.between_epochs(training.completed, training.state, training.best.tidy)
        if training.completed >= recipe.epochs:
            return
        number = training.completed
        if repicker is not None:
            if repicker.due(number):
                training.picked = repicker.pick(network)
            if training.picked is not None:
                assignment = repicker.assignment(training.picked, settings.subsets)
            if settings.part is not None:
                part = only_part(parts.train, assignment, settings.part)
                seen, index = part.to(work.device), part.index.numpy()
        now = epoch(
            seen,
            index,
            assignment,
            settings.augment,
            recipe.batch,
            settings.seed,
            number,
            group,
            recipe.label_smoothing,
            classes=training.classes,
            shared=SharedEpoch(settings.epoch_images, 0 if repicker is None else repicker.last_due(number)),
        )
        noise = generator(settings.seed, Stream.ATTACK, number, work.device)
        after_batch = _progress(work, training, recipe.epochs, len(now.batches), ending)
        with layer_randomness(settings.seed, number, work.device):
            curves = train_epoch(optimisation, attack_copy, now, number, noise, after_batch, asked)
        training.completed += 1
        optimisation.end_epoch(training.completed, (x for x, _ in now.inputs()))
        if not group.is_main:
            continue
        check_weights(network, training.completed)
        training.curves.append(curves if probe is None else curves | {"probe": probe.measure(work.device)})
        if training.completed in settings.snapshots:
            training.snapshots.add(network, images, work.device)
        if training.completed in settings.keep_weights:
            weights.save_weights(_kept(work.scratch, training.completed), network.state_dict())
        if saved.due:
            saved.save(training.state())
            training.best.tidy()


def select(training: Training, saved: TrainingCheckpoint, work: Work, ending: TrainingEnd) -> None:
    """Take the network's weights as a candidate where that is due; choose among candidates at the end, or if many wait.

    What is no longer needed is removed only when a checkpoint knows that.
    """
    best, network, epochs = training.best, training.optimisation.result, training.optimisation.recipe.epochs
    if best.due(training.completed):
        best.enter(training.completed, network)
        saved.save(training.state())
        best.tidy()
    if best.is_full or (training.completed >= epochs and best.is_open):
        if saved.saved != training.completed:  # so that an interrupt of the selection loses no epoch
            saved.save(training.state())
        best.decide(network, _selecting(work, training, epochs, ending))
        saved.save(training.state())
        best.tidy()


def check_weights(network: nn.Module, epoch: int) -> None:
    """Raise StepError if the network has weights that are not finite after `epoch` epochs.

    The loss of the last batch may be finite, and the step after it not; with a moving average the average may.
    """
    try:
        require_finite_weights(network.state_dict(), f"after epoch {epoch} the network", "")
    except StepError as error:
        raise diverged(error.reason) from None


def train_epoch(
    optimisation: Optimisation,
    attack_copy: AttackCopy,
    epoch: Epoch,
    number: int,
    noise: torch.Generator,
    after_batch: Batch,
    asked: Teachers,
) -> dict[str, Any]:
    """Train one epoch and return its curves.

    In each batch attack the images of attacked subsets, let the networks that are `asked` say what losses want to know,
    pass the mixed batch through the network in training mode, and make one step of the optimiser.
    """
    metrics, n = EpochMetrics(epoch, optimisation.group), len(epoch.batches)
    optimisation.network.train()
    for i, (batch, (x, y)) in enumerate(zip(epoch.batches, epoch.inputs(), strict=True)):
        terms, places = [], tuple(epoch.places(i))
        attacked_network = attack_copy.refresh() if any(method.attacked for method, _ in places) else None
        for method, rows in places:
            clean = x[rows]
            beside = method.versions(attacked_network, clean, y[rows], noise)
            said = teachers.predictions(asked, method.asks, clean, beside, optimisation.recipe.dtype)
            if not method.both:
                x[rows], beside = beside[0], beside[1:]
            if method.loss is not None or beside:
                terms.append(SubsetTerm(rows, beside, method.loss, method.both, said))
        passed = partial(_passed, optimisation, epoch, i, x, y, terms)
        metrics.update(batch, optimisation.step(passed, number + (i + 0.5) / n))
        after_batch(i + 1)
    return metrics.curves(number) | {"epoch": number + 1, "lr": optimisation.recipe.learning_rate(number + 0.5)}


def _passed(
    optimisation: Optimisation, epoch: Epoch, number: int, x: Tensor, y: Tensor, terms: Sequence[SubsetTerm]
) -> tuple[PassResult, Tensor]:
    """Pass batch `number` of an epoch through the network, and return the loss to be minimised, too."""
    recipe, of_images = optimisation.recipe, epoch.loss_weights
    result = train_pass(optimisation.network, x, y, terms, recipe)
    whole = of_images[epoch.whole[number]]
    return result, reduced(result.losses, of_images[epoch.batches[number]], recipe.reduction, whole)


def write(training: Training, work: Work, settings: Train, parts: DataParts, description: Description) -> None:
    """Write the artifact into `work.out`."""
    chosen = training.best.chosen
    weights.save(work.out, description, training.optimisation.result.state_dict() if chosen is None else chosen)
    write_table(work.out, CURVES, to_columns(training.curves))
    write_json(work.out / "selection.json", training.best.document(training.completed))
    index, scores = parts.train.index.numpy(), training.snapshots.scores()
    for name, values in scores.items():
        require_finite_scores(values, index, name)
    write_table(work.out, SCORES, {"index": index, **scores})
    if training.given is not None:
        write_json(work.out / "pretrained.json", training.given)
    for epochs in settings.keep_weights:
        kept = _kept(work.scratch, epochs)
        if kept.exists():
            shutil.copyfile(kept, work.out / kept.name)


def _kept(folder: Path, epochs: int) -> Path:
    """Return the file of the weights after so many epochs."""
    return folder / weights.file_after(epochs)


def _progress(work: Work, training: Training, epochs: int, batches: int, ending: TrainingEnd) -> Batch:
    """Return what reports progress after a batch, a few times a second, without waiting for the device."""
    last, n = training.curves[-1] if training.curves else None, training.completed + 1
    note = f"epoch {n} of {epochs}" + (f", loss {last['loss']:.3f}, accuracy {last['accuracy']:.1%}" if last else "")
    if last and "probe" in last:
        note += f", robust {last['probe']['robust']:.0%}"
    reported = began = time.monotonic()

    def after_batch(done: int) -> None:
        nonlocal reported
        if done == batches or time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            work.report(Progress(training.completed + done / batches, epochs, note))
        ending.after_batch(training.completed, done / batches, began=began)

    return after_batch


def _selecting(work: Work, training: Training, epochs: int, ending: TrainingEnd) -> Callable[[Progress], None]:
    """Return what reports how far a selection is, as part of the training."""
    rule = training.best.rule
    assert rule is not None
    done, by = training.completed, selection_criterion(rule)

    def report(progress: Progress) -> None:
        work.report(Progress(done, epochs, f"selecting by {by}: {progress.note}"))
        ending.between_epochs(done, training.state, training.best.tidy)

    return report
