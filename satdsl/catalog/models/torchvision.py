"""Any classification architecture of torchvision, with randomly initialised weights."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry, names

ENTRY = ModelEntry(
    "torchvision",
    __doc__,
    arguments=(
        Argument("architecture", "text").meaning(
            'The architecture\'s name in torchvision, such as "mobilenet_v3_small".'
        ),
    ),
    place=9,
    names=names.TORCHVISION,
    library="torchvision",
)
