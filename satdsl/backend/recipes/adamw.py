"""Optimise by Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.optim import AdamW, Optimizer


def adamw(
    parameters: Iterable[nn.Parameter], *, lr: float, betas: tuple[float, float], epsilon: float, weight_decay: float
) -> Optimizer:
    """Return the optimiser of these parameters."""
    return AdamW(parameters, lr=lr, betas=betas, eps=epsilon, weight_decay=weight_decay)
