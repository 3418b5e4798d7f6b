"""What attacks maximise: functions of logits float32 [n, classes] and of what is attacked, to losses [n]."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

Objective = Callable[[Tensor, Tensor], Tensor]
"""(logits float32 [n, classes], what is attacked: labels int64 [n], or any tensor [n, ...]) to losses [n]."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each image's cross-entropy, [n], in nats."""
    return F.cross_entropy(logits, labels, reduction="none")


def kl_divergence(logits: Tensor, log_p: Tensor) -> Tensor:
    """Return KL(p || softmax(logits)) of each image, in nats: [n], of [n, classes] and ln p [n, classes]."""
    return F.kl_div(F.log_softmax(logits, 1), log_p, reduction="none", log_target=True).sum(1)
