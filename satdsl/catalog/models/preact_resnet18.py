"""Pre-activation ResNet-18 for 32-pixel images, 8 blocks of two 3x3 convolutions."""

from collections.abc import Mapping
from typing import Any

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import Layout, ModelEntry, Sizes, Untold, names, outlines
from satdsl.catalog.models.forms import (
    ACTIVATION,
    BN_EPS,
    PADDING,
    STEM_STRIDE,
    UNTOLD_ACTIVATION,
    UNTOLD_RARELY,
    activation_has_its_number,
)
from satdsl.catalog.registry import at_most


def told(sizes: Sizes) -> Mapping[str, Any]:
    """Read width, layout and last batch norm off the shapes of weights."""
    stem, first = sizes.get("conv1.weight"), sizes.get("blocks.0.conv1.weight")
    if stem is None or first is None:
        return {}
    layout = {1: "standard", 2: "sat"}.get(first[0] // stem[0], "standard")
    across = next((shape[-1] for name, shape in sizes.items() if name.endswith("shortcut.weight")), 1)
    return {"width": stem[0], "layout": layout, "shortcut_size": across, "last_norm": "bn.weight" in sizes}


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
        Argument("shortcut", "word", default="activated", choices=("activated", "input")).meaning(
            "What a block's 1x1 convolution sees: activated is the block's input after batch norm and activation, as "
            "in the paper and kuangliu's code; input is the input itself, as in the code of Wong et al., 2020 "
            "(fast_adversarial), and RobustBench's PreActBlock."
        ),
        Argument("shortcut_size", "int", default=1, at_least=1).meaning(
            "Rows and columns of that convolution; 3 in DeepMind's code."
        ),
        *ACTIVATION,
        Argument("last_norm", "bool", default=True).meaning(
            "Whether batch norm and activation come before the last pooling; kuangliu's code has neither."
        ),
        STEM_STRIDE,
        PADDING,
        BN_EPS,
    ),
    place=2,
    rules=(activation_has_its_number,),
    outline=outlines.preact_resnet18,
    names=names.PREACT,
    narrowed=at_most(width=8),
    untold=(
        Untold("shortcut", "input", "locuslab/fast_adversarial and RobustBench's PreActBlock"),
        *UNTOLD_ACTIVATION,
        *UNTOLD_RARELY,
    ),
    layouts=(
        Layout(r"(^|\.)layer_\d\.", "DeepMind's pre-activation ResNets", (("padding", "same"), ("shortcut", "input"))),
    ),
    told=told,
    shrunk=lambda call: 8 * call["stem_stride"],
)
