"""Pre-activation ResNet-18 for 32-pixel images, 8 blocks of two 3x3 convolutions."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.registry import at_most

ENTRY = ModelEntry(
    "preact_resnet18",
    __doc__,
    source="He et al., 2016 (Identity Mappings in Deep Residual Networks)",
    arguments=(
        Argument("width", "int", default=64, unit="channels", at_least=1).meaning(
            "Channels w of the first stage; the stages have w, 2w, 4w, 8w."
        ),
        Argument("layout", "word", default="standard", choices=("standard", "sat")).meaning(
            "standard: the usual stages; sat: the released SAT code's wider ones, stem w, then 2w, 4w, 8w, 8w (Losch "
            "et al., 2024)."
        ),
    ),
    place=2,
    narrowed=at_most(width=8),
    shrunk=lambda call: 8,
)
