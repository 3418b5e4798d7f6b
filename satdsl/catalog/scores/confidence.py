"""What the probability of the right class lacks to certainty; in [0, 1]."""

from satdsl.catalog.scores import ScoreEntry

ENTRY = ScoreEntry("confidence", __doc__, formula="1 - p_y", place=4)
