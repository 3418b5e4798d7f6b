"""Attack by APGD (Croce and Hein, 2020), as published in `pyautoattack`, with a choice of what it raises."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Literal

import torch
from pyautoattack.autopgd_base import APGDAttack_targeted
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from satdsl.backend.attacks import under_attack
from satdsl.backend.norm_balls import Ball, Norm, project
from satdsl.backend.objectives import cross_entropy, lead_of_wrong
from satdsl.backend.randomness import seeded_globally
from satdsl.catalog.attacks.autoattack import PARTS
from satdsl.ir.work import StepError

Raised = Literal["ce", "dlr", "cw"]


class _Published(APGDAttack_targeted):  # type: ignore[misc]
    """The published attack: where it asks for its targeted loss, it gets the one that is wanted."""

    def __init__(self, network: nn.Module, objective: Raised, norm: Norm, eps: float, steps: int, samples: int) -> None:
        silent = logging.Logger("apgd", logging.CRITICAL + 1)  # what it has to say of gradients we find out ourselves
        super().__init__(network, n_iter=steps, norm=norm, eps=eps, eot_iter=samples, logger=silent)
        self.objective = objective

    def dlr_loss_targeted(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the objective of the logits `x` [n, classes], towards `y_target` where that is set."""
        target, rows = self.y_target, torch.arange(len(x), device=x.device)
        if self.objective == "ce":
            return cross_entropy(x, y) if target is None else -F.cross_entropy(x, target, reduction="none")
        if self.objective == "cw":
            return lead_of_wrong(x, y) if target is None else x[rows, target] - x[rows, y]
        check_classes(x.shape[1], target is not None)
        loss: Tensor = self.dlr_loss(x, y) if target is None else super().dlr_loss_targeted(x, y)
        return loss

    def ascend(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the points of the highest objective, it, whether no iterate fools, and one that does otherwise."""
        self.init_hyperparam(images)
        if self.norm != "L1":
            best, standing, objective, fooling = self.attack_single_run(images, labels)
        else:
            radii = [3.0 * self.eps_orig, 2.0 * self.eps_orig, self.eps_orig]
            best, standing, objective, fooling = self.decr_eps_pgd(images, labels, radii, _shares(self.n_iter_orig))
        return best, objective, standing, fooling


def check_classes(classes: int, aims: bool) -> None:
    """Raise StepError where the DLR loss, towards a target where it `aims` at one, is undefined."""
    if classes < PARTS["apgd-t" if aims else "apgd-dlr"].fewest_classes:
        raise StepError(f"the DLR loss of APGD is undefined for {classes} classes", "take objective=ce or objective=cw")


def apgd(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator | None = None,
    *,
    norm: Norm,
    eps: float,
    steps: int,
    objective: Raised = "ce",
    targets: int = 0,
    restarts: int = 1,
    samples: int = 1,
) -> Tensor:
    """Return, image by image, the iterate with the highest objective, unless another one alone is misclassified.

    Each run after the first, towards another target or from another start, is on the images that none has broken;
    of an image that withstands all of them the highest objective counts.
    """
    if not len(images):
        return images
    images = images.contiguous()
    found, highest = images.clone(), torch.full((len(images),), -torch.inf, device=images.device)
    standing = torch.ones(len(images), dtype=torch.bool, device=images.device)
    with under_attack(network), seeded_globally(generator):
        attack = _Published(network, objective, norm, eps, steps, samples)
        for aimed in _targets(network, images, labels, targets):
            for _ in range(restarts):
                rows = standing.nonzero().flatten()
                if not len(rows):
                    break
                attack.y_target = None if aimed is None else aimed[rows]
                best, reached, withstood, fooling = attack.ascend(images[rows], labels[rows])
                with torch.no_grad():
                    fooled = network(best).argmax(1) != labels[rows]
                point = torch.where((fooled | withstood.bool()).view(-1, 1, 1, 1), best.detach(), fooling.detach())
                fooled |= ~withstood.bool()
                better = fooled | (reached > highest[rows])
                found[rows[better]] = point[better]
                highest[rows[better]], standing[rows[fooled]] = reached[better], False
    return project(found, images, Ball(norm, eps))


def _targets(network: nn.Module, images: Tensor, labels: Tensor, count: int) -> Iterator[Tensor | None]:
    """Give the classes to aim at, [n] each: the wrong ones by their logits, the largest first; or None, once."""
    if not count:
        yield None
        return
    with torch.no_grad():
        logits = network(images).float().scatter(1, labels.view(-1, 1), -torch.inf)
    yield from logits.sort(1, descending=True).indices[:, : min(count, logits.shape[1] - 1)].T


def _shares(steps: int) -> list[int]:
    """Return how many of the steps are taken at each of the three radii of L1, as the published driver shares them."""
    first = -(-3 * steps // 10)
    return [first, first, steps - 2 * first]
