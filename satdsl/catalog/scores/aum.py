"""Area under the margin, negated; how far the largest wrong logit is ahead of the right one, over training."""

from satdsl.catalog.scores import ScoreEntry

ENTRY = ScoreEntry(
    "aum",
    __doc__,
    formula="1/T sum_t (max_{k != y} z_k(t) - z_y(t))",
    source="Pleiss et al., 2020 (with the opposite sign)",
    place=8,
    over_snapshots=True,
)
