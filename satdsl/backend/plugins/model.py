"""Build a network by a plug-in: `(classes, channels, *, ...)` to a module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from satdsl.backend.plugins.calling import Plugin, errors
from satdsl.backend.plugins.guard import contained
from satdsl.backend.plugins.returned import kind


def body(plugin: Plugin, shape: Sequence[int], classes: int) -> nn.Module:
    """Return the module of a plug-in; its weights are drawn from the global random state, as for every model.

    Raises:
        StepError: It is no module, has no weights, or does not give one logit for each class.
    """
    channels, height, width = shape
    made = plugin(torch.initial_seed(), classes=classes, channels=channels, height=height, width=width)
    if not isinstance(made, nn.Module):
        raise plugin.wrong(f"returns {kind(made)}, not a network", "return a torch.nn.Module")
    if not any(True for _ in made.parameters()):
        raise plugin.wrong("returns a network without weights", "give it a layer with parameters, such as nn.Linear")
    odd = next((name for name, p in made.named_parameters() if not p.dtype.is_floating_point), None)
    if odd is not None:
        raise plugin.wrong(f"returns a network whose weights {odd} are no floating-point numbers", "use float32")
    _try(plugin, made, shape, classes)
    odd = next((name for name, value in made.state_dict().items() if not isinstance(value, torch.Tensor)), None)
    if odd is not None:
        raise plugin.wrong(f"returns a network whose state {odd} is no tensor", "keep in its state what can be stored")
    return made


def _try(plugin: Plugin, made: nn.Module, shape: Sequence[int], classes: int) -> None:
    """Put two images through the network, in evaluation mode."""
    modes = [(module, module.training) for module in made.modules()]
    for module, _ in modes:
        module.training = False
    try:
        # A lazy layer gets its weights only here.
        with errors(plugin.code), contained(torch.initial_seed()), torch.no_grad():
            logits = made(torch.zeros(2, *shape))
    finally:
        for module, mode in modes:
            module.training = mode
    if not isinstance(logits, torch.Tensor):
        raise plugin.wrong(
            f"returns a network that gives {kind(logits)}, not logits", "let `forward` return one tensor, [n, classes]"
        )
    if logits.shape != (2, classes):
        raise plugin.wrong(
            f"returns a network that gives {list(logits.shape)} for 2 images of {classes} classes, not [2, {classes}]",
            "end it with a linear layer of `classes` outputs",
        )
    if not bool(logits.isfinite().all()):
        raise plugin.wrong("returns a network that gives NaN or infinity for black images", "look at its first weights")
