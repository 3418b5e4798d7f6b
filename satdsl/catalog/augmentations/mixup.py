"""Mixes each image, pixel by pixel, with another of its subset and batch: x = lambda * x + (1 - lambda) * x2, and the
labels alike. lambda is drawn for each batch. It is done after all other changes, before the attack.
"""

from satdsl.catalog.augmentations import ALPHA, PROBABILITY, AugmentationEntry

ENTRY = AugmentationEntry(
    "mixup",
    __doc__,
    source="Zhang et al., 2018",
    formula="lambda ~ Beta(alpha, alpha); loss = lambda * CE(y) + (1 - lambda) * CE(y2)",
    arguments=(ALPHA, PROBABILITY),
    place=8,
    mixes=True,
)
