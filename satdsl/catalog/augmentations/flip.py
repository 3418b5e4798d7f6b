"""Mirrors the image left to right with probability 1/2."""

from satdsl.catalog.augmentations import AugmentationEntry

ENTRY = AugmentationEntry("flip", __doc__, place=3)
