"""Train with TRADES (Zhang et al., 2019): the clean cross-entropy, and how far the prediction moves."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from satdsl.backend.attacks import Attack, attack_of
from satdsl.backend.objectives import kl_divergence
from satdsl.ir.steps import CatalogCall

NOISE = 1e-3
"""Standard deviation of the Gaussian that TRADES starts from, as its authors' code has it.

At the image itself the gradient of what it maximises is zero.
"""


def trades(plain: Tensor, logits: Tensor, adversarial: Tensor, labels: Tensor, *, beta: float) -> Tensor:
    """Return -ln p_y(x) + beta * KL(p(x) || p(x')) of each image, [n]: equation 5 of the paper."""
    return plain + beta * kl_divergence(adversarial, F.log_softmax(logits, 1))


def attack(call: CatalogCall) -> Attack:
    """Return TRADES' inner maximisation (algorithm 1): the subset's attack on KL(p(x) || p(x')), p(x) held fixed.

    Ball, steps, step size and iterate are those of the subset's attack. Without a random start of its own it
    begins at x + 0.001 N(0, 1).
    """
    maximise, from_image = attack_of(call), call.get("random_start", "none") == "none"

    def farthest(network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        with torch.no_grad():
            clean = F.log_softmax(network(images), 1)
        start = None
        if from_image:
            noise = torch.randn(images.shape, generator=generator, device=images.device)
            start = (images + NOISE * noise).clamp_(0, 1)
        return maximise(network, images, clean, generator, objective=kl_divergence, start=start)

    return farthest
