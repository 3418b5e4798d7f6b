"""Mix images pixel by pixel (Zhang et al., 2018)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from satdsl.backend.augmentations import MixingDraw, Shape, drawn_shares


def mixup(n: int, shape: Shape, random: Generator, *, alpha: float, probability: float) -> MixingDraw:
    """Draw the share of the image itself for each of n batches."""
    return MixingDraw(interpolated, (drawn_shares(n, alpha, probability, random),))


def interpolated(images: Tensor, others: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Return share * x + (1 - share) * x2 of float32 [n, c, h, w], and the share."""
    return torch.lerp(others, images, share), share
