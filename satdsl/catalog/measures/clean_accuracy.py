"""The share of images that are right."""

from satdsl.catalog.measures import MeasureEntry, accuracy
from satdsl.syntax import tree

ENTRY = MeasureEntry("clean accuracy", __doc__, place=1, node=tree.CleanAccuracy, planned=accuracy, selects=True)
