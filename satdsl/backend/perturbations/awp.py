"""Perturb weights adversarially, layer by layer (Wu, Xia and Wang, 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def awp(weights: Sequence[Tensor], gradients: Sequence[Tensor], *, gamma: float) -> list[Tensor]:
    """Return gamma * ||w|| * g / ||g|| for each weight with two axes or more, and 0 for biases and batch norms."""

    def change(weight: Tensor, gradient: Tensor) -> Tensor:
        if weight.dim() < 2:
            return torch.zeros_like(weight)
        length = gradient.norm().clamp_min(torch.finfo(gradient.dtype).tiny)
        moved: Tensor = gradient * (gamma * weight.norm() / length)
        return moved

    return [change(weight, gradient) for weight, gradient in zip(weights, gradients, strict=True)]
