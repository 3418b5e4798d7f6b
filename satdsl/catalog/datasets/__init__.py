"""Describe the data sets: what the compiler must know of each before it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any, ClassVar

from satdsl.array_files import ArrayContents
from satdsl.catalog.argument import Argument
from satdsl.catalog.registry import CallSite, Entry
from satdsl.folder_contents import Contents
from satdsl.ir.experiment import DatasetFacts
from satdsl.records import record

PATH = Argument("path", "text").meaning(
    "Folder that holds `train/` and `val/`; a relative path starts at the specification's own folder."
)
AUGMENT = Argument("augment", "call", family="augmentation", many=True, default=()).meaning(
    "Random changes to the training images, anew every epoch, applied in this order."
)
HOLDOUT = Argument("holdout", "share", at_least=0, below=1, default=0.0).meaning(
    "Share of each class's images set aside for checkpoint selection; no measure reports on them."
)
HOLDOUT_FROM = Argument("holdout_from", "word", choices=("val", "train"), default="val").meaning(
    "Which images the hold-out is taken from; those that remain are what `val` and `train` mean."
)
LIMIT, LIMIT_VAL = (
    Argument(name, "int", unit="images", at_least=1, optional=True, default=None).meaning(
        f"Use only this many {part} images, balanced over the classes, drawn with a fixed seed; none uses all."
    )
    for name, part in (("limit", "training"), ("limit_val", "validation"))
)
RESIZE = Argument("resize", "int", unit="pixels", at_least=1, optional=True, default=None).meaning(
    "Scale images to this width and height; none keeps their own size."
)
CENTRE = Argument("resize", "int", unit="pixels", at_least=1, default=224).meaning(
    "Scale the shorter side to 8/7 of this many pixels, then cut out the central square of this side."
)
CENTRE_OR_NONE = replace(CENTRE, optional=True).meaning(
    f"{CENTRE.help} If it has this many pixels already, nothing is scaled. `none` leaves all images as they are; they "
    "must have one size."
)
TRANSPARENCY = Argument("transparency", "word", choices=("refuse", "white", "black", "drop"), default="refuse").meaning(
    "What becomes of images with transparent pixels: an error, white or black behind them, or, as in torchvision, the "
    "colours that the file has there."
)
EXIF = Argument("exif", "word", choices=("ignore", "apply"), default="ignore").meaning(
    "Whether images are turned as their EXIF data say. torchvision, and so most published networks, ignore it."
)
ROOT = Argument("root", "text", optional=True, default=None).meaning(
    "Folder that the data lie in; none means the data folder that the run was given."
)

CLASS_ORDER = Argument("class_order", "class", many=True, optional=True, default=None).meaning(
    "All classes in the order of their numbers, a list of names or `classes of` another data set; none takes the order "
    "of the folders' names."
)


def images(resize: Argument = RESIZE) -> tuple[Argument, ...]:
    """Return what every data set takes beside its own arguments."""
    return AUGMENT, HOLDOUT, HOLDOUT_FROM, LIMIT, LIMIT_VAL, resize, ROOT


def facts_of_arguments(args: Mapping[str, Any], folder: str, entry: DatasetEntry, site: CallSite) -> DatasetFacts:
    """Return the facts of a data set whose classes and sizes are fixed."""
    return facts(entry, args.get("protocol"))


@record
class DatasetEntry(Entry):
    """A data set of the catalog."""

    family: ClassVar[str] = "dataset"

    facts: Mapping[str, Any] | None = None
    """What is known of a data set of fixed classes and sizes, as `facts.yaml` has it."""
    known: Callable[[Mapping[str, Any], str, DatasetEntry, CallSite], DatasetFacts] = facts_of_arguments
    """Returns the facts for a call's arguments and the folder that it names; or rejects the call."""
    in_folder: Callable[[Contents, Mapping[str, Any], CallSite], DatasetFacts] | None = None
    """Returns the facts of what lies in the folder that the call names as `path`, or rejects the call.

    None where it names no folder.
    """
    named_files: tuple[str, ...] = ()
    """The arguments that name files of arrays."""
    in_arrays: (
        Callable[
            [Mapping[str, ArrayContents], Mapping[str, Any], Callable[[str], CallSite]],
            tuple[DatasetFacts, Mapping[str, Any]],
        ]
        | None
    ) = None
    """Returns the facts of what lies in those files, and arguments as they are settled; or rejects the call.

    The last argument gives the place of an argument in the specification.
    """
    files: tuple[str, ...] = ()
    """What must lie below the folder of data sets; nothing for what comes with the package."""
    archive: str = ""
    """An archive below the folder of data sets that is read as it is, where its files are not unpacked."""
    by_hand: str = ""
    """How its files are put there, where nobody lets them be fetched."""


def facts(entry: Entry, protocol: str | None = None) -> DatasetFacts:
    """Return the facts of a data set whose classes and sizes are fixed; `protocol` picks among official splits."""
    assert isinstance(entry, DatasetEntry)
    known: dict[str, Any] = dict(entry.facts or {})
    known |= known.get("protocols", {}).get(protocol, {})
    classes = class_list(known["classes"])

    def counts(part: str) -> tuple[int, tuple[int, ...] | None]:
        value = known[part]
        if isinstance(value, int):
            return value, None
        per_class = tuple(value) if isinstance(value, list) else (value["each"],) * len(classes)
        return sum(per_class), per_class

    (train, train_counts), (val, val_counts) = counts("train"), counts("val")
    mean, std = (tuple(float(x) for x in known[name]) for name in ("mean", "std"))
    return DatasetFacts(classes, tuple(known["shape"]), train, val, train_counts, val_counts, mean, std)


def class_list(value: list[Any] | str) -> tuple[str, ...]:
    """Return class names (or WordNet ids) as facts give them: a list, or a file in `classes/` with one a line."""
    if isinstance(value, str):
        return tuple((files("satdsl.catalog") / "classes" / value).read_text("utf-8").splitlines())
    return tuple(str(name) for name in value)
