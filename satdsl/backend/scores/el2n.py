"""Score an image by the L2 norm of its error (Paul, Ganguli and Dziugaite, 2021)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def el2n(logits: Tensor, labels: Tensor) -> Tensor:
    """Return || p - onehot(y) ||_2, [n]."""
    distance: Tensor = torch.linalg.vector_norm(logits.softmax(1) - F.one_hot(labels, logits.shape[1]), dim=1)
    return distance
