"""Score an image by the entropy of its prediction (equation 3 of Losch et al., 2024, for one snapshot)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -sum_k p_k ln p_k of the softmax p, in nats, [n]; labels play no part."""
    log_p = F.log_softmax(logits, dim=1)
    return -(log_p.exp() * log_p).sum(1)
