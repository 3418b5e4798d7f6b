"""Load the images of a data set: from its own files, or from the artifact of a data step."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.artifact_files import Array, read_arrays, read_json, write_arrays
from satdsl.backend.dataset_archives import check_files
from satdsl.backend.dataset_paths import absent, data_folder, locate
from satdsl.backend.dataset_readers import LOADERS
from satdsl.backend.image_files import CHUNK, Decoding, ImageFiles, UnusableImage, all_together
from satdsl.backend.images import DataSet, Images, balanced_subsample, digest, resized
from satdsl.catalog import catalog
from satdsl.catalog.datasets import DatasetEntry, facts
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import Progress, StepError, Work

UNREADABLE = (RuntimeError, AssertionError, ValueError, LookupError, EOFError, OSError, pickle.UnpicklingError)
"""What torchvision, and the readers that it uses, raise for damaged files."""


def load(source: CatalogCall, root: Path) -> DataSet:
    """Read `source` from below `root`, and apply its `limit`, `limit_val` and `resize`.

    The pixels of a data set with one file per image are left in their files. A loaded data set is kept in memory for
    the next step; but not a folder whose images no plan has listed, since it may change.
    """
    unlisted = _in_folder(source) and source.get("listing") is None
    return (_load.__wrapped__ if unlisted else _load)(source, root.absolute())


def _in_folder(source: CatalogCall) -> bool:
    entry = catalog().find("dataset", source.name)
    return isinstance(entry, DatasetEntry) and entry.in_folder is not None


@lru_cache(maxsize=3)
def _load(source: CatalogCall, root: Path) -> DataSet:
    whole = read(source, root)
    parts = []
    for images, limit in ((whole.train, source.get("limit")), (whole.val, source.get("limit_val"))):
        positions = balanced_subsample(images.labels.numpy(), len(whole.classes), limit)
        chosen = images.at(torch.from_numpy(positions))
        if isinstance(chosen.pixels, Tensor):
            chosen = replace(chosen, pixels=resized(chosen.pixels.contiguous(), source.get("resize")))
        parts.append(chosen)
    return DataSet(whole.classes, *parts)


def read(source: CatalogCall, root: Path) -> DataSet:
    """Read all of `source`, before any limit.

    Raises:
        StepError: Its files are not there, are damaged, or are not those that were published.
    """
    if source.plugin is not None:
        return _of_plugin(source, root)
    present, where, how = locate(source, root)
    if not present:
        raise absent(source, where, how)
    try:
        found = LOADERS[source.name](source, root)
    except UNREADABLE as error:
        check_files(source, root)
        reason = str(error) or type(error).__name__
        raise StepError(
            f"the files of {source.name} in {where} are damaged: {reason}", f"remove them and {how}"
        ) from error
    check_counts(source, found, where)
    order = source.get("class_order")
    return in_order(found, order) if order else found


def _of_plugin(source: CatalogCall, root: Path) -> DataSet:
    from satdsl.backend.plugins import dataset
    from satdsl.backend.plugins.calling import Plugin

    return dataset.read(Plugin.of(source), dataset.declared(source), root)


def in_order(data: DataSet, order: Sequence[str]) -> DataSet:
    """Return the data set with its classes numbered in this order; the images stay in theirs."""
    numbers = torch.tensor([order.index(name) for name in data.classes])
    parts = (replace(part, labels=numbers[part.labels]) for part in (data.train, data.val))
    return DataSet(tuple(order), *parts)


def check_counts(source: CatalogCall, whole: DataSet, where: Path) -> None:
    """Check that there are as many images, in all and of each class, as the plan counts on.

    Raises:
        StepError: There are more or fewer.
    """
    entry = catalog().find("dataset", source.name)
    if not isinstance(entry, DatasetEntry) or entry.facts is None:
        return
    known = facts(entry, source.get("protocol"))
    for part, labels, total, counts in (
        ("training", whole.train.labels, known.train, known.train_counts),
        ("validation", whole.val.labels, known.val, known.val_counts),
    ):
        found = np.bincount(labels.numpy(), minlength=len(known.classes)).tolist()
        if sum(found) == total and (counts is None or found == list(counts)):
            continue
        named = zip(known.classes, found, counts or found, strict=False)
        odd = next((f"; of {name} {n:,}, not {right:,}" for name, n, right in named if n != right), "")
        raise StepError(
            f"{where} has {sum(found):,} {part} images; {source.name} has {total:,}{odd}",
            "files are missing or do not belong there: remove them, and unpack or download them again",
        )


# --- from the artifact of a data step --------------------------------------------------------------


def keep_pixels(data: DataSet, folder: Path) -> None:
    """Write the pixels of both parts to `train.npy` and `val.npy`: those of a plug-in, which runs only once."""
    for name, images in (("train", data.train), ("val", data.val)):
        assert isinstance(images.pixels, Tensor)
        np.save(folder / f"{name}.npy", images.pixels.numpy())


def store_pixels(data: DataSet, folder: Path, report: Callable[[Progress], None]) -> DataSet:
    """Decode the files of both parts into `train.npy` and `val.npy`, uint8 [n, c, h, w]; return the set with those.

    Raises:
        StepError: Some files cannot be used; all of them are counted, the first ones named.
    """
    parts, done, total = [], 0, len(data.train) + len(data.val)
    unusable: list[UnusableImage] = []
    for name, images in (("train", data.train), ("val", data.val)):
        assert isinstance(images.pixels, ImageFiles)
        shape = images.pixels.shape
        pixels = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape)
        for start in range(0, len(images), CHUNK):
            chunk = images.pixels.at(slice(start, start + CHUNK))
            unusable += chunk.decode_usable(pixels[start : start + CHUNK])
            report(Progress(done + min(start + CHUNK, len(images)), total, f"decoding {total:,} images"))
        pixels.flush()
        done += len(images)
        parts.append(Images(torch.from_numpy(pixels), images.labels, images.index))
    _all_usable(data, unusable)
    return DataSet(data.classes, *parts)


def store_file_list(data: DataSet, folder: Path, report: Callable[[Progress], None]) -> DataSet:
    """Read every file once; list its path below the root, its size and its SHA-256 in `files.npz`.

    Returns the data set whose files must have those digests.

    Raises:
        StepError: Some files cannot be used; all of them are counted, the first ones named.
    """
    parts, done, total = [], 0, len(data.train) + len(data.val)
    unusable: list[UnusableImage] = []
    listing: dict[str, Array] = {}
    for name, images in (("train", data.train), ("val", data.val)):
        assert isinstance(images.pixels, ImageFiles)

        def seen(count: int, before: int = done) -> None:
            report(Progress(before + count, total, f"reading {total:,} files"))

        files, sizes, wrong = images.pixels.with_digests(seen)
        unusable += wrong
        assert files.digests is not None
        listing |= {name: files.names, f"{name}_bytes": sizes, f"{name}_sha256": files.digests}
        done += len(images)
        parts.append(Images(files, images.labels, images.index))
    _all_usable(data, unusable)
    write_arrays(folder / "files.npz", listing)
    return DataSet(data.classes, *parts)


def _all_usable(data: DataSet, unusable: Sequence[UnusableImage]) -> None:
    """Raise a StepError if some files cannot be used, or if the two parts differ in the size of their images."""
    if unusable:
        raise all_together(unusable, len(data.train) + len(data.val))
    train, val = (images.pixels.shape[2:] for images in (data.train, data.val))
    if train != val and len(data.train) and len(data.val):
        sizes = " and ".join(
            f"{width}x{height} pixels in {part}/"
            for part, (height, width) in zip(("train", "val"), (train, val), strict=True)
        )
        raise StepError(
            f"the images have {sizes}", "give the data set a size to which all its images are brought: resize=224"
        )


def input_dataset(work: Work, role: str = "data") -> DataSet:
    """Return the images of the data artifact in an input role.

    Raises:
        StepError: The files that it was made from have changed.
    """
    folder = work.inputs[role]
    stored = read_json(folder / "facts.json")
    root = data_folder(stored["root"], work.data_root)
    if (folder / "train.npy").exists():
        return _kept(folder)
    if (folder / "files.npz").exists():
        return _listed(folder, root.absolute())
    source = catalog().stored_call(stored["source"])
    data = load(source, root)
    if _digest(source, root.absolute()) != stored["digest"]:
        raise StepError(
            f"the files of {source.name} below {root} are not those that the data step read",
            "restore them, or remove the stored data step to start again from the present files",
        )
    return data


@lru_cache(maxsize=3)
def _digest(source: CatalogCall, root: Path) -> str:
    return digest(_load(source, root))


@lru_cache(maxsize=3)
def _kept(folder: Path) -> DataSet:
    # Mode c is copy-on-write: torch wants memory that may be written to, and the file must stay as it is.
    pixels = {part: torch.from_numpy(np.load(folder / f"{part}.npy", mmap_mode="c")) for part in ("train", "val")}
    return _labelled(folder, pixels)


@lru_cache(maxsize=3)
def _listed(folder: Path, root: Path) -> DataSet:
    decoding = Decoding.of(catalog().stored_call(read_json(folder / "facts.json")["source"]))
    listing = read_arrays(folder / "files.npz")
    pixels = {part: ImageFiles(root, listing[part], decoding, listing[f"{part}_sha256"]) for part in ("train", "val")}
    return _labelled(folder, pixels)


def _labelled(folder: Path, pixels: Mapping[str, Tensor | ImageFiles]) -> DataSet:
    labels = {name: torch.from_numpy(values) for name, values in read_arrays(folder / "labels.npz").items()}
    parts = (Images(pixels[part], labels[part], labels[f"{part}_index"]) for part in ("train", "val"))
    return DataSet(tuple(read_json(folder / "facts.json")["classes"]), *parts)
