"""A hidden layer with ReLU, then a linear layer to the target's classes."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.heads import HeadEntry
from satdsl.catalog.registry import at_most

ENTRY = HeadEntry(
    "mlp",
    __doc__,
    arguments=(
        Argument("hidden", "int", default=512, unit="units", at_least=1).meaning(
            "Width of the hidden layer (the paper has 512 for CIFAR sources, 2048 for ImageNet ones)."
        ),
    ),
    place=2,
    narrowed=at_most(hidden=16),
)
