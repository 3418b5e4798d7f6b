"""Changes brightness, contrast, saturation and hue at random, in random order; of grey images the first two."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.augmentations import AugmentationEntry
from satdsl.catalog.registry import CallSite
from satdsl.ir.steps import CatalogCall


def fits(change: CatalogCall, shape: tuple[int, int, int], site: CallSite) -> None:
    """Refuse images that are neither grey nor RGB."""
    if shape[0] not in (1, 3):
        site.error(
            "E514",
            f"`color_jitter` changes grey or RGB images, the data set's have {shape[0]} channels",
            "brightness, contrast, saturation and hue are defined for one channel or three",
            "leave it out",
        )


ENTRY = AugmentationEntry(
    "color_jitter",
    __doc__,
    arguments=(
        *(
            Argument(kind, "number", default=0.0, at_least=0).meaning(
                "The factor is uniform in [max(0, 1 - value), 1 + value]."
            )
            for kind in ("brightness", "contrast", "saturation")
        ),
        Argument("hue", "number", default=0.0, unit="turns of the colour circle", at_least=0, at_most=0.5).meaning(
            "The shift is uniform in [-value, value]."
        ),
    ),
    place=4,
    fits=fits,
)
