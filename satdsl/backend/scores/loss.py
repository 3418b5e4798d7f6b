"""Score an image by its cross-entropy loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -ln p_y, in nats, [n]."""
    return F.cross_entropy(logits, labels, reduction="none")
