"""Images, labels and a network to adversarial images: PGD and FGSM in the L2 and the L-infinity norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from satdsl.plan.steps import Choice
from satdsl.plan.work import StepError

Norm = Literal["Linf", "L2"]
Start = Literal["none", "sphere", "ball", "radial"]
Keep = Literal["best", "last"]

Attack = Callable[[nn.Module, Tensor, Tensor, Generator], Tensor]
"""(network, images in [0, 1], labels, random numbers) to adversarial images."""


Objective = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none")


@dataclass(frozen=True)
class Ball:
    """The perturbations of an image whose norm is at most `eps`, in the [0, 1] image scale."""

    norm: Norm
    eps: float


TINY = torch.finfo(torch.float32).tiny


def attack_of(choice: Choice) -> Attack | None:
    """The attack that a catalog entry stands for; None for `none`. StepError for what this module has not."""
    if choice.name == "none":
        return None
    if choice.name not in ("pgd", "fgsm"):
        raise StepError(f"{choice.name} measures robustness; it cannot be trained with", "train with pgd or fgsm")
    if choice["norm"] not in ("Linf", "L2"):
        raise StepError(f"this version has no {choice.name} in the {choice['norm']} norm", "norm=Linf or norm=L2")
    norm, eps = choice["norm"], float(choice["eps"])
    start = choice.get("random_start", "none")
    if choice.name == "fgsm":
        return _with_generator(fgsm, norm=norm, eps=eps, step_size=choice.get("step_size"), random_start=start)
    return _with_generator(
        pgd,
        norm=norm,
        eps=eps,
        steps=int(choice["steps"]),
        step_size=float(choice["step_size"]),
        random_start=start,
        keep=choice.get("keep", "best"),
        restarts=int(choice.get("restarts", 1)),
    )


def pgd_settings(choice: Choice) -> dict[str, Any]:
    """The keyword arguments of `pgd` that a `pgd` or `fgsm` entry stands for."""
    eps, fast = float(choice["eps"]), choice.name == "fgsm"
    step_size = choice.get("step_size")
    return {
        "norm": choice["norm"],
        "eps": eps,
        "steps": 1 if fast else int(choice["steps"]),
        "step_size": eps if step_size is None else float(step_size),
        "random_start": choice.get("random_start", "none"),
        "keep": "last" if fast else choice.get("keep", "best"),
        "restarts": int(choice.get("restarts", 1)),
    }


def _with_generator(attack: Callable[..., Tensor], **settings: object) -> Attack:
    bound = partial(attack, **settings)
    return lambda network, images, labels, generator: bound(network, images, labels, generator=generator)


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
    start: Tensor | None = None,
    objective: Objective = cross_entropy,
    generator: Generator | None = None,
) -> Tensor:
    """Projected gradient ascent on the cross-entropy (Madry et al., 2018).

    `images` [n, c, h, w] in [0, 1], `labels` int64 [n]; `eps` and `step_size` in that scale. From the
    start, `steps` times: move by `step_size` along `ascent(gradient)`, project into the ball, clamp to [0,
    1].

    `keep="last"` returns the last iterate; `keep="best"`, image by image, the one with the highest
    cross-entropy among all of them, the start and the last included, the first of equals. Of several
    `restarts` the one with the highest cross-entropy counts. The network is attacked in evaluation mode and
    left as it was; no parameter gets a gradient. `generator` draws the random starts; the global random
    state is neither used nor changed.
    """
    compared = keep == "best" or restarts > 1
    ball = Ball(norm, eps)
    with under_attack(network):
        best, best_loss = images, torch.full((len(images),), -torch.inf, device=images.device)
        for restart in range(restarts):
            iterate = started(images, ball, random_start, generator) if start is None or restart else start
            for _ in range(steps):
                loss, gradient = loss_and_gradient(network, iterate, labels, objective)
                if keep == "best":
                    best, best_loss = _higher(iterate, loss, best, best_loss)
                iterate = _moved(iterate, gradient, images, ball, step_size)
            if not compared:
                return iterate
            with torch.no_grad():
                loss = objective(network(iterate).float(), labels)
            best, best_loss = _higher(iterate, loss, best, best_loss)
    return best


def fgsm(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    norm: Norm,
    eps: float,
    step_size: float | None = None,
    random_start: Start = "none",
    generator: Generator | None = None,
) -> Tensor:
    """One step of `step_size` (None: eps), then the projection (Goodfellow et al., 2015).

    With a random start it is that of Wong et al., 2020.
    """
    return pgd(
        network,
        images,
        labels,
        norm=norm,
        eps=eps,
        steps=1,
        step_size=eps if step_size is None else float(step_size),
        random_start=random_start,
        keep="last",
        generator=generator,
    )


def _moved(iterate: Tensor, gradient: Tensor, images: Tensor, ball: Ball, step_size: float) -> Tensor:
    moved = iterate + step_size * ascent(gradient, ball.norm)
    return (images + projected(moved - images, ball)).clamp_(0, 1)


def _higher(found: Tensor, loss: Tensor, best: Tensor, best_loss: Tensor) -> tuple[Tensor, Tensor]:
    better = loss > best_loss
    return torch.where(better.view(-1, 1, 1, 1), found, best), torch.where(better, loss, best_loss)


def loss_and_gradient(
    network: nn.Module, images: Tensor, labels: Tensor, objective: Objective
) -> tuple[Tensor, Tensor]:
    """Each image's cross-entropy [n], and the gradient of their sum by the images."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        losses = objective(network(images).float(), labels)
        (gradient,) = torch.autograd.grad(losses.sum(), images)
    return losses.detach(), gradient


def ascent(gradient: Tensor, norm: Norm) -> Tensor:
    """Each image's direction of steepest ascent.

    The sign of the gradient under Linf; the gradient divided by its own L2 norm under L2.
    """
    if norm == "Linf":
        return gradient.sign()
    # A confident network's gradients are so small that their squares vanish: bring them to order one first.
    scaled = gradient / gradient.abs().amax((1, 2, 3), keepdim=True).clamp_min(TINY)
    return scaled / lengths(scaled).clamp_min(TINY)


def projected(perturbation: Tensor, ball: Ball) -> Tensor:
    """Each image's perturbation [n, c, h, w], brought to the nearest point of the ball around 0."""
    if ball.norm == "Linf":
        return perturbation.clamp(-ball.eps, ball.eps)
    return perturbation * (ball.eps / lengths(perturbation).clamp_min(TINY)).clamp_max(1)


def started(images: Tensor, ball: Ball, random_start: Start, generator: Generator | None) -> Tensor:
    """Where the attack begins, clamped to [0, 1]. Of the ball around the image,

    - `none` is the image itself;
    - `sphere` draws a point of the surface, uniformly (Linf: a face of the cube, and a point of it);
    - `ball` a point of the inside, uniformly by volume (Linf: each pixel uniform in [-eps, eps], as in
      Madry et al.);
    - `radial` a direction as `sphere` does and a radius uniform in [0, eps].
    """
    if random_start == "none":
        return images
    draw = partial(torch.rand, generator=generator, device=images.device)
    if ball.norm == "Linf":
        drawn = draw(images.shape) * 2 - 1
        if random_start != "ball":
            drawn = drawn / drawn.abs().amax((1, 2, 3), keepdim=True)
    else:
        drawn = torch.randn(images.shape, generator=generator, device=images.device)
        drawn = drawn / lengths(drawn)
        if random_start == "ball":
            drawn = drawn * draw((len(images), 1, 1, 1)) ** (1 / images[0].numel())
    if random_start == "radial":
        drawn = drawn * draw((len(images), 1, 1, 1))
    return (images + ball.eps * drawn).clamp_(0, 1)


def lengths(batch: Tensor) -> Tensor:
    """Each image's L2 norm, [n, 1, 1, 1]."""
    norms: Tensor = torch.linalg.vector_norm(batch, dim=(1, 2, 3), keepdim=True)
    return norms


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
