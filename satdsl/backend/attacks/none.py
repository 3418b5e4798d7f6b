"""Attack nothing."""

from __future__ import annotations

from torch import Generator, Tensor, nn


def none(network: nn.Module, images: Tensor, labels: Tensor, generator: Generator | None = None) -> Tensor:
    """Return the images as they are."""
    return images
