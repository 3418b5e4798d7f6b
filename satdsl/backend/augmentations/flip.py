"""Mirror images."""

from __future__ import annotations

import torch
from torch import Generator

from satdsl.backend.augmentations import AugmentationDraw, Shape
from satdsl.backend.geometry import flipped


def flip(n: int, shape: Shape, random: Generator) -> AugmentationDraw:
    return AugmentationDraw(flipped, (torch.randint(0, 2, (n,), generator=random) == 1,))
