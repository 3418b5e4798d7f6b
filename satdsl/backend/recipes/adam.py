"""Optimise by Adam (Kingma and Ba, 2015)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.optim import Adam, Optimizer


def adam(
    parameters: Iterable[nn.Parameter], *, lr: float, betas: tuple[float, float], epsilon: float, weight_decay: float
) -> Optimizer:
    """Return the optimiser of these parameters."""
    return Adam(parameters, lr=lr, betas=betas, eps=epsilon, weight_decay=weight_decay)
