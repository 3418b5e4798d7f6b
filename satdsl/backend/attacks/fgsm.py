"""Attack by the fast gradient sign method (Goodfellow et al., 2015; with a random start Wong et al., 2020)."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from satdsl.backend.attacks import Mode, Target
from satdsl.backend.attacks.pgd import pgd
from satdsl.backend.norm_balls import Norm, Start
from satdsl.backend.objectives import Maximised


def fgsm(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator | None = None,
    *,
    norm: Norm,
    eps: float,
    step_size: float | None,
    random_start: Start,
    target: Target,
    objective: Maximised = "ce",
    mode: Mode = "eval",
    scale: Tensor | None = None,
) -> Tensor:
    """Return the end of one step of `pgd`, as long as the radius where `step_size` is None."""
    return pgd(
        network,
        images,
        labels,
        generator,
        norm=norm,
        eps=eps,
        steps=1,
        step_size=eps if step_size is None else step_size,
        random_start=random_start,
        keep="last",
        target=target,
        objective=objective,
        mode=mode,
        scale=scale,
    )
