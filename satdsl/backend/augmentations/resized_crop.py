"""Scale random windows of images to the size of the whole."""

from __future__ import annotations

import math

import torch
from torch import Generator

from satdsl.backend.augmentations import AugmentationDraw, Shape
from satdsl.backend.geometry import enlarged
from satdsl.ir.work import StepError

TRIES = 10
"""Windows drawn before the whole image is taken."""


def resized_crop(n: int, shape: Shape, random: Generator, *, size: int) -> AugmentationDraw:
    """Draw the first of ten windows that fits: 8 to 100 % of the area, sides 3:4 to 4:3 (uniform in the logarithm).

    Where none fits, the whole image is taken (torchvision's central part, which of a square is the whole).
    """
    if tuple(shape[1:]) != (size, size):
        raise StepError(
            f"resized_crop(size={size}) does not keep the images' size, {shape[1]} x {shape[2]} pixels",
            f"give the data set `resize={size}`, or `resized_crop` the size of its images",
        )
    area, ratio, below, beside = torch.rand((4, n, TRIES), dtype=torch.float64, generator=random)
    area, ratio = size**2 * (0.08 + 0.92 * area), ((2 * ratio - 1) * math.log(4 / 3)).exp()
    height, width = (area / ratio).sqrt_().round_(), (area * ratio).sqrt_().round_()
    fits = (height <= size) & (width <= size) & (height > 0) & (width > 0)
    top, left = (below * (size - height + 1)).floor_(), (beside * (size - width + 1)).floor_()
    windows = torch.stack([top, left, height, width], 2)
    windows = torch.cat([windows, torch.tensor([0.0, 0, size, size], dtype=torch.float64).expand(n, 1, 4)], 1)
    first = torch.where(fits, torch.arange(TRIES), TRIES).amin(1)
    return AugmentationDraw(enlarged, (windows[torch.arange(n), first].float(),))
