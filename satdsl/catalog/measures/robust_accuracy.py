"""The share of images that are right under every one of some attacks."""

from satdsl.catalog.measures import MeasureEntry, accuracy
from satdsl.syntax import tree

ENTRY = MeasureEntry(
    "robust accuracy",
    __doc__,
    place=2,
    node=tree.RobustAccuracy,
    planned=accuracy,
    selects=True,
    attacks=lambda node: tuple(one.attack for one in node.attacks),
    sources=lambda node: tuple(one.source for one in node.attacks),
)
