"""Attack with random points of the ball."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from satdsl.backend.attacks import higher, under_attack
from satdsl.backend.norm_balls import Ball, Norm, Start, random_start, scaled
from satdsl.backend.objectives import lead_of_wrong


def noise(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator | None = None,
    *,
    norm: Norm,
    eps: float,
    draws: int = 1,
    distribution: Start = "ball",
    scale: Tensor | None = None,
) -> Tensor:
    """Return the point of `draws` by `norm_balls.random_start` at which `lead_of_wrong` is largest, image by image.

    So an image is misclassified if it is at any of its points. With a `scale` [n] the radius of each image is
    multiplied by its number.
    """
    ball = Ball(norm, scaled(eps, scale))
    if draws == 1:
        return random_start(images, ball, distribution, generator)
    worst, lead = images, torch.full((len(images),), -torch.inf, device=images.device)
    with under_attack(network), torch.no_grad():
        for _ in range(draws):
            drawn = random_start(images, ball, distribution, generator)
            worst, lead = higher(drawn, lead_of_wrong(network(drawn).float(), labels), worst, lead)
    return worst
