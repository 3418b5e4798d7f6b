"""Score an image by how often it is forgotten (Toneva et al., 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from satdsl.backend.images import Images


def forgetting(images: Images, device: str, scratch: Path) -> Forgetting:
    """Return the score before the first snapshot."""
    return Forgetting(images, device)


class Forgetting:
    """Counts of right-then-wrong pairs of neighbouring snapshots.

    An image that was never right has as many as there are snapshots, one more than any other can have.
    """

    def __init__(self, images: Images, device: str) -> None:
        self.count = 0
        self.forgotten = torch.zeros(len(images), dtype=torch.float64, device=device)
        self.right = torch.zeros(len(images), dtype=torch.bool, device=device)
        self.ever_right = self.right.clone()

    def add(self, network: nn.Module, images: Images, device: str, logits: Tensor) -> None:
        """Take in the next snapshot."""
        right = logits.argmax(1) == images.labels.to(device)
        self.forgotten += self.right & ~right
        self.ever_right |= right
        self.right = right
        self.count += 1

    def values(self) -> Tensor:
        """Return the score of each image, float64 [n]."""
        return torch.where(self.ever_right, self.forgotten, float(self.count))

    def state(self) -> dict[str, Any]:
        return dict(vars(self))

    def restore(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
