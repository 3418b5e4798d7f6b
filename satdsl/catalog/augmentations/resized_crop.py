"""Cuts out a random part (8 to 100 % of the area, sides 3:4 to 4:3) and scales it to the size of the data set's
images.
"""

from satdsl.catalog.argument import Argument
from satdsl.catalog.augmentations import AugmentationEntry
from satdsl.catalog.registry import CallSite, changed
from satdsl.ir.steps import CatalogCall


def fits(change: CatalogCall, shape: tuple[int, int, int], site: CallSite) -> None:
    """Refuse windows that are scaled to another size than the images have."""
    size, (_, height, width) = change["size"], shape
    if height and (height, width) != (size, size):
        same = f"write `resized_crop(size={height})`, or " if height == width else ""
        site.error(
            "E514",
            f"`resized_crop` gives images of {size} x {size} pixels, the data set's have {height} x {width}",
            "the network would be trained on images of one size, and attacked and measured on another",
            f"{same}give the data set `resize={size}`",
        )


ENTRY = AugmentationEntry(
    "resized_crop",
    __doc__,
    source="Szegedy et al., 2015",
    arguments=(
        Argument("size", "int", unit="pixels", at_least=1).meaning(
            "Side of the square, as long as that of the data set's images; to change theirs, give the data set a "
            "`resize`."
        ),
    ),
    place=2,
    fits=fits,
    resized=lambda change, side: changed(change, size=side),
)
