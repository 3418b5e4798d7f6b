"""How far the most probable wrong class is ahead of the right one; in [-1, 1], above 0 where the network errs."""

from satdsl.catalog.scores import ScoreEntry

ENTRY = ScoreEntry("margin", __doc__, formula="max_{k != y} p_k - p_y", place=3)
