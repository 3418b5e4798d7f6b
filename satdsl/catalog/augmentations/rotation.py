"""Turns the image about its centre by a random angle, each pixel from the nearest; the corners become black."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.augmentations import AugmentationEntry

ENTRY = AugmentationEntry(
    "rotation",
    __doc__,
    arguments=(
        Argument("degrees", "number", unit="degrees", at_least=0, at_most=180).meaning(
            "The angle is uniform in [-value, value]."
        ),
    ),
    place=5,
)
