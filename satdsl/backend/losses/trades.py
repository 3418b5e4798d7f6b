"""Train with TRADES (Zhang et al., 2019): the clean cross-entropy, and how far the prediction moves."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from satdsl.backend.objectives import kl_divergence


def trades(plain: Tensor, logits: Tensor, adversarial: Tensor, labels: Tensor, *, beta: float) -> Tensor:
    """Return -ln p_y(x) + beta * KL(p(x) || p(x')) of each image, [n]: equation 5 of the paper."""
    return plain + beta * kl_divergence(adversarial, F.log_softmax(logits, 1))
