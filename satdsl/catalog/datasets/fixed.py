"""Name the data sets of fixed classes and sizes, whose facts lie in `facts.yaml`."""

from typing import Any

from satdsl.catalog import contents
from satdsl.catalog.argument import Argument
from satdsl.catalog.datasets import CENTRE, RESIZE, DatasetEntry, images

PROTOCOL = Argument("protocol", "word", choices=("train+val", "train"), default="train+val").meaning(
    '"train+val": train on both (20 a class), validate on test, as transfer papers do; "train": train on '
    "train (10 a class), validate on val (10 a class)."
)


def entry(name: str, known: dict[str, Any], place: int) -> DatasetEntry:
    """Return a data set's entry; photographs of all sizes are cut to one."""
    own = (PROTOCOL,) if "protocols" in known["facts"] else ()
    resize = CENTRE if known.pop("photographs", False) else RESIZE
    files = tuple(known.pop("files", ()))
    return DatasetEntry(name, known.pop("help"), (*own, *images(resize)), files=files, place=place, **known)


ENTRIES = tuple(
    entry(name, known, place) for place, (name, known) in enumerate(contents("datasets/facts.yaml").items())
)
