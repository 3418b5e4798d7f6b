"""Put rectangles of images into others (Yun et al., 2019)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from satdsl.backend.augmentations import MixingDraw, Shape, drawn_shares


def cutmix(n: int, shape: Shape, random: Generator, *, alpha: float, probability: float) -> MixingDraw:
    """Draw a rectangle for each of n batches: its top, bottom, left and right, as the authors' code does.

    Its sides are the image's times the root of 1 - lambda, its centre is uniform in the image, and what reaches beyond
    the edge is cut off.
    """
    height, width = shape[1:]
    side = (1 - drawn_shares(n, alpha, probability, random).double()).sqrt()
    edges = []
    for length in (height, width):
        half = (side * length).long() // 2
        centre = torch.randint(0, length, (n,), generator=random)
        edges += [(centre - half).clamp_min(0), (centre + half).clamp_max(length)]
    return MixingDraw(pasted, (torch.stack(edges, 1),))


def pasted(images: Tensor, others: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images [n, c, h, w] with the others' rectangle, and the share of the area that is left of them."""
    height, width = images.shape[2:]
    top, bottom, left, right = edges
    rows, columns = (torch.arange(length, device=images.device) for length in (height, width))
    inside = ((rows >= top) & (rows < bottom)).view(-1, 1) & ((columns >= left) & (columns < right))
    return torch.where(inside, others, images), 1 - inside.float().mean()
