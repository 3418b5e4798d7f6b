"""Compute in norm balls around images: the direction of steepest ascent, projections, random starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor

Norm = Literal["Linf", "L2", "L1"]
Start = Literal["none", "sphere", "ball", "radial"]

SPARSITY = 0.01
"""Share of an image's values that a step under L1 moves: the largest 1 %, as in cleverhans and foolbox."""

TINY = torch.finfo(torch.float32).tiny

EDGE = 1e-6
"""A pixel this close to 0 or 1 counts as being there: arithmetic leaves it a rounding error away."""


@dataclass(frozen=True)
class Ball:
    """The perturbations of an image whose norm is at most `eps`, in the [0, 1] image scale."""

    norm: Norm
    eps: float | Tensor
    """The radius, of each image where it is [n, 1, 1, 1]. One of 0 has the image alone."""


def scaled(length: float, scale: Tensor | None) -> float | Tensor:
    """Return a length, multiplied for each image by its number in `scale` [n] where that is given: [n, 1, 1, 1]."""
    return length if scale is None else (scale * length).view(-1, 1, 1, 1)


def pgd_step(iterate: Tensor, gradient: Tensor, images: Tensor, ball: Ball, step_size: float | Tensor) -> Tensor:
    """Move `iterate` by a step of this length along the steepest ascent, and project it into the ball and [0, 1].

    As the radius, `step_size` may be one for each image, [n, 1, 1, 1].
    """
    ascent = steepest_ascent(gradient, iterate, ball.norm)
    if isinstance(step_size, Tensor):
        return project(torch.addcmul(iterate, ascent, step_size), images, ball)
    return project(torch.add(iterate, ascent, alpha=step_size), images, ball)


def steepest_ascent(gradient: Tensor, iterate: Tensor, norm: Norm) -> Tensor:
    """Return each image's direction of steepest ascent, of length 1 in the norm: [n, c, h, w].

    Linf: the sign of the gradient. L2: the gradient divided by its own L2 norm.

    L1: the exact direction would move a single value. As in SLIDE (Tramèr and Boneh, 2019), the share `SPARSITY` of
    the values with the largest gradients moves (at least one, and all that equal the last), each by the same amount
    along the sign of its gradient. Values that are at 0 or 1 already and would leave [0, 1] are skipped.
    """
    if norm == "Linf":
        return gradient.sign()
    if norm == "L2":
        # A confident network's gradients are so small that their squares vanish: bring them to order one first.
        scaled = gradient / _lengths(gradient, torch.inf).clamp_min_(TINY)
        return scaled.div_(_lengths(scaled, 2).clamp_min_(TINY))
    room = torch.where(gradient > 0, 1 - iterate, iterate) > EDGE
    slopes = (gradient.abs() * room).flatten(1)
    count = max(1, round(SPARSITY * slopes.shape[1]))
    steepest = (slopes >= slopes.topk(count).values[:, -1:]).view_as(gradient)
    direction = gradient.sign() * (steepest & room)
    return direction.div_(_lengths(direction, 1).clamp_min_(1))


def project(points: Tensor, images: Tensor, ball: Ball) -> Tensor:
    """Project each of `points` [n, c, h, w] into the ball around its image, and into [0, 1].

    Under Linf and L1 the result is the nearest point of both. Under L2 it is the nearest point of the ball, then
    clamped, as in Madry's and all usual implementations; that is a point of both, but not always the nearest.
    """
    perturbation = points - images
    if ball.norm == "Linf":
        radius: Any = ball.eps  # torch has one signature for numbers, and one for tensors
        perturbation.clamp_(-radius, radius)
    elif ball.norm == "L2":
        perturbation.mul_((ball.eps / _lengths(perturbation, 2).clamp_min_(TINY)).clamp_max_(1))
    else:
        perturbation = _nearest_in_l1(perturbation, images, ball.eps)
    return perturbation.add_(images).clamp_(0, 1)


def _nearest_in_l1(perturbation: Tensor, images: Tensor, radius: float | Tensor) -> Tensor:
    """Return the nearest perturbation in the L1 ball that keeps the image in [0, 1].

    Source: Croce and Hein, 2021, "Mind the box".

    If |w| is the size of a pixel's perturbation and c how far the pixel can go that way, the nearest point has the size
    min(max(|w| - t, 0), c), with the least t >= 0 for which the sum over the pixels is at most eps. As t falls, each
    pixel's size grows linearly from t = |w| on and stops at t = |w| - c. So t is found exactly by sorting these places
    and following the sum from the largest down. For example, w = (0.5, 0.2), c = (0.3, 1) and eps = 0.4: the places
    are 0.5, 0.2, 0.2 and 0; at t = 0.2 the sum is 0.3, and at t = 0.1 it is 0.3 + 0.1, so the sizes are (0.3, 0.1).
    """
    eps = radius.flatten(1) if isinstance(radius, Tensor) else radius
    wanted = perturbation.abs().flatten(1)
    room = torch.where(perturbation > 0, 1 - images, images).flatten(1)
    places, order = torch.cat((wanted, (wanted - room).clamp_min_(0)), 1).sort(dim=1, descending=True)
    active = torch.where(order < wanted.shape[1], 1, -1).cumsum(1)
    ends = torch.cat((places[:, 1:], torch.zeros_like(places[:, :1])), 1)
    sums = ((places - ends) * active).cumsum(1)
    # The first interval in which the sum reaches eps. If it never does, the last one, and then t is 0.
    stretch = (sums < eps).sum(1, keepdim=True).clamp_max_(sums.shape[1] - 1)
    beyond = (sums.gather(1, stretch) - eps).clamp_min_(0)
    threshold = ends.gather(1, stretch) + beyond / active.gather(1, stretch).clamp_min_(1)
    sizes = torch.minimum((wanted - threshold).clamp_min_(0), room)
    sizes *= (eps / sizes.sum(1, keepdim=True).clamp_min_(TINY)).clamp_max_(1)  # rounding can leave the sum above eps
    return sizes.view_as(perturbation).copysign(perturbation)


def random_start(images: Tensor, ball: Ball, kind: Start, generator: Generator | None) -> Tensor:
    """Draw the points [n, c, h, w] from which an attack starts, clamped to [0, 1].

    In the ball around the image,

    - `none` is the image itself;
    - `sphere` draws a point of the surface, uniformly (Linf and L1: a face, and a point of it);
    - `ball` draws a point of the inside, uniformly by volume (Linf: each pixel uniform in [-eps, eps], as in Madry et
      al., 2018);
    - `radial` draws a direction as `sphere` does, and a radius uniform in [0, eps].
    """
    if kind == "none":
        return images
    drawn = _directions(images, ball.norm, generator)
    if ball.norm != "Linf" or kind != "ball":
        drawn = drawn / _lengths(drawn, _ORDERS[ball.norm])
    if kind != "sphere" and (ball.norm != "Linf" or kind == "radial"):
        radius = torch.rand((len(images), 1, 1, 1), generator=generator, device=images.device)
        drawn = drawn * (radius ** (1 / images[0].numel()) if kind == "ball" else radius)
    return (images + ball.eps * drawn).clamp_(0, 1)


def _directions(images: Tensor, norm: Norm, generator: Generator | None) -> Tensor:
    """Draw directions that, divided by their norm, are uniform on its sphere."""
    if norm == "L2":
        return torch.randn(images.shape, generator=generator, device=images.device)
    uniform = torch.rand(images.shape, generator=generator, device=images.device) * 2 - 1
    if norm == "Linf":
        return uniform
    return torch.empty_like(uniform).exponential_(generator=generator).copysign_(uniform)


_ORDERS: dict[Norm, float] = {"Linf": torch.inf, "L2": 2, "L1": 1}

DUAL: dict[Norm, Norm] = {"Linf": "L1", "L2": "L2", "L1": "Linf"}
"""The norm of a gradient that says how much a step of length 1 under a norm can gain."""


def shrunk(batch: Tensor, by: Tensor, norm: Norm) -> Tensor:
    """Return the proximal operator of a norm: what lowers by * norm(x) + half the squared L2 distance to `batch` most.

    `by` is [n, 1, 1, 1]. Under L1 each value comes nearer to 0 by that, under L2 the length, under Linf the largest
    values: what is left is the distance to the ball of the dual norm (Moreau's decomposition).
    """
    if norm == "L1":
        return (batch.abs() - by).clamp_min_(0).copysign(batch)
    if norm == "L2":
        return batch * (1 - by / _lengths(batch, 2).clamp_min_(TINY)).clamp_min_(0)
    sizes = batch.abs().flatten(1)
    down = sizes.sort(dim=1, descending=True).values
    counts = torch.arange(1, down.shape[1] + 1, device=batch.device)
    levels = (down.cumsum(1) - by.flatten(1)) / counts
    level = levels.gather(1, ((down > levels).sum(1, keepdim=True) - 1).clamp_min_(0)).clamp_min_(0)
    return torch.minimum(sizes, level).view_as(batch).copysign(batch)


def distances(points: Tensor, images: Tensor, norm: Norm) -> Tensor:
    """Return how far each of `points` is from its image, [n]."""
    return _lengths(points - images, _ORDERS[norm]).flatten()


def _lengths(batch: Tensor, order: float) -> Tensor:
    """Return each image's norm of this order, [n, 1, 1, 1]."""
    norms: Tensor = torch.linalg.vector_norm(batch, order, dim=(1, 2, 3), keepdim=True)
    return norms
