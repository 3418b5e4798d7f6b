"""The share of images whose nearest adversarial image, of all that some attacks find, lies beyond a radius."""

from satdsl.catalog.measures import MeasureEntry, accuracy
from satdsl.syntax import tree

ENTRY = MeasureEntry(
    "robust curve",
    __doc__,
    place=2.1,
    node=tree.RobustCurve,
    planned=accuracy,
    attacks=lambda node: tuple(one.attack for one in node.attacks),
    sources=lambda node: tuple(one.source for one in node.attacks),
    nearest=True,
    radii=lambda node: node.radii,
)
