"""Distance between the predicted probabilities and the one-hot label; in [0, sqrt 2]."""

from satdsl.catalog.scores import ScoreEntry

ENTRY = ScoreEntry(
    "el2n", __doc__, formula="sqrt(sum_k (p_k - [k = y])^2)", source="Paul, Ganguli and Dziugaite, 2021", place=5
)
