"""Cut random windows out of padded images."""

from __future__ import annotations

from functools import partial

import torch
from torch import Generator

from satdsl.backend.augmentations import AugmentationDraw, Shape
from satdsl.backend.geometry import cropped


def crop(n: int, shape: Shape, random: Generator, *, padding: int) -> AugmentationDraw:
    corner = torch.randint(0, 2 * padding + 1, (n, 2), generator=random)
    return AugmentationDraw(partial(cropped, padding=padding), (corner[:, 0], corner[:, 1]))
