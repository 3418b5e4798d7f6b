"""The terms that a loss is written with: what a formula of `satdsl.catalog.loss_terms` computes, image by image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from satdsl.backend.objectives import kl_divergence


@dataclass(frozen=True, eq=False)
class Labelled:
    """What terms compare predictions with: the labels, int64 [n], and the label smoothing of the recipe."""

    labels: Tensor
    label_smoothing: float = 0.0

    def of_label(self, values: Tensor) -> Tensor:
        """Return of each image the value [n] that belongs to its label, of values [n, classes]."""
        return values.gather(1, self.labels.view(-1, 1)).squeeze(1)

    def without_label(self, values: Tensor) -> Tensor:
        """Return values [n, classes] that are minus infinity at the label."""
        return values.scatter(1, self.labels.view(-1, 1), -torch.inf)


def ce(of: Labelled, logits: Tensor) -> Tensor:
    """Return -ln p_y, with label smoothing."""
    return F.cross_entropy(logits, of.labels, reduction="none", label_smoothing=of.label_smoothing)


def bce(of: Labelled, logits: Tensor) -> Tensor:
    """Return -ln p_y - ln(1 - max_{k != y} p_k).

    1 - p_k is the sum of the other probabilities, so its logarithm is taken without a difference that may be 0, where
    MART's code has ln(1.0001 - p_k + 1e-12).
    """
    wrong = of.without_label(logits).argmax(1, keepdim=True)
    others = logits.scatter(1, wrong, -torch.inf).logsumexp(1)
    return F.cross_entropy(logits, of.labels, reduction="none") + logits.logsumexp(1) - others


def kl(of: Labelled, x: Tensor, y: Tensor) -> Tensor:
    """Return KL(p(x) || p(y))."""
    return kl_divergence(y, F.log_softmax(x, 1))


def l2(of: Labelled, x: Tensor, y: Tensor) -> Tensor:
    """Return the squared distance of the logits."""
    return (x - y).square().sum(1)


def p(of: Labelled, logits: Tensor) -> Tensor:
    """Return p_y."""
    return of.of_label(logits.softmax(1))


def margin(of: Labelled, logits: Tensor) -> Tensor:
    """Return max_{k != y} p_k - p_y."""
    probabilities = logits.softmax(1)
    return of.without_label(probabilities).amax(1) - of.of_label(probabilities)


def fixed(of: Labelled, value: Tensor) -> Tensor:
    """Return a value that no gradient goes through."""
    return value.detach()


TERMS: dict[str, Callable[..., Tensor]] = {
    function.__name__: function for function in (ce, bce, kl, l2, p, margin, fixed)
}
