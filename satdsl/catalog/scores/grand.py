"""Length of the loss gradient with respect to all weights; at least 0."""

from satdsl.catalog.scores import ScoreEntry
from satdsl.ir.plan import Passes

ENTRY = ScoreEntry(
    "grand",
    __doc__,
    formula="|| d(-ln p_y) / d(weights) ||_2",
    source="Paul, Ganguli and Dziugaite, 2021 (there averaged over initialisations)",
    place=6,
    gradient=True,
    # Three images are put through a backward pass in three ways, and one of two kinds of networks takes a pass more.
    beside=Passes(4, 9, at_most=True),
    each=Passes(1, 1),
)
