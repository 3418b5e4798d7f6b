"""A data set of one's own: rings of several radii, drawn with a seed."""

from pathlib import Path

import torch
from torch import Tensor

import satdsl.plugin as sat


@sat.dataset(classes=["small", "medium", "large"], shape=(1, 12, 12), train="train", val="val")
def rings(part: str, folder: Path, *, train: int = 90, val: int = 60, noise: float = 0.05) -> tuple[Tensor, Tensor]:
    """Noisy rings around the centre; the class is the radius."""
    count = train if part == "train" else val
    random = torch.Generator().manual_seed(len(part))
    labels = torch.arange(count) % 3
    y, x = torch.meshgrid(torch.arange(12) - 5.5, torch.arange(12) - 5.5, indexing="ij")
    radius = 1.5 + 1.5 * labels.view(-1, 1, 1) + 0.3 * torch.rand(count, 1, 1, generator=random)
    drawn = (-((x**2 + y**2).sqrt() - radius).square()).exp()
    images = drawn + noise * torch.randn(drawn.shape, generator=random)
    return images.clamp(0, 1)[:, None], labels
