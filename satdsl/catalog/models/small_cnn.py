"""A small convolutional network for tiny images and tests."""

from collections.abc import Mapping
from typing import Any

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry, Sizes, names, outlines
from satdsl.catalog.models.forms import ACTIVATION, activation_has_its_number
from satdsl.catalog.registry import at_most


def told(sizes: Sizes) -> Mapping[str, Any]:
    """Read the width off the shapes of weights."""
    first = sizes.get("features.0.weight")
    return {} if first is None else {"width": first[0]}


ENTRY = ModelEntry(
    "small_cnn",
    __doc__,
    arguments=(
        Argument("width", "int", default=16, unit="channels", at_least=1).meaning(
            "Channels of the first convolution; deeper ones have multiples of it."
        ),
        *ACTIVATION,
    ),
    place=1,
    rules=(activation_has_its_number,),
    told=told,
    outline=outlines.small_cnn,
    names=names.SMALL_CNN,
    narrowed=at_most(width=4),
    shrunk=lambda call: 4,
)
