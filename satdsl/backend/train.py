"""The `train` step: subset adversarial training (Losch et al., 2024, algorithm 1), and snapshot scores."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from satdsl.backend import datasets, weights
from satdsl.backend.epoch import Epoch, epoch
from satdsl.backend.files import write_arrays, write_json
from satdsl.backend.frozen import Frozen
from satdsl.backend.given import put_into
from satdsl.backend.holdout import Parts, divide
from satdsl.backend.images import DataSet
from satdsl.backend.membership import membership
from satdsl.backend.models import Network
from satdsl.backend.passes import REPORT_SECONDS, logits
from satdsl.backend.randomness import Stream, generator, initial_weights, layers_draw
from satdsl.backend.recipe import Recipe, reduced
from satdsl.backend.saved import SavedState
from satdsl.backend.selection import Best, named, value_of
from satdsl.backend.snapshots import SnapshotScores
from satdsl.backend.weights import Description
from satdsl.plan.steps import Step, Train
from satdsl.plan.work import Progress, StepError, Work

Batch = Callable[[int], None]
"""Told after each batch how many of the epoch are done."""


def perform(step: Step, work: Work) -> None:
    """Write the weights, `model.json`, `curves.json`, `scores.npz`, `selection.json` and the kept weights."""
    settings = step.settings
    assert isinstance(settings, Train)
    data = datasets.of_input(work)
    parts = divide(data, settings.holdout)
    check(settings, parts)
    description = describe(settings, data)
    training = begin(step, work, settings, parts, description)
    finish(training, step, work, settings, parts)
    write(training, work, settings, parts, description)


def check(settings: Train, parts: Parts) -> None:
    """StepError for what cannot be trained."""
    if settings.scores:
        raise StepError(
            f"this version cannot record {', '.join(settings.scores)}",
            "use a score that takes forward passes only",
        )
    if settings.select is not None and not (parts.selection and len(parts.selection)):
        raise StepError("there is no hold-out to select with", "give the data set one: holdout=10%")
    if not len(parts.train):
        raise StepError("there is no image to train on")


def describe(settings: Train, data: DataSet) -> Description:
    return Description(
        settings.model, data.classes, data.shape, settings.mean, settings.std, body_classes=len(data.classes)
    )


@dataclass
class Training:
    """Everything that changes while a network trains."""

    network: Network
    optimiser: Optimizer
    snapshots: SnapshotScores
    best: Best
    classes: int
    completed: int = 0
    curves: list[dict[str, Any]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "snapshots": self.snapshots.state(),
            "best": self.best.state(),
            "completed": self.completed,
            "curves": self.curves,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.snapshots.restore(state["snapshots"])
        self.best.restore(state["best"])
        self.completed = state["completed"]
        self.curves = list(state["curves"])


def begin(step: Step, work: Work, settings: Train, parts: Parts, description: Description) -> Training:
    """A training with new weights, those given or to start from, or the state that an interrupted run left."""
    with initial_weights(settings.seed):
        network = description.build()
    if "start" in work.inputs:
        stored = weights.load_weights(work.inputs["start"] / "weights.safetensors")
        try:
            network.load_state_dict(stored)
        except RuntimeError as error:
            raise StepError(
                "the weights to start from do not fit this model",
                "start from the same model on as many classes",
            ) from error
    if settings.given is not None:
        put_into(network, settings.given, settings.model)
    network.to(work.device).to(memory_format=torch.channels_last)
    optimiser = Recipe.of(settings.recipe).optimiser(network.parameters())
    training = Training(
        network,
        optimiser,
        SnapshotScores(len(parts.train), work.device),
        Best(settings.select),
        len(description.classes),
    )
    state = SavedState(work.scratch, step.key).load(work.device)
    if state is not None:
        training.restore(state)
    return training


def finish(training: Training, step: Step, work: Work, settings: Train, parts: Parts) -> None:
    """Train the epochs that are left, with what is due after each: snapshot, weights, state, selection."""
    recipe = Recipe.of(settings.recipe)
    images, index = parts.train.to(work.device), parts.train.index.numpy()
    members = membership(parts.train, work.inputs.get("split"), settings.subsets)
    frozen, saved = Frozen(training.network), SavedState(work.scratch, step.key)
    classes = training.classes
    while True:
        if training.best.due(training.completed):
            assert settings.select is not None
            assert parts.selection is not None
            saved.save(training.state())
            value = value_of(
                settings.select,
                training.network,
                parts.selection,
                classes=classes,
                device=work.device,
                scratch=work.scratch / f"selection-{training.completed}",
                report=_selecting(work, training.completed, recipe.epochs, named(settings.select)),
            )
            training.best.consider(training.completed, value, training.network.state_dict())
        if training.completed >= recipe.epochs:
            return
        number = training.completed
        now = epoch(images, index, members, settings.augment, recipe.batch, settings.seed, number)
        noise = generator(settings.seed, Stream.ATTACK, number, work.device)
        after_batch = _training(work, training, recipe.epochs, len(now.batches))
        with layers_draw(settings.seed, number, work.device):
            training.curves.append(
                train_epoch(training.network, frozen, training.optimiser, recipe, now, number, noise, after_batch)
            )
        training.completed += 1
        if training.completed in settings.snapshots:
            training.snapshots.add(logits(training.network, images, work.device), images.labels)
        if training.completed in settings.keep_weights:
            weights.save_weights(_kept(work.scratch, training.completed), training.network.state_dict())
        if saved.due:
            saved.save(training.state())


def train_epoch(
    network: Network,
    frozen: Frozen,
    optimiser: Optimizer,
    recipe: Recipe,
    epoch: Epoch,
    number: int,
    noise: torch.Generator,
    after_batch: Batch,
) -> dict[str, Any]:
    """One epoch: attack what is to be attacked, then one training-mode pass over the mixed batch.

    Returns its curves.
    """
    began, lr = time.monotonic(), recipe.set_learning_rate(optimiser, number)
    losses, right = torch.empty_like(epoch.loss_weights), torch.empty_like(epoch.order, dtype=torch.bool)
    network.train()
    for i, (batch, (x, y)) in enumerate(zip(epoch.batches, epoch.inputs(), strict=True)):
        for attack, rows in epoch.attacks_on(i):
            x[rows] = attack(frozen.refresh(), x[rows], y[rows], noise)
        outputs = network(x)
        loss = recipe.losses(outputs, y)
        optimiser.zero_grad(set_to_none=True)
        reduced(loss, epoch.loss_weights[batch], recipe.reduction).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses[batch], right[batch] = loss.detach(), outputs.argmax(1) == y
        after_batch(i + 1)
    curves = summary(epoch, losses, right) | {"epoch": number + 1, "lr": lr}
    return curves | {"attacked": epoch.attacked_images, "seconds": round(time.monotonic() - began, 3)}


def summary(epoch: Epoch, losses: Tensor, right: Tensor) -> dict[str, Any]:
    """Mean unweighted training loss (nats) and accuracy in the batches, over all images and each subset."""
    loss, correct = losses.double().cpu().numpy(), right.cpu().numpy()
    if not math.isfinite(loss.mean()):
        raise StepError("the training loss is no longer finite", "lower the learning rate, or warm it up")

    def means(of: np.ndarray) -> dict[str, Any]:
        n = int(of.sum())
        return {"n": n, "loss": float(loss[of].mean()), "accuracy": float(correct[of].mean())} if n else {"n": 0}

    subsets = [means(epoch.subsets == s) for s in range(int(epoch.subsets.max()) + 1)]
    return means(np.ones_like(correct)) | {"subsets": subsets}


def write(training: Training, work: Work, settings: Train, parts: Parts, description: Description) -> None:
    """Leave the artifact in `work.out`."""
    chosen = training.best.weights if training.best.weights is not None else training.network.state_dict()
    weights.save(work.out, description, chosen)
    write_json(work.out / "curves.json", training.curves)
    write_json(work.out / "selection.json", training.best.document(training.completed))
    write_arrays(work.out / "scores.npz", {"index": parts.train.index.numpy(), **training.snapshots.scores()})
    for epochs in settings.keep_weights:
        kept = _kept(work.scratch, epochs)
        if kept.exists():
            shutil.copyfile(kept, work.out / kept.name)


def _kept(folder: Path, epochs: int) -> Path:
    return folder / f"weights-epoch-{epochs}.safetensors"


def _training(work: Work, training: Training, epochs: int, batches: int) -> Batch:
    """Reports how far the training is, a few times a second, without asking the device."""
    last, n = training.curves[-1] if training.curves else None, training.completed + 1
    note = f"epoch {n} of {epochs}" + (f", loss {last['loss']:.3f}, accuracy {last['accuracy']:.1%}" if last else "")
    reported = time.monotonic()

    def after_batch(done: int) -> None:
        nonlocal reported
        if done == batches or time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            work.report(Progress(training.completed + done / batches, epochs, note))

    return after_batch


def _selecting(work: Work, completed: int, epochs: int, measure: str) -> Callable[[Progress], None]:
    return lambda progress: work.report(
        Progress(completed, epochs, f"selecting after epoch {completed} by {measure}: {progress.note}")
    )
