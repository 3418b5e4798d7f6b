"""The `head` step: a trained network and another data set to a new last layer on frozen features."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from satdsl.backend import datasets, weights
from satdsl.backend.epoch import Epoch, epoch
from satdsl.backend.files import write_arrays, write_json
from satdsl.backend.holdout import divide
from satdsl.backend.images import DataSet, Images
from satdsl.backend.membership import membership
from satdsl.backend.models import Network, check_head, new_head
from satdsl.backend.passes import logits
from satdsl.backend.randomness import initial_weights
from satdsl.backend.recipe import Recipe, reduced
from satdsl.backend.saved import SavedState
from satdsl.backend.train import summary
from satdsl.backend.weights import Description
from satdsl.plan.steps import Head, Step, SubsetTraining
from satdsl.plan.work import Progress, StepError, Work

Features = Tensor
"""float32 [n, features]: what the last layer of a network takes."""


def perform(step: Step, work: Work) -> None:
    """Write what a `train` step writes (`weights.safetensors` of the whole network, `model.json`, ...).

    The backbone's parameters and batch-norm statistics stay what they are, bit for bit: it runs in
    evaluation mode and no optimiser knows it. Without augmentation each image's features are computed once.
    """
    settings = step.settings
    assert isinstance(settings, Head)
    data = datasets.of_input(work)
    images = divide(data, settings.holdout).train
    network = weights.load(work.inputs["weights"], work.device)
    source = weights.describe(work.inputs["weights"])
    description = describe(settings, data, source)
    check_head(network, source.model)
    with initial_weights(settings.seed):
        head = new_head(settings.head, network.feature_width, len(data.classes))
    network.repeat = description.repeat
    network.replace_head(nn.Identity())
    head = head.to(work.device)
    curves = fit(head, network, step, work, settings, images)
    network.replace_head(head)
    weights.save(work.out, description, network.state_dict())
    write_json(work.out / "curves.json", curves)
    write_json(work.out / "selection.json", {"measure": None, "candidates": [], "chosen": len(curves)})
    write_arrays(work.out / "scores.npz", {"index": images.index.numpy()})


def describe(settings: Head, data: DataSet, source: Description) -> Description:
    """The network after the transfer. A grey image is repeated for a network that takes colour."""
    taken, given = len(source.mean), data.shape[0]
    if given not in (1, taken):
        raise StepError(f"the network takes images of {taken} channels, the data set has {given}")
    return Description(
        source.model,
        data.classes,
        data.shape,
        source.mean,
        source.std,
        body_classes=source.body_classes,
        head=settings.head,
        repeat=taken // given,
    )


def fit(
    head: nn.Module, backbone: Network, step: Step, work: Work, settings: Head, images: Images
) -> list[dict[str, Any]]:
    """Train the head on the frozen backbone's features of clean images; returns the curves."""
    recipe = Recipe.of(settings.recipe)
    index, on_device = images.index.numpy(), images.to(work.device)
    members = membership(images, None, (SubsetTraining(None, 1.0),))
    once = None if settings.augment else logits(backbone, images, work.device).clone()
    optimiser, saved = recipe.optimiser(head.parameters()), SavedState(work.scratch, step.key)
    completed, curves = restored(saved, head, optimiser, work.device)
    for number in range(completed, recipe.epochs):
        now = epoch(on_device, index, members, settings.augment, recipe.batch, settings.seed, number)
        curves.append(fit_epoch(head, backbone, once, optimiser, recipe, now, number))
        work.report(
            Progress(
                number + 1,
                recipe.epochs,
                f"epoch {number + 1} of {recipe.epochs}, loss {curves[-1]['loss']:.3f}",
            )
        )
        if saved.due:
            state = {"head": head.state_dict(), "optimiser": optimiser.state_dict()}
            saved.save(state | {"completed": number + 1, "curves": curves})
    return curves


def fit_epoch(
    head: nn.Module,
    backbone: Network,
    once: Features | None,
    optimiser: Optimizer,
    recipe: Recipe,
    epoch: Epoch,
    number: int,
) -> dict[str, Any]:
    """One epoch on the features in `once`, or on those of augmented images. Returns its curves."""
    began, lr = time.monotonic(), recipe.set_learning_rate(optimiser, number)
    losses, right = torch.empty_like(epoch.loss_weights), torch.empty_like(epoch.order, dtype=torch.bool)
    for batch, (x, y) in zip(epoch.batches, features(epoch, backbone, once), strict=True):
        outputs = head(x)
        loss = recipe.losses(outputs, y)
        optimiser.zero_grad(set_to_none=True)
        reduced(loss, epoch.loss_weights[batch], recipe.reduction).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses[batch], right[batch] = loss.detach(), outputs.argmax(1) == y
    curves = summary(epoch, losses, right) | {"epoch": number + 1, "lr": lr}
    return curves | {"attacked": 0, "seconds": round(time.monotonic() - began, 3)}


def features(epoch: Epoch, backbone: Network, once: Features | None) -> Iterator[tuple[Features, Tensor]]:
    """Each batch's features and labels: looked up in `once`, or of the augmented images."""
    if once is not None:
        for batch in epoch.batches:
            yield once[epoch.order[batch]], epoch.images.labels[epoch.order[batch]]
        return
    for x, y in epoch.inputs():
        with torch.no_grad():
            x = backbone(x)
        yield x, y


def restored(saved: SavedState, head: nn.Module, optimiser: Optimizer, device: str) -> tuple[int, list[dict[str, Any]]]:
    """(completed epochs, their curves) of an interrupted run, put back into head and optimiser."""
    state = saved.load(device)
    if state is None:
        return 0, []
    head.load_state_dict(state["head"])
    optimiser.load_state_dict(state["optimiser"])
    return state["completed"], list(state["curves"])
