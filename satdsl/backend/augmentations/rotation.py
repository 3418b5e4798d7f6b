"""Turn images about their centre."""

from __future__ import annotations

import torch
from torch import Generator

from satdsl.backend.augmentations import AugmentationDraw, Shape
from satdsl.backend.geometry import rotated


def rotation(n: int, shape: Shape, random: Generator, *, degrees: float) -> AugmentationDraw:
    angle = torch.empty(n).uniform_(-degrees, degrees, generator=random).double().deg2rad()
    return AugmentationDraw(rotated, (angle.cos().float(), angle.sin().float()))
