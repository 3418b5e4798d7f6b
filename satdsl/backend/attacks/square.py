"""Attack by random search with squares (Andriushchenko et al., 2020), as published in `pyautoattack`."""

from __future__ import annotations

from functools import cache

from pyautoattack.square import SquareAttack
from torch import Generator, Tensor, nn

from satdsl.backend.attacks import under_attack
from satdsl.backend.norm_balls import Norm
from satdsl.backend.randomness import seeded_globally
from satdsl.catalog.attacks import square as facts
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError


def square(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator | None = None,
    *,
    norm: Norm,
    eps: float,
    queries: int,
    p_init: float,
    restarts: int = 1,
) -> Tensor:
    """Return the adversarial image where one is found, else the image itself.

    The squares shrink with the share of the queries that is spent, as in the paper; AutoAttack shrinks them as if
    there were 10,000 queries, of which it spends 5,000. The published code draws from the global random state, which
    is set from `generator` here, and restored afterwards.

    Raises:
        StepError: The published code fails on images of this size.
    """
    height, width = images.shape[2:]
    if facts.cannot_attack(norm, height, width):
        asked = CatalogCall("square", (("norm", norm),))
        raise StepError(f"{facts.problem(asked, height, width)}: {facts.REASON}", facts.way_out(asked, height, width))
    with under_attack(network), seeded_globally(generator) as seed:
        search = SquareAttack(
            network, norm=norm, n_queries=queries, eps=eps, p_init=p_init, n_restarts=restarts, seed=seed
        )
        # A pure function of two small numbers, computed anew in each of thousands of queries.
        search.eta_rectangles = cache(search.eta_rectangles)
        found: Tensor = search.perturb(images.contiguous(), labels)
    return found.detach()
