"""Fill squares of images with a colour (DeVries and Taylor, 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Generator, Tensor

from satdsl.backend.augmentations import AugmentationDraw, Shape


def cutout(n: int, shape: Shape, random: Generator, *, size: int, fill: Sequence[float]) -> AugmentationDraw:
    """Draw the centre of each square, uniform in the image.

    The square has rows c - size // 2 up to, but not with, c - size // 2 + size of its centre's row c, and columns
    alike; the authors' code has one less of an odd size.
    """
    height, width = shape[1:]
    rows, columns = (torch.randint(0, side, (n,), generator=random) for side in (height, width))
    return AugmentationDraw(partial(filled, size=size, fill=fill), (rows, columns))


def filled(pixels: Tensor, rows: Tensor, columns: Tensor, *, size: int, fill: Sequence[float]) -> Tensor:
    """Fill the squares around these centres, [n] each, in uint8 [n, c, h, w], with a colour in [0, 1]."""
    n, inside = len(pixels), []
    for centre, side in zip((rows, columns), pixels.shape[2:], strict=True):
        from_first = torch.arange(side, device=pixels.device) - (centre.view(n, 1) - size // 2)
        inside.append((from_first >= 0) & (from_first < size))
    square = inside[0].view(n, 1, -1, 1) & inside[1].view(n, 1, 1, -1)
    # Written by the device itself: a copy of the colour from the host would be waited for, in every batch.
    colour = torch.cat([pixels.new_full((1, 1, 1, 1), round(255 * value)) for value in fill], 1)
    return torch.where(square, colour, pixels)
