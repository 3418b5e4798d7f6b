"""An architecture of the timm library, with randomly initialised weights; needs `pip install satdsl[timm]`."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry

ENTRY = ModelEntry(
    "timm",
    __doc__,
    source="Wightman, 2019",
    arguments=(Argument("architecture", "text").meaning('The architecture\'s name in timm, such as "convnext_tiny".'),),
    place=10,
    library="timm",
)
