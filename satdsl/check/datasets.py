"""Find the facts of a data set: its classes, its image shape, and how many images are left for each purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from satdsl.catalog.datasets import DatasetEntry
from satdsl.check import science
from satdsl.check.class_order import class_order
from satdsl.check.fixes import argument
from satdsl.check.named_files import named_arrays
from satdsl.check.settings import Settings
from satdsl.check.values import Environment
from satdsl.ir.draws import count
from satdsl.ir.experiment import Dataset, DatasetFacts
from satdsl.ir.steps import ArrayFile, CatalogCall, Holdout
from satdsl.sources import resolve_path
from satdsl.syntax import tree

NOT_THE_IMAGES = ("augment", "holdout", "holdout_from", "root", "mean", "std")
"""Arguments that leave the stored images as they are, and so stay out of the data step's identity."""


def dataset(call: tree.Call, entry: DatasetEntry, at: Environment, settings: Settings, base: Path) -> Dataset:
    """Resolve one `dataset` declaration; `base` is the folder that relative paths start from."""
    choice = settings.choice(call, entry, at)
    share, augment = choice.get("holdout") or 0.0, choice.get("augment") or ()
    holdout = Holdout(share, choice.get("holdout_from") or "val") if share else None
    given = dict(choice.args)
    kept = {name: value for name, value in choice.args if name not in NOT_THE_IMAGES}
    root = choice.get("root")
    place = resolve_path(base, root) if root else None
    site = science.Site(call, settings.findings, entry)
    if entry.in_folder is not None:
        place = resolve_path(Path(place) if place else base, kept["path"])
        contents = settings.folder(Path(place))
        whole = entry.in_folder(contents, kept, site)
        order = class_order(call, choice.get("class_order"), whole.classes, settings.findings)
        whole = _ordered(whole, order)
        kept |= {"path": ".", "listing": contents.digest, "class_order": whole.classes if order else None}
    elif entry.in_arrays is not None:
        files = named_arrays(call, entry, kept, Path(place) if place else base, settings.findings)
        whole, settled = entry.in_arrays(files, given, lambda name: _site_of(call, name, entry, settings))
        kept |= settled
        kept |= {name: ArrayFile(file.digest, file.path) for name, file in files.items()}
        place = None
    else:
        whole = entry.known(kept, place or "", entry, site)
    known = _facts(whole, kept)
    changes = list(zip(_written(call, len(augment)), augment, strict=True))
    for node, change in changes:
        science.augmentation_fits_images(node, change, known.shape, settings.findings)
    science.mixed_once(changes, settings.findings)
    found = counted(
        Dataset(
            source=CatalogCall(entry.name, tuple(kept.items()), entry.defaults, entry.plugin),
            augment=augment,
            holdout=holdout,
            root=place,
            facts=known,
            whole=whole.train,
        )
    )
    science.classes_fit(call, found, settings.findings)
    return found


def _site_of(call: tree.Call, name: str, entry: DatasetEntry, settings: Settings) -> science.Site:
    """Return the place of an argument; the call itself where it is not written, or has no name."""
    return science.Site(argument(call, name) or call, settings.findings, entry)


def _written(call: tree.Call, changes: int) -> list[tree.Node]:
    """Return where each of so many augmentations is written: in the list of a call, or wherever the list comes from."""
    given = argument(call, "augment")
    if isinstance(given, tree.Listing):
        return [item.value for item in given.items]
    return [given or call] * changes


def _facts(known: DatasetFacts, args: dict[str, Any]) -> DatasetFacts:
    """Return what is left of the facts of a data set by the `resize` and the limits of a call."""
    if args.get("resize"):
        known = replace(known, shape=(known.shape[0], args["resize"], args["resize"]))
    train, train_counts = limited(known.train, known.train_counts, args.get("limit"), len(known.classes))
    val, val_counts = limited(known.val, known.val_counts, args.get("limit_val"), len(known.classes))
    return replace(known, train=train, val=val, train_counts=train_counts, val_counts=val_counts)


def _ordered(known: DatasetFacts, order: tuple[int, ...]) -> DatasetFacts:
    """Return the facts with the classes in another order, which has the present place of each; empty leaves them."""
    if not order:
        return known
    counts = [
        None if of is None else tuple(of[place] for place in order) for of in (known.train_counts, known.val_counts)
    ]
    classes = tuple(known.classes[place] for place in order)
    return replace(known, classes=classes, train_counts=counts[0], val_counts=counts[1])


def channels_fit(taken: tuple[int, ...], shown: tuple[int, ...]) -> bool:
    """Return whether a network for images of shape `taken` takes these; a grey channel is repeated for it."""
    return shown[0] in (1, taken[0])


def sizes_fit(taken: tuple[int, ...], shown: tuple[int, ...]) -> bool:
    """Return whether height and width are the same; 0 is a size that is known only once the images are read."""
    return taken[1:] == shown[1:] or 0 in (*taken, *shown)


def limited(
    total: int, counts: tuple[int, ...] | None, limit: int | None, classes: int
) -> tuple[int, tuple[int, ...] | None]:
    """Return the size, in all and per class, of a class-balanced subsample of at most `limit` images."""
    if limit is None:
        return total, counts
    each = [limit // classes + (c < limit % classes) for c in range(classes)]
    if counts is None:
        return min(limit, total), tuple(each) if limit < total else None
    capped = tuple(min(wanted, there) for wanted, there in zip(each, counts, strict=True))
    return sum(capped), capped


def counted(given: Dataset) -> Dataset:
    """Fill in how many images are left for training, reporting and selection, class by class (see `Holdout`)."""
    known = given.facts
    assert known is not None
    train, val, selection = known.train, known.val, 0
    train_counts, selection_counts = known.train_counts, None
    if given.holdout is not None:
        share = given.holdout.share
        if given.holdout.source == "val":
            selection_counts = _each_held_out(share, known.val_counts)
            selection = sum(selection_counts) if selection_counts else count(share, val)
            val -= selection
        else:
            selection_counts = _each_held_out(share, train_counts)
            selection = sum(selection_counts) if selection_counts else count(share, train)
            train -= selection
            if train_counts is not None:
                train_counts = tuple(n - count(share, n) for n in train_counts)
    left = replace(given, train=train, val=val, selection=selection)
    return replace(left, train_counts=train_counts, selection_counts=selection_counts)


def _each_held_out(share: float, counts: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return tuple(count(share, n) for n in counts) if counts else None
