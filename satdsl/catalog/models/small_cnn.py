"""A small convolutional network for tiny images and tests."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.registry import at_most

ENTRY = ModelEntry(
    "small_cnn",
    __doc__,
    arguments=(
        Argument("width", "int", default=16, unit="channels", at_least=1).meaning(
            "Channels of the first convolution; deeper ones have multiples of it."
        ),
    ),
    place=1,
    narrowed=at_most(width=4),
    shrunk=lambda call: 4,
)
