"""Do a `head` step: train a new last layer on the frozen features of a trained network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from satdsl.artifacts.epochs import to_columns
from satdsl.artifacts.schemas import CURVES, SCORES
from satdsl.backend import datasets, weights
from satdsl.backend.artifact_files import write_json, write_table
from satdsl.backend.epoch import Epoch, epoch
from satdsl.backend.epoch_metrics import EpochMetrics
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.losses import PassResult, train_pass
from satdsl.backend.models import Network, check_head, new_head
from satdsl.backend.optimisation import Optimisation
from satdsl.backend.randomness import initial_weights
from satdsl.backend.recipes import Recipe, reduced
from satdsl.backend.subset_assignment import assign_subsets
from satdsl.backend.train import require_several_classes
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.backend.training_end import TrainingEnd
from satdsl.ir.interrupts import saved_first
from satdsl.ir.steps import Head, Step, SubsetTraining
from satdsl.ir.work import Progress, Work

Features = Tensor
"""float32 [n, features]: what the last layer of a network takes."""


def perform(step: Step, work: Work) -> None:
    """Write what a `train` step writes (`weights.safetensors` of the whole network, `model.json`, ...).

    The backbone's parameters and batch-norm statistics stay what they are, bit for bit: it runs in
    evaluation mode and no optimiser knows it. Without augmentation each image's features are computed once.
    """
    settings = step.settings
    assert isinstance(settings, Head)
    data = datasets.input_dataset(work)
    images = split_holdout(data, settings.holdout).train
    if Recipe.of(settings.recipe).epochs:
        require_several_classes(images)
    network = weights.load(work.inputs["weights"], work.device, settings.epoch)
    source = weights.describe(work.inputs["weights"])
    description = source.transferred(data.classes, data.shape, settings.head)
    check_head(network, source.model)
    with initial_weights(settings.seed):
        head = new_head(settings.head, network.feature_width, len(data.classes))
    network.repeat = description.repeat
    network.replace_head(nn.Identity())
    head = head.to(work.device)
    trained, curves = fit(head, network, step, work, settings, images, len(data.classes))
    network.replace_head(trained)
    weights.save(work.out, description, network.state_dict())
    write_table(work.out, CURVES, to_columns(curves))
    write_json(work.out / "selection.json", {"measure": None, "candidates": [], "chosen": len(curves)})
    write_table(work.out, SCORES, {"index": images.index.numpy()})


def fit(
    head: nn.Module, backbone: Network, step: Step, work: Work, settings: Head, images: Images, classes: int
) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Train the head on the frozen backbone's features of clean images; return it, and the curves."""
    optimisation = Optimisation(head, Recipe.of(settings.recipe))
    index, on_device = images.index.numpy(), images.to(work.device)
    assignment = assign_subsets(images, None, (SubsetTraining(None, 1.0),))
    saved, epochs = TrainingCheckpoint(work.scratch, step.key), optimisation.recipe.epochs
    once = None if settings.augment or not epochs else logits(backbone, images, work.device).clone()
    completed, curves = restored(saved, optimisation, work.device)
    saved.saved = completed

    def state(completed: int) -> dict[str, Any]:
        return {"optimisation": optimisation.state(), "completed": completed, "curves": curves}

    with saved_first() as stop:
        ending = TrainingEnd(stop, saved, epochs, work.stops)
        for number in range(completed, epochs):
            now = epoch(
                on_device,
                index,
                assignment,
                settings.augment,
                optimisation.recipe.batch,
                settings.seed,
                number,
                classes=classes,
            )
            after_batch = partial(ending.after_batch, number, began=time.monotonic())
            curves.append(fit_epoch(optimisation, backbone, once, now, number, after_batch))
            note = f"epoch {number + 1} of {epochs}, loss {curves[-1]['loss']:.3f}"
            work.report(Progress(number + 1, epochs, note))
            if saved.due:
                saved.save(state(number + 1))
            ending.between_epochs(number + 1, partial(state, number + 1), lambda: None)
    return optimisation.result, curves


def fit_epoch(
    optimisation: Optimisation,
    backbone: Network,
    once: Features | None,
    epoch: Epoch,
    number: int,
    after_batch: Callable[[float], None],
) -> dict[str, Any]:
    """Train one epoch on the features in `once`, or on those of augmented images; return its curves.

    `after_batch` is told what share of the epoch is done.
    """
    metrics, n, recipe = EpochMetrics(epoch), len(epoch.batches), optimisation.recipe
    for i, (batch, (x, y)) in enumerate(zip(epoch.batches, features(epoch, backbone, once), strict=True)):
        passed = partial(_passed, optimisation, x, y, epoch.loss_weights[batch])
        metrics.update(batch, optimisation.step(passed, number + (i + 0.5) / n))
        after_batch((i + 1) / n)
    optimisation.end_epoch(number + 1, ())
    return metrics.curves(number) | {"epoch": number + 1, "lr": recipe.learning_rate(number + 0.5)}


def _passed(optimisation: Optimisation, x: Features, y: Tensor, loss_weights: Tensor) -> tuple[PassResult, Tensor]:
    """Pass the features of a batch through the head, and return the loss to be minimised, too."""
    result = train_pass(optimisation.network, x, y, (), optimisation.recipe)
    return result, reduced(result.losses, loss_weights, optimisation.recipe.reduction)


def features(epoch: Epoch, backbone: Network, once: Features | None) -> Iterator[tuple[Features, Tensor]]:
    """Yield each batch's features and labels: looked up in `once`, or of the augmented images."""
    if once is not None:
        for batch in epoch.batches:
            yield once[epoch.order[batch]], epoch.images.labels[epoch.order[batch]]
        return
    for x, y in epoch.inputs():
        with torch.no_grad():
            x = backbone(x)
        yield x, y


def restored(saved: TrainingCheckpoint, optimisation: Optimisation, device: str) -> tuple[int, list[dict[str, Any]]]:
    """(completed epochs, their curves) of an interrupted run, which the optimisation goes on from."""
    state = saved.load(device)
    if state is None:
        return 0, []
    optimisation.restore(state["optimisation"])
    return state["completed"], list(state["curves"])
