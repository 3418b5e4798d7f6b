"""Length of the loss gradient with respect to all weights; at least 0."""

from satdsl.catalog.scores import ScoreEntry

ENTRY = ScoreEntry(
    "grand",
    __doc__,
    formula="|| d(-ln p_y) / d(weights) ||_2",
    source="Paul, Ganguli and Dziugaite, 2021 (there averaged over initialisations)",
    place=6,
    gradient=True,
)
