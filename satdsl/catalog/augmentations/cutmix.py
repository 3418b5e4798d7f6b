"""Puts a rectangle of another image of its subset and batch into each image, and mixes the labels by area. The
rectangle is drawn for each batch. It is done after all other changes, before the attack.
"""

from satdsl.catalog.augmentations import ALPHA, PROBABILITY, AugmentationEntry

ENTRY = AugmentationEntry(
    "cutmix",
    __doc__,
    source="Yun et al., 2019",
    formula="1 - lambda = the rectangle's share of the image, ~ Beta(alpha, alpha) before it is cut at the edges",
    arguments=(ALPHA, PROBABILITY),
    place=9,
    mixes=True,
)
