"""Choose the attack that probes a training for catastrophic overfitting, for costs, backend and report alike."""

from __future__ import annotations

from collections.abc import Iterable

from satdsl.catalog.registry import catalog
from satdsl.ir.steps import CatalogCall

IMAGES = 256
"""How many images are probed after each epoch, balanced over the classes; fewer where there are fewer."""

STEPS = 10

DROP = 0.2
"""Robust accuracy lost against an earlier epoch that is reported (Wong, Rice and Kolter, 2020, saw it fall to 0)."""


def probes(attacks: Iterable[CatalogCall | None]) -> tuple[CatalogCall, ...]:
    """Return PGD-10 under each norm of the training's attacks, in their order, at its largest eps.

    Radii are compared within a norm: L2 0.5 is neither more nor less than Linf 8/255. It starts uniformly inside the
    ball and steps by a quarter of eps, so that a network which only withstands the single step it is trained with is
    found out.
    """
    widest: dict[str, float] = {}
    for attack in attacks:
        if attack is not None and attack.get("eps") is not None:
            norm = attack["norm"]
            widest[norm] = max(float(attack["eps"]), widest.get(norm, 0.0))
    return tuple(_probe(norm, eps) for norm, eps in widest.items())


def _probe(norm: str, eps: float) -> CatalogCall:
    settings = {
        "norm": norm,
        "eps": eps,
        "steps": STEPS,
        "step_size": eps / 4,
        "random_start": "ball",
        "keep": "last",
        "restarts": 1,
    }
    return catalog().call("pgd", *settings.items())
