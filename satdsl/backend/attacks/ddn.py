"""Look for the nearest adversarial image under L2, by decoupled direction and norm (Rony et al., 2019)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from satdsl.backend.attacks import under_attack
from satdsl.backend.device import answers_at_once
from satdsl.backend.nearest_images import Nearest, annealed, farthest, gradient_at, per_image
from satdsl.backend.norm_balls import distances, steepest_ascent
from satdsl.backend.objectives import cross_entropy

LAST_STEP = 0.01
"""To what part of its first length a step falls along half a cosine (section 4.1)."""


def ddn(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator | None = None,
    *,
    steps: int,
    init: float = 1.0,
    gamma: float = 0.05,
    levels: int | None = None,
) -> Tensor:
    """Return the nearest adversarial image that is found, the image itself where there is none (algorithm 1).

    A point on the sphere of radius eps moves along the gradient of the cross-entropy and back onto a sphere that is
    smaller by `gamma` where the point was adversarial, and larger by it where not. `levels` rounds the points to so
    many levels, as the paper does (256). Where there is no gradient, the direction is random.
    """
    with under_attack(network):
        nearest, point = Nearest(images, "L2"), images
        eps = torch.full((len(images),), init, device=images.device)
        corner = farthest(images, "L2")
        for step in range(steps):
            lead, gradient = gradient_at(network, point, labels, cross_entropy)
            nearest.look(point, lead > 0)
            eps = torch.minimum(torch.where(lead > 0, 1 - gamma, 1 + gamma) * eps, corner)
            direction = steepest_ascent(_or_random(gradient, generator), point, "L2")
            moved = point - images + annealed(1, LAST_STEP, step, steps) * direction
            length = distances(moved, torch.zeros_like(moved), "L2")
            point = (images + moved * per_image(eps / length.clamp_min(1e-12))).clamp_(0, 1)
            if levels is not None:
                point = (point * (levels - 1)).round_() / (levels - 1)
    return nearest.found


def _or_random(gradient: Tensor, generator: Generator | None) -> Tensor:
    flat = (gradient == 0).flatten(1).all(1)
    if answers_at_once(flat) and not flat.any():
        return gradient
    drawn = torch.randn(gradient.shape, generator=generator, device=gradient.device)
    return torch.where(per_image(flat), drawn, gradient)
