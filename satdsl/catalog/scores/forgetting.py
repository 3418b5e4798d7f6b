"""How often the image goes from right to wrong between neighbouring snapshots; T where it was never right."""

from satdsl.catalog.scores import ScoreEntry

ENTRY = ScoreEntry(
    "forgetting",
    __doc__,
    formula="|{t > 1 : argmax z(t-1) = y, argmax z(t) != y}|, or T if argmax z(t) != y for all t",
    source="Toneva et al., 2019 (there counted during training, here in evaluation mode at the snapshots)",
    place=7,
    over_snapshots=True,
)
