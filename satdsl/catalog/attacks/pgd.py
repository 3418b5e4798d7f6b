"""Projected gradient ascent on the cross-entropy or another objective, on the network in evaluation mode if not told
otherwise. Under L1 a step moves the 1 % of values with the largest gradients.
"""

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import (
    EPS,
    MODE,
    NORM,
    OBJECTIVE,
    RANDOM_START,
    STEP_RULES,
    TARGET,
    AttackEntry,
    asks_for_no_label,
    batches_are_not_measured,
    before_the_first_step,
    enough_classes,
    restarts_differ,
)
from satdsl.catalog.registry import at_most
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall


def passes(call: CatalogCall) -> Passes:
    """Return one pass with backward for a step, and one more where the last iterate has to be compared."""
    last = 1 if call["keep"] == "best" or call["restarts"] > 1 else 0
    return before_the_first_step(call) + Passes(last, call["steps"]).times(call["restarts"])


def tries_hard(call: CatalogCall) -> bool:
    """Return whether the steps together are as long as the radius, and look for a wrong prediction."""
    reaches = call["steps"] * call["step_size"] >= call["eps"] * (1 - 1e-9)
    return bool(reaches and call.get("objective") != "kl")


ENTRY = AttackEntry(
    "pgd",
    __doc__,
    source="Madry et al., 2018; under L1, Tramèr and Boneh, 2019, and Croce and Hein, 2021",
    arguments=(
        NORM,
        EPS,
        Argument("steps", "int", unit="gradient steps", at_least=1).meaning(
            "Number of moves; each is projected back into the ball and clipped to [0, 1]."
        ),
        Argument("step_size", "number", unit="image scale [0, 1]", above=0).meaning(
            "Length of each move in the norm (Linf moves every pixel by it)."
        ),
        RANDOM_START,
        Argument("keep", "word", default="best", choices=("best", "last")).meaning(
            "Which iterate is returned per image: best has the highest loss of all, the last included; last is the "
            "last."
        ),
        Argument("restarts", "int", default=1, at_least=1).meaning(
            "Independent runs, of which the one with the highest loss counts for each image; more than 1 needs a "
            "random start."
        ),
        TARGET,
        OBJECTIVE,
        MODE,
    ),
    place=1,
    passes=passes,
    rules=(*STEP_RULES, restarts_differ),
    shortened=at_most(steps=2, restarts=2),
    short="at most 2 steps",
    fits=enough_classes,
    maximises=True,
    scaled=True,
    of_mixed=asks_for_no_label,
    not_for_measuring=batches_are_not_measured,
    strength=1,
    thorough=tries_hard,
)
