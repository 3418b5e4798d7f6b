"""Look for the nearest adversarial image by primal-dual proximal gradient descent (Matyasko and Chau, 2021)."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from satdsl.backend.attacks import under_attack
from satdsl.backend.device import answers_at_once
from satdsl.backend.nearest_images import Nearest, gradient_at, per_image
from satdsl.backend.norm_balls import Norm, shrunk
from satdsl.backend.objectives import lead_of_wrong

BETAS = 0.9, 0.999
"""Adam's, as usual."""

FIRST_RATIO, LEAST_RATIO = 0.01, 1e-6
"""The weight of the norm over that of the boundary: at first, and at least; its inverse is bounded alike."""

MEMORY = 0.9
"""How much of the weights of before the moving average of the weights keeps."""

PROXIMAL_STEPS, SETTLED = 5, 1e-2
"""Steps of the proximal operator at most, and by what part a step moves the perturbation when no more are made."""


def pdpgd(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator | None = None,
    *,
    norm: Norm,
    steps: int,
    primal_lr: float = 0.1,
    dual_lr: float = 0.1,
) -> Tensor:
    """Return the nearest adversarial image that is found, the image itself where there is none (algorithm 1).

    The Lagrangian of "the least norm for which the largest wrong logit leads" is lowered in the perturbation, its
    smooth half by Adam and its norm by a proximal operator in Adam's own metric (Melchior et al., 2019), and raised
    in the weights of its halves, of which a moving average counts. The defaults are those of the authors' library.
    """
    with under_attack(network):
        nearest, moved = Nearest(images, norm), torch.zeros_like(images)
        mean, square = torch.zeros_like(images), torch.zeros_like(images)
        weight = torch.full((len(images),), -math.log(FIRST_RATIO), device=images.device)
        ratio = torch.stack((1 - weight.sigmoid(), weight.sigmoid()), 1)
        for step in range(steps):
            point = images + moved
            lead, gradient = gradient_at(network, point, labels, lambda x, y: -F.softplus(-lead_of_wrong(x, y)))
            nearest.look(point, lead > 0)
            mean.lerp_(-gradient, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            scale = (square / (1 - BETAS[1] ** (step + 1))).sqrt_().add_(1e-8)
            length = primal_lr * 0.01 ** (step / steps)
            moved = _in_box(moved - length * mean / (1 - BETAS[0] ** (step + 1)) / scale, images)
            largest = per_image(scale.flatten(1).amax(1))
            penalty = per_image(ratio[:, 0] / ratio[:, 1]) * length / largest
            moved = _proximal(moved, images, scale / largest, penalty, norm)
            left = (steps - 1 - step) / max(1, steps - 1)
            weight += dual_lr * (0.9 * left + 0.1) * torch.sign(-lead)
            weight.clamp_(math.log(LEAST_RATIO), -math.log(LEAST_RATIO))
            ratio.lerp_(torch.stack((1 - weight.sigmoid(), weight.sigmoid()), 1), 1 - MEMORY)
    return nearest.found


def _in_box(moved: Tensor, images: Tensor) -> Tensor:
    return (images + moved).clamp_(0, 1) - images


def _proximal(wanted: Tensor, images: Tensor, metric: Tensor, penalty: Tensor, norm: Norm) -> Tensor:
    """Return what lowers penalty * norm + the squared distance to `wanted` in a diagonal `metric`, half of it."""
    point = wanted
    going = torch.ones((len(images), 1, 1, 1), dtype=torch.bool, device=images.device)
    for _ in range(PROXIMAL_STEPS):
        new = _in_box(shrunk(point - metric * (point - wanted), penalty, norm), images)
        change = (new - point).flatten(1).norm(dim=1)
        point = torch.where(going, new, point)
        going = going & per_image(change > SETTLED * point.flatten(1).norm(dim=1))
        if answers_at_once(going) and not going.any():
            break
    return point
