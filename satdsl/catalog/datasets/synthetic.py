"""Random images made on the spot, for dry runs; nothing worth knowing can be learnt from them."""

from collections.abc import Mapping
from typing import Any

from satdsl.catalog.argument import Argument
from satdsl.catalog.datasets import DatasetEntry, images
from satdsl.catalog.registry import CallSite
from satdsl.ir.experiment import DatasetFacts


def known(args: Mapping[str, Any], folder: str, entry: DatasetEntry, site: CallSite) -> DatasetFacts:
    """Return the facts: its classes take turns, so that counts differ by one at most."""
    classes, shape = args["classes"], tuple(args["shape"])

    def turns(total: int) -> tuple[int, ...]:
        return tuple(total // classes + (c < total % classes) for c in range(classes))

    names = tuple(str(c) for c in range(classes))
    train, val = args["train"], args["val"]
    grey = (0.5,) * shape[0], (0.25,) * shape[0]
    return DatasetFacts(names, shape, train, val, turns(train), turns(val), *grey)


ENTRY = DatasetEntry(
    "synthetic",
    __doc__,
    arguments=(
        Argument("classes", "int", at_least=2, at_most=100000, default=10).meaning(
            "Number of classes; they are named 0, 1, 2 and so on and take turns."
        ),
        Argument("shape", "int", many=True, length=3, at_least=1, default=(3, 32, 32)).meaning(
            "Channels, height and width of an image."
        ),
        Argument("train", "int", unit="images", at_least=1, default=1000).meaning("Number of training images."),
        Argument("val", "int", unit="images", at_least=1, default=200).meaning("Number of validation images."),
        Argument("seed", "int", at_least=0, default=0).meaning("Seed of the generator that makes the images."),
        *images(),
    ),
    known=known,
    place=12,
)
