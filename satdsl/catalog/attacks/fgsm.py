"""One gradient step, the cheapest attack; training with it may overfit catastrophically."""

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
)
from satdsl.ir.plan import Passes

ENTRY = AttackEntry(
    "fgsm",
    __doc__,
    source="Goodfellow, Shlens and Szegedy, 2015; with a random start, Wong, Rice and Kolter, 2020",
    arguments=(
        NORM,
        EPS,
        Argument("step_size", "number", default=None, unit="image scale [0, 1]", above=0, optional=True).meaning(
            "Length of the step in the norm; none means eps. With a random start the paper takes 1.25 * eps, as Wong "
            "et al. do."
        ),
        RANDOM_START,
        TARGET,
        OBJECTIVE,
        MODE,
    ),
    place=2,
    passes=lambda call: before_the_first_step(call) + Passes(0, 1),
    rules=STEP_RULES,
    single_step=True,
    fits=enough_classes,
    maximises=True,
    scaled=True,
    of_mixed=asks_for_no_label,
    not_for_measuring=batches_are_not_measured,
    strength=0,
)
