"""Train with a plug-in's loss: logits and labels to a number for each image."""

from __future__ import annotations

from torch import Tensor

from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.returned import finite, floating, shaped, tensor
from satdsl.backend.randomness import seed_of_call


class PluginLoss:
    """A loss as training calls it: `losses.Loss`."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def __call__(self, plain: Tensor, logits: Tensor, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the loss of each image, [n], finite and with a gradient."""
        plugin = self._plugin
        found = plugin(seed_of_call(), logits=logits, clean=logits, adversarial=adversarial, labels=labels)
        losses = shaped(plugin, tensor(plugin, found, logits.device), labels.shape, "the loss of each image, no mean")
        losses = floating(plugin, losses, "losses")
        if logits.requires_grad and not losses.requires_grad:
            raise plugin.wrong(
                "returns losses without a gradient, so nothing can be learnt from them",
                "compute them from the logits by torch's functions, without `.detach()`, `.item()`, `no_grad` or NumPy",
            )
        if bool(logits.isfinite().all()):  # else the training has diverged, which its metrics say
            finite(plugin, losses.detach(), "images")
        return losses
