"""Adds a normal number to each value of the image, then clips it to [0, 1] and rounds it to 8 bits, as images have."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.augmentations import AugmentationEntry

ENTRY = AugmentationEntry(
    "gaussian_noise",
    __doc__,
    arguments=(
        Argument("std", "number", above=0, at_most=2).meaning(
            "Standard deviation in the scale of images, [0, 1]: 0.1 is about 25 of 255 grey levels."
        ),
    ),
    place=7,
)
