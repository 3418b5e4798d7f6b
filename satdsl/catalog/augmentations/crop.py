"""Pads the image with zeros and cuts a random window of its original size out of it."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.augmentations import AugmentationEntry

ENTRY = AugmentationEntry(
    "crop",
    __doc__,
    arguments=(
        Argument("padding", "int", default=4, unit="pixels", at_least=1).meaning(
            "Black border on each side before the cut, so the image moves by up to this much."
        ),
    ),
    place=1,
)
