"""One linear layer from the features to the target's classes."""

from satdsl.catalog.heads import HeadEntry

ENTRY = HeadEntry("linear", __doc__, place=1, plain=True)
