"""Logits and labels to difficulty scores, in all of which larger is harder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from satdsl.catalog.scores import recorded
from satdsl.ir.work import StepError


def entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-sum_k p_k ln p_k of the softmax p (equation 3 of Losch et al., 2024, for one snapshot).

    Labels play no part.
    """
    log_p = F.log_softmax(logits, dim=1)
    return -(log_p.exp() * log_p).sum(1)


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """-ln p_y: the cross-entropy."""
    return F.cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """max_{k != y} p_k - p_y, in [-1, 1]."""
    return logit_margin(logits.softmax(1), labels)


def confidence(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - p_y."""
    return 1 - logits.softmax(1).gather(1, labels[:, None]).squeeze(1)


def el2n(logits: Tensor, labels: Tensor) -> Tensor:
    """|| p - onehot(y) ||_2 (Paul, Ganguli and Dziugaite, 2021)."""
    distance: Tensor = torch.linalg.vector_norm(logits.softmax(1) - F.one_hot(labels, logits.shape[1]), dim=1)
    return distance


def logit_margin(values: Tensor, labels: Tensor) -> Tensor:
    """max_{k != y} v_k - v_y of [n, classes] values: how far the right class is behind the best wrong one."""
    right = values.gather(1, labels[:, None]).squeeze(1)
    wrong = values.scatter(1, labels[:, None], -torch.inf).amax(1)
    return wrong - right


FORWARD: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "entropy": entropy,
    "loss": loss,
    "margin": margin,
    "confidence": confidence,
    "el2n": el2n,
}
"""Scores that take one forward pass: (logits [n, classes], labels [n]) to [n]; entropy and loss in nats."""


def score_in(arrays: Mapping[str, np.ndarray[Any, Any]], score: str) -> np.ndarray[Any, Any]:
    """The column of an artifact's scores that a score's name means. StepError where it is not there."""
    if recorded(score) in arrays:
        return arrays[recorded(score)]
    there = ", ".join(sorted(set(arrays) - {"index"})) or "none"
    raise StepError(f"the score {score} was not recorded (there: {there})", "keep snapshots in the reference training")
