"""Looks for the nearest adversarial image under L2, on spheres that shrink and grow around the boundary."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import NEAREST_STEPS, AttackEntry, not_trained_with_nearest
from satdsl.catalog.registry import at_most
from satdsl.ir.plan import Passes

ENTRY = AttackEntry(
    "ddn",
    __doc__,
    source="Rony et al., 2019",
    arguments=(
        NEAREST_STEPS,
        Argument("init", "number", default=1.0, unit="image scale [0, 1]", above=0).meaning(
            "Radius of the first sphere; the paper takes 1."
        ),
        Argument("gamma", "number", default=0.05, above=0, below=1).meaning(
            "By what part the radius shrinks after a point that is adversarial, and grows after one that is not."
        ),
        Argument("levels", "int", default=None, at_least=2, optional=True).meaning(
            "Rounds its points to so many levels, as images of eight bits have 256; none leaves them as they are."
        ),
    ),
    place=3.5,
    passes=lambda call: Passes(0, call["steps"]),
    shortened=at_most(steps=3),
    short="at most 3 steps",
    not_for_training=not_trained_with_nearest("DDN"),
    nearest=lambda call: "L2",
)
