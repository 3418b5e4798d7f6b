"""Wide ResNet for 32-pixel images, WRN-depth-width, without dropout."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.registry import CallSite, at_most
from satdsl.ir.steps import CatalogCall


def depth_is_possible(model: CatalogCall, site: CallSite) -> None:
    """Refuse depths that a wide ResNet cannot have."""
    if model["depth"] < 10 or (model["depth"] - 4) % 6:
        site.error(
            "E508",
            f"a wide ResNet cannot be {model['depth']} layers deep",
            "its three stages have n blocks of two layers each: depth = 6n + 4",
            "write 16, 22, 28, 34, ...",
        )


ENTRY = ModelEntry(
    "wide_resnet",
    __doc__,
    source="Zagoruyko and Komodakis, 2016",
    arguments=(
        Argument("depth", "int", default=28, unit="layers", at_least=10).meaning(
            "Number of layers, 6n + 4 for a whole n (10, 16, 22, 28, 34, 40, 70)."
        ),
        Argument("width", "int", default=10, at_least=1).meaning(
            "Widening factor k; the stages have 16k, 32k and 64k channels."
        ),
    ),
    place=8,
    rules=(depth_is_possible,),
    narrowed=at_most(width=1, depth=16),
    shrunk=lambda call: 4,
)
