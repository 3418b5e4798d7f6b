"""Name torchvision's ResNets, which differ in depth alone."""

from dataclasses import replace

from satdsl.catalog.argument import Argument
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.registry import unchanged
from satdsl.ir.steps import CatalogCall

STEM = Argument("stem", "word", default="imagenet", choices=("imagenet", "cifar")).meaning(
    "First layers: imagenet is 7x7 with stride 2 and max pooling; cifar is 3x3 with stride 1, for 32-pixel images."
)

BOTTLENECK = 8
"""The width of the first 3x3 convolutions of a narrow deep ResNet, which no specification can set: 64 as published."""


def narrowed(model: CatalogCall) -> CatalogCall:
    return replace(model, args=(*model.args, ("bottleneck", BOTTLENECK)))


ENTRIES = tuple(
    ModelEntry(
        f"resnet{depth}",
        f"torchvision's ResNet-{depth}, with randomly initialised weights.",
        source="He et al., 2016 (Deep Residual Learning for Image Recognition)",
        arguments=(STEM,),
        narrowed=narrowed if depth >= 50 else unchanged,
        shrunk=lambda call: 32 if call["stem"] == "imagenet" else 8,
        place=3 + number / 10,
    )
    for number, depth in enumerate((18, 34, 50, 101, 152))
)
