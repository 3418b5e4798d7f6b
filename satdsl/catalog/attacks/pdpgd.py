"""Looks for the nearest adversarial image by weighing its norm against the boundary; it needs no radius."""

from dataclasses import replace

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import NEAREST_STEPS, NORM, AttackEntry, not_trained_with_nearest
from satdsl.catalog.registry import at_most
from satdsl.ir.plan import Passes

ENTRY = AttackEntry(
    "pdpgd",
    __doc__,
    source="Matyasko and Chau, 2021",
    arguments=(
        NORM.meaning("Norm of the perturbation of an image that is made small."),
        replace(NEAREST_STEPS, default=500),
        Argument("primal_lr", "number", default=0.1, above=0).meaning(
            "Learning rate of the perturbation (Adam's); it falls to a hundredth exponentially."
        ),
        Argument("dual_lr", "number", default=0.1, above=0).meaning(
            "Learning rate of the weight of the boundary against the norm; it falls to a tenth."
        ),
    ),
    place=3.6,
    passes=lambda call: Passes(0, call["steps"]),
    shortened=at_most(steps=3),
    short="at most 3 steps",
    not_for_training=not_trained_with_nearest("PDPGD"),
    nearest=lambda call: call["norm"],
)
