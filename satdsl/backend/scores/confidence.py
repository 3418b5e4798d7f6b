"""Score an image by what the confidence in its label lacks to certainty."""

from __future__ import annotations

from torch import Tensor


def confidence(logits: Tensor, labels: Tensor) -> Tensor:
    """Return 1 - p_y, [n]."""
    return 1 - logits.softmax(1).gather(1, labels[:, None]).squeeze(1)
