"""Build the network that a model stands for, or say why it cannot be built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import nn

from satdsl.backend import architectures
from satdsl.backend.architectures import Network
from satdsl.backend.counted_passes import counted_as
from satdsl.backend.inference import in_evaluation_mode
from satdsl.backend.registry import check_known, implementation
from satdsl.catalog.models import ModelEntry
from satdsl.hints import did_you_mean, suggest
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

__all__ = ["Network", "build", "check_head", "new_head"]


def build(
    model: CatalogCall,
    shape: Sequence[int],
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    body_classes: int | None = None,
    head: CatalogCall | None = None,
    repeat: int = 1,
) -> Network:
    """Build an untrained network for images of this (channels, height, width), its weights drawn globally.

    `body_classes`, `head` and `repeat` are those of a transfer, as in `architectures.untrained`.
    """
    check(model)
    if not len(mean) == len(std) == shape[0] * repeat:
        raise StepError(f"images have {shape[0] * repeat} channels, but the normalisation has {len(mean)}")
    try:
        network = architectures.untrained(
            model=model.document,
            classes=classes,
            shape=shape,
            mean=mean,
            std=std,
            body_classes=body_classes,
            head=None if head is None else head.document,
            repeat=repeat,
            body=_plugin_body(model),
        )
        if library_of(model):
            _try(network, shape, classes)
    except StepError:
        raise
    except Exception as error:
        if not library_of(model):
            if isinstance(error, ValueError):
                raise StepError(str(error), f"`satdsl catalog {model.name}` says what it takes") from error
            raise
        raise StepError(
            f"{shown(model)} cannot be built for {_size(shape)} images of {classes} classes: {_line(error)}",
            "give the data set the size that the architecture is made for, such as resize=224",
        ) from error
    return network


def _plugin_body(model: CatalogCall) -> architectures.Body | None:
    """Return what builds the body of a plug-in's network; None for one of ours."""
    if model.plugin is None:
        return None
    from satdsl.backend.plugins.calling import Plugin
    from satdsl.backend.plugins.model import body

    return partial(body, Plugin.of(model))


def check(model: CatalogCall) -> None:
    """Raise StepError for a model that this installation cannot build."""
    check_known("model", model)
    if library_of(model):
        names, command = LIBRARIES[library_of(model)]
        name, known = model["architecture"], sorted(set(names()))
        if name not in known:
            hint = str(did_you_mean(name, known)) or f"{suggest(name, known)}; {command} names them all"
            raise StepError(f"{model.name} has no architecture called {name}", hint)


def library_of(model: CatalogCall) -> str:
    """Return the library that a model stands for; empty for one of ours."""
    return ModelEntry.of(model).library


def _of_torchvision() -> list[str]:
    from torchvision import models

    return list(models.list_models(module=models))


def _of_timm() -> list[str]:
    try:
        import timm
    except ImportError:
        raise StepError("timm is not installed", "pip install satdsl[timm]") from None
    return list(timm.list_models())


LIBRARIES: Mapping[str, tuple[Callable[[], list[str]], str]] = {
    "torchvision": (_of_torchvision, "torchvision.models.list_models(torchvision.models)"),
    "timm": (_of_timm, "timm.list_models()"),
}
"""By a library's name: what gives the names of its architectures, and how a user lists them."""


def _try(network: Network, shape: Sequence[int], classes: int) -> None:
    """Put an image through a library's network: some fail only then, because it is too small for them."""
    with in_evaluation_mode(network), torch.inference_mode(), counted_as():
        logits = network(torch.zeros(1, *shape))
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, classes):
        raise ValueError("it does not give one logit for each class")


def check_head(network: Network, model: CatalogCall) -> None:
    """Raise StepError where no single linear layer ends a network, so that no transfer can replace it."""
    if network.head_name is None:
        raise StepError(
            f"{shown(model)} does not end in one linear layer that a transfer could replace",
            "transfer from another architecture",
        )


def new_head(head: CatalogCall, features: int, classes: int) -> nn.Module:
    """Return the last layer of a transfer, untrained."""
    implementation("head", head.name)
    return architectures.new_head(head.document, features, classes)


def shown(model: CatalogCall) -> str:
    """Return a model as messages name it: `timm("convnext_tiny")`, `wide_resnet`."""
    return f'{model.name}("{model["architecture"]}")' if library_of(model) else model.name


def _size(shape: Sequence[int]) -> str:
    return "x".join(str(side) for side in shape)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
