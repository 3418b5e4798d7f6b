"""Optimise by stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, Optimizer


def sgd(
    parameters: Iterable[nn.Parameter], *, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Optimizer:
    """Return the optimiser of these parameters."""
    return SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)
