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


def probe(attacks: Iterable[CatalogCall | None]) -> CatalogCall | None:
    """Return PGD-10 under the threat model of the training's first attack of the largest eps; None without attacks.

    It starts uniformly inside the ball and steps by a quarter of eps, so that a network which only withstands the
    single step it is trained with is found out.
    """
    balls = [attack for attack in attacks if attack is not None and attack.get("eps") is not None]
    if not balls:
        return None
    widest = max(balls, key=lambda attack: float(attack["eps"]))
    eps = float(widest["eps"])
    settings = {
        "norm": widest["norm"],
        "eps": eps,
        "steps": STEPS,
        "step_size": eps / 4,
        "random_start": "ball",
        "keep": "last",
        "restarts": 1,
    }
    return catalog().call("pgd", *settings.items())
