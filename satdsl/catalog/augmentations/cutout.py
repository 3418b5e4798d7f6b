"""Fills a square with one colour; its centre is uniform in the image, so that it may reach beyond the edge."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.augmentations import AugmentationEntry
from satdsl.catalog.registry import CallSite, changed
from satdsl.ir.steps import CatalogCall


def fits(change: CatalogCall, shape: tuple[int, int, int], site: CallSite) -> None:
    """Refuse a colour of more channels than the images have, and a square that covers any image."""
    (channels, height, width), size = shape, change["size"]
    if len(change["fill"]) not in (1, channels):
        site.error(
            "E514",
            f"`fill` has {len(change['fill'])} values, the data set's images have {channels} channels",
            "it is the colour of the square",
            "give one value, or one for each channel",
        )
    elif 0 < 2 * max(height, width) <= size:
        site.error(
            "E514",
            f"a square of {size} pixels covers all of an image of {height} x {width}, wherever its centre is",
            "every training image would be the same",
            f"give a smaller one: `cutout(size={max(1, height // 2)})`",
        )


ENTRY = AugmentationEntry(
    "cutout",
    __doc__,
    source="DeVries and Taylor, 2017",
    arguments=(
        Argument("size", "int", unit="pixels", at_least=1).meaning(
            "Side of the square; the paper has 16 on CIFAR-10 and 8 on CIFAR-100."
        ),
        Argument("fill", "number", default=(0.0,), many=True, at_least=0, at_most=1).meaning(
            "Its colour in [0, 1], one value or one for each channel; the authors' code has the mean of the training "
            "images, [0.491, 0.482, 0.447] on CIFAR-10."
        ),
    ),
    place=6,
    fits=fits,
    resized=lambda change, side: changed(change, size=min(change["size"], max(1, side // 2))),
)
