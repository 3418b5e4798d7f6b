"""Images, labels and a network to adversarial images: projected gradient ascent in a norm ball."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from satdsl.backend import norm_balls
from satdsl.backend.norm_balls import Ball, Norm, Start, pgd_step, project
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

Keep = Literal["best", "last"]
Target = Literal["none", "next", "random", "least_likely"]

Attack = Callable[[nn.Module, Tensor, Tensor, Generator], Tensor]
"""(network, images in [0, 1], labels, random numbers) to adversarial images."""

Objective = Callable[[Tensor, Tensor], Tensor]
"""(logits float32 [n, classes], what is attacked: labels int64 [n], or any tensor [n, ...]) to losses [n]."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Each image's cross-entropy, [n], in nats."""
    return F.cross_entropy(logits, labels, reduction="none")


def attack_of(choice: CatalogCall) -> Attack | None:
    """The attack that a catalog entry stands for; None for `none`. StepError for what this module has not."""
    if choice.name == "none":
        return None
    settings = pgd_settings(choice)
    return lambda network, images, labels, generator: pgd(network, images, labels, **settings, generator=generator)


def pgd_settings(choice: CatalogCall) -> dict[str, Any]:
    """The keyword arguments of `pgd` that the entry `pgd` or `fgsm` stands for; StepError for another.

    FGSM (Goodfellow et al., 2015; with a random start Wong et al., 2020) is a single step of `step_size`,
    eps where it is none, of which the end counts.
    """
    if choice.name not in ("pgd", "fgsm"):
        raise StepError(f"{choice.name} measures robustness; it cannot be trained with", "train with pgd or fgsm")
    eps = float(choice["eps"])
    settings = {
        "norm": choice["norm"],
        "eps": eps,
        "random_start": choice.get("random_start", "none"),
        "target": choice.get("target", "none"),
    }
    if choice.name == "fgsm":
        step_size = choice.get("step_size")
        return settings | {"steps": 1, "step_size": eps if step_size is None else float(step_size), "keep": "last"}
    return settings | {
        "steps": int(choice["steps"]),
        "step_size": float(choice["step_size"]),
        "keep": choice.get("keep", "best"),
        "restarts": int(choice.get("restarts", 1)),
    }


def pgd(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    norm: Norm,
    eps: float,
    steps: int,
    step_size: float,
    random_start: Start = "none",
    keep: Keep = "best",
    restarts: int = 1,
    target: Target = "none",
    objective: Objective = cross_entropy,
    start: Tensor | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Projected gradient ascent on `objective`, the cross-entropy (Madry et al., 2018) if not told otherwise.

    `images` [n, c, h, w] in [0, 1]; `labels` int64 [n], or what else `objective` takes; `eps` and `step_size`
    in the scale of the images. From the start, `steps` times: move by `step_size` along
    `norm_balls.steepest_ascent`, then back into the ball and [0, 1] by `norm_balls.project`. The start is `start`
    (brought into the ball) in the first restart where it is given, else `norm_balls.random_start` draws it.

    `keep="last"` returns the last iterate; `keep="best"`, image by image, the one with the highest objective
    among all of them, the start and the last included, the first of equals. Of several `restarts` the one with
    the highest objective counts. With a `target` (see `targeted`) the objective at a wrong label is minimised
    instead, and the lowest counts.

    The network is attacked in evaluation mode and left as it was; no parameter gets a gradient. `generator`
    draws the random starts and targets; the global random state is neither used nor changed.
    """
    compared = keep == "best" or restarts > 1
    ball = Ball(norm, eps)
    with under_attack(network):
        objective = targeted(objective, target, network, images, labels, generator)
        best, best_loss = images, torch.full((len(images),), -torch.inf, device=images.device)
        for _ in range(restarts):
            if start is None:
                iterate = norm_balls.random_start(images, ball, random_start, generator)
            else:
                iterate, start = project(start, images, ball), None
            for _ in range(steps):
                loss, gradient = loss_and_gradient(network, iterate, labels, objective)
                if keep == "best":
                    best, best_loss = _higher(iterate, loss, best, best_loss)
                iterate = pgd_step(iterate, gradient, images, ball, step_size)
            if not compared:
                return iterate
            with torch.no_grad():
                loss = objective(network(iterate).float(), labels)
            best, best_loss = _higher(iterate, loss, best, best_loss)
    return best


def targeted(
    objective: Objective,
    target: Target,
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator | None = None,
) -> Objective:
    """The objective whose rise is a fall of `objective` at a wrong label of each image; `none` leaves it.

    `next` is the class after the label, the first after the last; `random` is drawn uniformly among the wrong
    ones; `least_likely` has the lowest logit of them on the unperturbed image (Kurakin et al., 2017).
    """
    if target == "none":
        return objective
    if target == "least_likely":
        with torch.no_grad():
            least = network(images).float().scatter(1, labels.view(-1, 1), torch.inf).argmin(1)
        return lambda logits, _: -objective(logits, least)
    share = torch.rand(labels.shape, generator=generator, device=labels.device) if target == "random" else 0 * labels

    def lowered(logits: Tensor, labels: Tensor) -> Tensor:
        classes = logits.shape[1]
        further = 1 + (share * (classes - 1)).long().clamp_max(classes - 2)
        return -objective(logits, (labels + further) % classes)

    return lowered


def _higher(found: Tensor, loss: Tensor, best: Tensor, best_loss: Tensor) -> tuple[Tensor, Tensor]:
    better = loss > best_loss
    return torch.where(better.view(-1, 1, 1, 1), found, best), torch.where(better, loss, best_loss)


def loss_and_gradient(
    network: nn.Module, images: Tensor, labels: Tensor, objective: Objective = cross_entropy
) -> tuple[Tensor, Tensor]:
    """Each image's objective [n], and the gradient of their sum by the images."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        losses = objective(network(images).float(), labels)
        (gradient,) = torch.autograd.grad(losses.sum(), images)
    return losses.detach(), gradient


@contextmanager
def under_attack(network: nn.Module) -> Iterator[None]:
    """Inside, modules are in evaluation mode and parameters want no gradient; afterwards all is as it was."""
    training = [module for module in network.modules() if module.training]
    wanting = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for module in training:
            module.training = False
        for parameter in wanting:
            parameter.requires_grad_(False)
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in wanting:
            parameter.requires_grad_(True)
