"""Score an image by how much the probability of its label varies over snapshots.

Swayamdipta et al., 2020 ("Dataset Cartography: Mapping and Diagnosing Datasets with Training Dynamics"), section 2:
their variability is the standard deviation of p_y over the epochs, in population form. They take p_y from the passes of
the training; here it is taken in evaluation mode, without augmentation, as all snapshot scores are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from satdsl.backend.images import Images


def spread_confidence(images: Images, device: str, scratch: Path) -> ConfidenceSpread:
    """Return the score before the first snapshot."""
    return ConfidenceSpread(images, device)


class ConfidenceSpread:
    """Mean and squared deviations (Welford, 1962), float64, of p_y over the snapshots so far."""

    def __init__(self, images: Images, device: str) -> None:
        self.count = 0
        self.mean = torch.zeros(len(images), dtype=torch.float64, device=device)
        self.squares = self.mean.clone()

    def add(self, network: nn.Module, images: Images, device: str, logits: Tensor) -> None:
        """Take in the next snapshot."""
        right = logits.double().softmax(1).gather(1, images.labels.to(device)[:, None]).squeeze(1)
        self.count += 1
        away = right - self.mean
        self.mean = self.mean + away / self.count
        self.squares = self.squares + away * (right - self.mean)

    def values(self) -> Tensor:
        """Return the score of each image, float64 [n]."""
        return (self.squares / self.count).sqrt()

    def state(self) -> dict[str, Any]:
        return dict(vars(self))

    def restore(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
