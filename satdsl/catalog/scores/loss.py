"""Cross-entropy loss, in nats."""

from satdsl.catalog.scores import ScoreEntry

ENTRY = ScoreEntry("loss", __doc__, formula="-ln p_y", place=2)
