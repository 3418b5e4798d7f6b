"""What attacks that look for the nearest adversarial image have in common: a look at a point, and the nearest found."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from satdsl.backend.attacks import loss_and_gradient
from satdsl.backend.device import answers_at_once
from satdsl.backend.norm_balls import Norm, distances
from satdsl.backend.objectives import Objective, lead_of_wrong

FARTHER: tuple[float, ...] = (1.0, 1 + 1e-5, 1 + 1e-4, 1 + 1e-3, 1 + 1e-2)
"""How much longer a perturbation may be made so that it fools the network in the precision that it is measured in.

The nearest adversarial images lie so close to the boundary that another order of the same sums can undo them.
"""


class Nearest:
    """The nearest adversarial image that is found of each of n images: the image itself where there is none yet.

    `distance` [n] is its norm, infinite where there is none.
    """

    def __init__(self, images: Tensor, norm: Norm) -> None:
        self._images, self._norm = images, norm
        self.found = images.clone()
        self.distance = torch.full((len(images),), torch.inf, device=images.device)

    def look(self, points: Tensor, fools: Tensor) -> Tensor:
        """Keep those of `points` [n, c, h, w] that fool the network (bool [n]) and are nearer; return all distances."""
        far = distances(points, self._images, self._norm)
        nearer = fools & (far < self.distance)
        self.found = torch.where(per_image(nearer), points, self.found)
        self.distance = torch.where(nearer, far, self.distance)
        return far


def gradient_at(network: nn.Module, points: Tensor, labels: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """Return by how much the largest wrong logit exceeds that of the label [n], and the gradient of the objective."""
    leads: list[Tensor] = []

    def watched(logits: Tensor, labels: Tensor) -> Tensor:
        leads.append(lead_of_wrong(logits.detach(), labels))
        return objective(logits, labels)

    _, gradient = loss_and_gradient(network, points, labels, watched)
    return leads[0], gradient


def not_found_warnings(distance: NDArray[np.float64] | None, attack: str) -> list[str]:
    """Return a warning if nothing was found for some images; `distance` [n] is that of `measure.Rows`."""
    count = 0 if distance is None else int(np.isinf(distance).sum())
    if distance is None or not count:
        return []
    return [
        f"{attack} found no adversarial image for {count} of the {int((distance > 0).sum())} images that are right "
        "without attack: they count as robust at every radius, and a mean distance has no value; let it take more "
        "steps, and if that changes nothing, look at how many images square breaks"
    ]


def per_image(values: Tensor) -> Tensor:
    """Return one value for each image, [n], in the shape in which it is broadcast over pixels."""
    return values.view(-1, 1, 1, 1)


def farthest(images: Tensor, norm: Norm) -> Tensor:
    """Return how far the farthest corner of [0, 1] is from each image, [n]."""
    return distances((images < 0.5).to(images.dtype), images, norm)


def annealed(start: float, end: float, step: int, steps: int) -> float:
    """Return a value that falls from start towards end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * step / steps)) / 2


def confirmed(
    network: nn.Module, images: Tensor, found: Tensor, labels: Tensor, norm: Norm
) -> tuple[Tensor, Tensor, NDArray[np.float64]]:
    """Return adversarial images in [0, 1] that fool `network`, what it predicts for them, and how far they are.

    `found` [n, c, h, w] are made a little longer (`FARTHER`) where they do not. Where that does not help either, the
    image itself is returned, with its prediction and an infinite distance.
    """
    kept, distance = images.clone(), torch.full((len(images),), torch.inf, dtype=torch.float64, device=images.device)
    with torch.no_grad():
        predicted = network(images).argmax(1)
        for factor in FARTHER:
            points = torch.lerp(images, found, factor).clamp_(0, 1) if factor != 1 else found.clamp(0, 1)
            logits = network(points)
            classes = logits.argmax(1)
            new = (classes != labels) & logits.isfinite().all(1) & distance.isinf()
            kept = torch.where(per_image(new), points, kept)
            predicted = torch.where(new, classes, predicted)
            distance = torch.where(new, distances(points.double(), images.double(), norm), distance)
            if answers_at_once(distance) and distance.isfinite().all():
                break
    return kept, predicted, distance.cpu().numpy()
