"""How much the probability of the right class varies over training; in [0, 1/2]."""

from satdsl.catalog.scores import ScoreEntry

ENTRY = ScoreEntry(
    "spread-confidence",
    __doc__,
    formula="sqrt(1/T sum_t (p_y(t) - mean_t p_y(t))^2)",
    source="Swayamdipta et al., 2020 (Dataset Cartography: variability)",
    place=10,
    over_snapshots=True,
    requested=True,
    one_is_too_few="the score is how much a probability varies between snapshots: 0 for every image with only one",
)
