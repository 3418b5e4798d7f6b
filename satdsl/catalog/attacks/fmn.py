"""Looks for the nearest adversarial image in balls that shrink and grow around the boundary; needs no radius."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import NEAREST_STEPS, NORM, AttackEntry, not_trained_with_nearest
from satdsl.catalog.registry import at_most
from satdsl.ir.plan import Passes

ENTRY = AttackEntry(
    "fmn",
    __doc__,
    source="Pintor et al., 2021",
    arguments=(
        NORM.meaning("Norm of the perturbation of an image that is made small."),
        NEAREST_STEPS,
        Argument("step_size", "number", default=1.0, unit="image scale [0, 1]", above=0).meaning(
            "Length of the first step in L2, whatever the norm; it falls to a hundredth along half a cosine."
        ),
        Argument("gamma", "number", default=0.05, above=0, below=1).meaning(
            "By what part the radius shrinks or grows at first; it falls to 0.001."
        ),
    ),
    place=3.4,
    passes=lambda call: Passes(0, call["steps"]),
    shortened=at_most(steps=3),
    short="at most 3 steps",
    not_for_training=not_trained_with_nearest("FMN"),
    nearest=lambda call: call["norm"],
)
