"""Wide ResNet for 32-pixel images, WRN-depth-width, without dropout."""

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


def is_leaky(model: CatalogCall) -> bool:
    """Whether a network has the activation of TensorFlow's wide ResNets."""
    return bool(model["activation"] == "leaky_relu")


def has_bias(model: CatalogCall) -> bool:
    """Whether a network has the biases of one well-known repository."""
    return bool(model["bias"])


def is_known(model: CatalogCall) -> bool:
    """Whether a network is of a kind whose shortcuts often differ."""
    return is_leaky(model) or has_bias(model)


def told(sizes: Sizes) -> Mapping[str, Any]:
    """Read depth, width and biases off the shapes of weights."""
    blocks = {name.split(".")[1] for name in sizes if name.startswith("blocks.")}
    last = sizes.get("fc.weight")
    if not blocks or len(blocks) % 3 or last is None or last[1] % 64:
        return {}
    return {"depth": 2 * len(blocks) + 4, "width": last[1] // 64, "bias": "conv1.bias" in sizes}


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
        *ACTIVATION,
        Argument("shortcut", "word", default="activated", choices=("activated", "input", "first", "mixmatch")).meaning(
            "What a block's 1x1 convolution sees: activated is the block's input after batch norm and activation, as "
            "in the paper and TRADES; input is the input itself; first is activated in the first stage and input in "
            "the others, as in TensorFlow's code; mixmatch is first, and the first 3x3 convolution of a later stage "
            "sees the input, too, as in PyTorch code of MixMatch and FixMatch."
        ),
        Argument("strided", "word", default="conv1", choices=("conv1", "conv2")).meaning(
            "Which 3x3 convolution of a block has its stride; the second in meliketoy/wide-resnet.pytorch."
        ),
        Argument("bias", "bool", default=False).meaning("Whether convolutions have a bias."),
        STEM_STRIDE,
        PADDING,
        BN_EPS,
    ),
    place=8,
    rules=(depth_is_possible, activation_has_its_number),
    outline=outlines.wide_resnet,
    names=names.PREACT,
    narrowed=at_most(width=1, depth=16),
    untold=(
        *UNTOLD_ACTIVATION,
        Untold("shortcut", "mixmatch", "code for semi-supervised learning", where=is_leaky),
        Untold("shortcut", "input", "meliketoy/wide-resnet.pytorch", where=has_bias),
        Untold("shortcut", "mixmatch", "code for semi-supervised learning", True, lambda call: not is_known(call)),
        Untold("strided", "conv2", "meliketoy/wide-resnet.pytorch", where=has_bias),
        Untold("strided", "conv2", "meliketoy/wide-resnet.pytorch", True, lambda call: not has_bias(call)),
        *UNTOLD_RARELY,
    ),
    known=(
        (("activation", "leaky_relu"), ("slope", 0.1), ("shortcut", "mixmatch")),
        (("activation", "leaky_relu"), ("slope", 0.1), ("shortcut", "first")),
        (("activation", "leaky_relu"), ("slope", 0.1), ("shortcut", "first"), ("bn_eps", 1e-3)),
        (("shortcut", "input"), ("strided", "conv2")),
        (("activation", "silu"), ("padding", "same")),
    ),
    layouts=(Layout(r"(^|\.)init_conv\.", "DeepMind's wide ResNets", (("padding", "same"),)),),
    told=told,
    shrunk=lambda call: 4 * call["stem_stride"],
)
