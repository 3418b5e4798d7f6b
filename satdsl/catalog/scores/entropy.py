"""Entropy of the predicted probabilities, in nats; the label plays no part."""

from satdsl.catalog.scores import ScoreEntry

ENTRY = ScoreEntry(
    "entropy",
    __doc__,
    formula="-sum_k p_k ln p_k",
    source="Shannon, 1948; for splitting a training set, Losch et al., 2024 (equation 3)",
    place=1,
)
