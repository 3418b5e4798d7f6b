"""An architecture with weights made elsewhere, read from a file; a recipe with epochs=0 leaves them as they are."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry

ENTRY = ModelEntry(
    "checkpoint",
    __doc__,
    arguments=(
        Argument("file", "text").meaning(
            "The weights' file (.safetensors, or a state dict as torch saves it in .pt, .pth, .ckpt or .tar)."
        ),
        Argument("arch", "call", family="model").meaning("The architecture that the weights belong to."),
        Argument("mean", "number", default=None, many=True, optional=True).meaning(
            "What is taken from each channel of images in [0, 1]; none takes the data set's means."
        ),
        Argument("std", "number", default=None, many=True, above=0, optional=True).meaning(
            "What each channel is then divided by; none takes the data set's standard deviations."
        ),
    ),
    place=11,
    from_file=True,
)
