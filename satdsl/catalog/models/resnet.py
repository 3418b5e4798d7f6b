"""Name torchvision's ResNets, which differ in depth alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry, Sizes, Untold, names, outlines
from satdsl.catalog.models.forms import (
    ACTIVATION,
    BN_EPS,
    PADDING,
    STEM_STRIDE,
    UNTOLD_ACTIVATION,
    UNTOLD_RARELY,
    activation_has_its_number,
)
from satdsl.catalog.registry import unchanged
from satdsl.ir.steps import CatalogCall

STEM = Argument("stem", "word", default="imagenet", choices=("imagenet", "cifar")).meaning(
    "First layers: imagenet is 7x7 with stride 2 and max pooling; cifar is 3x3 with stride 1, for 32-pixel images."
)

POOL = Argument("pool", "word", default="usual", choices=("usual", "max", "none")).meaning(
    "After the first convolution: max is 3x3 max pooling with stride 2; usual is max after the stem imagenet and none "
    "after cifar."
)

VARIANT = Argument("variant", "word", default="v1_5", choices=("v1", "v1_5")).meaning(
    "Where blocks have their stride: v1_5 (v1.5) in the 3x3 convolution, as torchvision; v1 in the first 1x1 one, as "
    "the paper."
)

BOTTLENECK = 8
"""The width of the first 3x3 convolutions of a narrow deep ResNet, which no specification can set: 64 as published."""

DEEP = 50
"""From so many layers on the blocks are bottlenecks."""


def narrowed(model: CatalogCall) -> CatalogCall:
    return replace(model, args=(*model.args, ("bottleneck", BOTTLENECK)))


def has_small_stem(model: CatalogCall) -> bool:
    return bool(model["stem"] == "cifar")


def shrunk(model: CatalogCall) -> int:
    """Return by what the stem and three stages divide height and width."""
    small = has_small_stem(model)
    pooled = model["pool"] == "max" or (model["pool"] == "usual" and not small)
    return int(8 * (model["stem_stride"] or (1 if small else 2)) * (2 if pooled else 1))


def told(sizes: Sizes) -> Mapping[str, Any]:
    """Read the stem off the shapes of weights."""
    first = sizes.get("conv1.weight")
    return {} if first is None else {"stem": "cifar" if first[-1] == 3 else "imagenet"}


ENTRIES = tuple(
    ModelEntry(
        f"resnet{depth}",
        f"torchvision's ResNet-{depth}, with randomly initialised weights.",
        source="He et al., 2016 (Deep Residual Learning for Image Recognition)",
        arguments=(
            STEM,
            POOL,
            *((VARIANT,) if depth >= DEEP else ()),
            *ACTIVATION,
            replace(STEM_STRIDE, default=None, optional=True).meaning(
                "Stride of the first convolution; none: 2 for the stem imagenet, 1 for cifar."
            ),
            PADDING,
            BN_EPS,
        ),
        rules=(activation_has_its_number,),
        narrowed=narrowed if depth >= DEEP else unchanged,
        shrunk=shrunk,
        outline=outlines.resnet(depth),
        names=names.RESNET,
        place=3 + number / 10,
        untold=(
            Untold("pool", "max", "code that changes the first convolution alone", where=has_small_stem),
            Untold("pool", "none", "code for 64-pixel images", True, lambda call: not has_small_stem(call)),
            *((Untold("variant", "v1", "the paper and what follows it"),) if depth >= DEEP else ()),
            *UNTOLD_ACTIVATION,
            *UNTOLD_RARELY,
        ),
        told=told,
    )
    for number, depth in enumerate((18, 34, 50, 101, 152))
)
