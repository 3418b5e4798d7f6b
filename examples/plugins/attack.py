"""An attack of one's own: MI-FGSM."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import satdsl.plugin as sat


@sat.attack(passes="steps", norm="Linf")
def mifgsm(
    network: nn.Module, images: Tensor, labels: Tensor, *, eps: sat.Radius, steps: int = 5, decay: float = 1.0
) -> Tensor:
    """Ascent along a running sum of gradients (Dong et al., 2018, algorithm 1)."""
    moved, total = images, torch.zeros_like(images)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        loss = F.cross_entropy(network(moved), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moved)
        total = decay * total + gradient / gradient.abs().sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
        moved = moved.detach() + eps / steps * total.sign()
        moved = (images + (moved - images).clamp(-eps, eps)).clamp(0, 1)
    return moved
