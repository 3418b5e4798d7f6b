"""Change training images by a plug-in: `(images, generator, *, ...)` to images of the same shape."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from satdsl.backend.augmentations import AugmentationDraw, Shape
from satdsl.backend.images import unit_scale
from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.returned import finite, floating, in_unit_range, shaped, tensor


class PluginAugmentation:
    """An augmentation as an epoch draws it: a seed for each image, of which a batch takes its first image's."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def __call__(self, n: int, shape: Shape, random: Generator) -> AugmentationDraw:
        return AugmentationDraw(self._changed, (torch.randint(2**62, (n,), generator=random),))

    def _changed(self, pixels: Tensor, seeds: Tensor) -> Tensor:
        """Change a batch of bytes; the plug-in sees images in [0, 1], and what it gives is rounded to bytes."""
        if not len(pixels):
            return pixels
        plugin, seed = self._plugin, int(seeds[0])
        own = Generator(pixels.device).manual_seed(seed)
        found = tensor(plugin, plugin(seed, images=unit_scale(pixels), generator=own), pixels.device).detach()
        moved = floating(plugin, shaped(plugin, found, pixels.shape, "the changed images"), "images")
        moved = in_unit_range(plugin, finite(plugin, moved, "images"), "end with `.clamp(0, 1)`")
        return (moved * 255).round().to(torch.uint8)
