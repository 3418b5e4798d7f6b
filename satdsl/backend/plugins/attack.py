"""Attack with a plug-in: `(network, images, labels, *, ...)` to adversarial images."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from satdsl.backend.norm_balls import Ball, project
from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.networks import lent
from satdsl.backend.plugins.returned import finite, floating, in_unit_range, shaped, tensor

SLACK = 1e-4
"""How far outside its ball an image may lie for arithmetic's sake, as a share of the radius; it is then projected."""

_ORDERS = {"Linf": torch.inf, "L2": 2, "L1": 1}


class PluginAttack:
    """An attack as training, selection and measuring call it."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        norm, eps = plugin.call.get("norm"), plugin.call.get("eps")
        self._ball = Ball(norm, float(eps)) if norm in _ORDERS and eps is not None else None

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """Return adversarial images that are checked: finite, in [0, 1], and in the ball where there is one.

        The random numbers of a call follow from those of the step: `generator` is the plug-in's own if it takes one.
        """
        plugin = self._plugin
        generator = generator or Generator(images.device).manual_seed(0)
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        own = Generator(images.device).manual_seed(seed)
        with lent(network, plugin):
            found = plugin(seed, network=network, images=images.clone(), labels=labels.clone(), generator=own)
        moved = shaped(plugin, tensor(plugin, found, images.device).detach(), images.shape, "the adversarial images")
        moved = finite(plugin, floating(plugin, moved, "images"), "images")
        moved = in_unit_range(plugin, moved, "end with `.clamp(0, 1)`: images lie in [0, 1], without normalisation")
        return moved if self._ball is None else self._within(moved, images, self._ball)

    def _within(self, moved: Tensor, images: Tensor, ball: Ball) -> Tensor:
        lengths = torch.linalg.vector_norm((moved - images).flatten(1), _ORDERS[ball.norm], dim=1)
        outside = lengths > ball.eps
        if not bool(outside.any()):
            return moved
        far = lengths > ball.eps * (1 + SLACK) + 1e-6
        if bool(far.any()):
            raise self._plugin.wrong(
                f"moves {int(far.sum())} of {len(images)} images out of the ball: by {float(lengths.max()):.4g} in "
                f"{ball.norm}, where eps is {ball.eps:.4g}",
                "project the perturbation into the ball after each step, and before the images are clipped to [0, 1]",
            )
        nearest = project(moved.clone(), images, ball)
        return torch.where(outside.view(-1, 1, 1, 1), nearest, moved)
