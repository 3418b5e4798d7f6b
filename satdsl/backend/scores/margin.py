"""Score an image by the margin between probabilities."""

from __future__ import annotations

from torch import Tensor

from satdsl.backend.scores import best_wrong_margin


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return max_{k != y} p_k - p_y, in [-1, 1], [n]."""
    return best_wrong_margin(logits.softmax(1), labels)
