"""Attack by projected gradient ascent in a norm ball (Madry et al., 2018)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor, nn

from satdsl.backend import norm_balls
from satdsl.backend.attacks import Mode, Target, higher, loss_and_gradient, targeted, under_attack
from satdsl.backend.norm_balls import Ball, Norm, Start, pgd_step, project, scaled
from satdsl.backend.objectives import OBJECTIVES, Maximised, attacked_for, first_iterate

Keep = Literal["best", "last"]


def pgd(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator | None = None,
    *,
    norm: Norm,
    eps: float,
    steps: int,
    step_size: float,
    random_start: Start = "none",
    keep: Keep = "best",
    restarts: int = 1,
    target: Target = "none",
    objective: Maximised = "ce",
    mode: Mode = "eval",
    start: Tensor | None = None,
    scale: Tensor | None = None,
) -> Tensor:
    """Ascend on `objective`, the cross-entropy (Madry et al., 2018) if not told otherwise, within a norm ball.

    `images` [n, c, h, w] in [0, 1]; `labels` int64 [n]; `eps` and `step_size` in the scale of the images. `kl` is the
    divergence from the prediction without attack, which is held fixed (Zhang et al., 2019, algorithm 1); its start
    is x + 0.001 N(0, 1) where there is no random one. From the start, `steps` times: move by `step_size` along
    `norm_balls.steepest_ascent`, then back into the ball and [0, 1] by `norm_balls.project`. The start is `start`
    (brought into the ball) in the first restart where it is given, else `norm_balls.random_start` draws it.

    With a `scale` [n] in [0, 1] each image has a radius and a step size of its own: `eps` and `step_size`, multiplied
    by its number. Nothing else changes, and an image of scale 0 is returned as it is.

    `keep="last"` returns the last iterate; `keep="best"`, image by image, the one with the highest objective
    among all of them, the start and the last included, the first of equals. Of several `restarts` the one with
    the highest objective counts. With a `target` (see `targeted`) the objective at a wrong label is minimised
    instead, and the lowest counts.

    The network is attacked in evaluation mode, `mode` being that of batch norm, and left as it was; no parameter gets
    a gradient. `generator` draws the random starts and targets; the global random state is neither used nor changed.
    """
    compared = keep == "best" or restarts > 1
    ball, length = Ball(norm, scaled(eps, scale)), scaled(step_size, scale)
    with under_attack(network, mode) as network:
        of = attacked_for(objective, network, images, labels)
        if start is None:
            start = first_iterate(objective, images, random_start == "none", generator)
        maximised = targeted(OBJECTIVES[objective], target, network, images, labels, generator)
        best, best_loss = images, torch.full((len(images),), -torch.inf, device=images.device)
        for _ in range(restarts):
            if start is None:
                iterate = norm_balls.random_start(images, ball, random_start, generator)
            else:
                iterate, start = project(start, images, ball), None
            for _ in range(steps):
                loss, gradient = loss_and_gradient(network, iterate, of, maximised)
                if keep == "best":
                    best, best_loss = higher(iterate, loss, best, best_loss)
                iterate = pgd_step(iterate, gradient, images, ball, length)
            if not compared:
                return iterate
            with torch.no_grad():
                loss = maximised(network(iterate).float(), of)
            best, best_loss = higher(iterate, loss, best, best_loss)
    return best
