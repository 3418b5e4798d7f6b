"""Perturb all weights to where the loss is highest (Foret et al., 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def sam(weights: Sequence[Tensor], gradients: Sequence[Tensor], *, rho: float) -> list[Tensor]:
    """Return rho * g / ||g||, the norm taken over all weights together."""
    length = torch.stack([gradient.norm() for gradient in gradients]).norm()
    scale = rho / length.clamp_min(torch.finfo(length.dtype).tiny)
    return [scale * gradient for gradient in gradients]
