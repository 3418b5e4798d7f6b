"""What attacks maximise: functions of logits float32 [n, classes] and of what is attacked, to losses [n]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

Objective = Callable[[Tensor, Tensor], Tensor]
"""(logits float32 [n, classes], what is attacked: labels int64 [n], or any tensor [n, ...]) to losses [n]."""

Maximised = Literal["ce", "kl", "cw", "dlr"]

NOISE = 1e-3
"""Standard deviation of the Gaussian that an ascent on `kl` starts from, as the code of TRADES' authors has it.

At the image itself the gradient of the divergence is zero.
"""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each image's cross-entropy, [n], in nats."""
    return F.cross_entropy(logits, labels, reduction="none")


def kl_divergence(logits: Tensor, log_p: Tensor) -> Tensor:
    """Return KL(p || softmax(logits)) of each image, in nats: [n], of [n, classes] and ln p [n, classes]."""
    return F.kl_div(F.log_softmax(logits, 1), log_p, reduction="none", log_target=True).sum(1)


def lead_of_wrong(logits: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the largest wrong logit exceeds that of the label, [n]: above 0 where it is misclassified."""
    wrong = logits.scatter(1, labels.view(-1, 1), -torch.inf).amax(1)
    return wrong - logits.gather(1, labels.view(-1, 1)).squeeze(1)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the difference of logits ratio (Croce and Hein, 2020, equation 6), [n], of three classes or more."""
    largest = logits.topk(3).values
    return lead_of_wrong(logits, labels) / (largest[:, 0] - largest[:, 2] + 1e-12)


OBJECTIVES: Mapping[Maximised, Objective] = {
    "ce": cross_entropy,
    "kl": kl_divergence,
    "cw": lead_of_wrong,
    "dlr": dlr,
}


def attacked_for(objective: Maximised, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return what an objective compares predictions with: the labels, or for `kl` the prediction without attack."""
    if objective != "kl":
        return labels
    with torch.no_grad():
        return F.log_softmax(network(images).float(), 1)


def first_iterate(objective: Maximised, images: Tensor, from_image: bool, generator: Generator | None) -> Tensor | None:
    """Return where an ascent that has no random start begins, None where that is the image itself."""
    if objective != "kl" or not from_image:
        return None
    return (images + NOISE * torch.randn(images.shape, generator=generator, device=images.device)).clamp_(0, 1)
