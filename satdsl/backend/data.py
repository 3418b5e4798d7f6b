"""Perform the `data` step: check a data set, and store its facts and labels."""

from __future__ import annotations

import math
from pathlib import Path

from satdsl.artifacts.image_prints import FILE as PRINTS
from satdsl.backend import datasets
from satdsl.backend.array_images import store_arrays
from satdsl.backend.artifact_files import write_arrays, write_json
from satdsl.backend.dataset_archives import check_files
from satdsl.backend.dataset_paths import absent, data_folder, locate
from satdsl.backend.download import download
from satdsl.backend.image_files import ImageFiles
from satdsl.backend.images import DataSet, digest
from satdsl.backend.joined_data import join
from satdsl.backend.odd_images import image_prints, odd_images
from satdsl.catalog import catalog
from satdsl.catalog.datasets import DatasetEntry
from satdsl.ir.steps import JOINED, CatalogCall, Data, Step
from satdsl.ir.work import Progress, Work

KEPT_BYTES = 8 << 30
"""The decoded pixels of both parts are stored if they take no more bytes; else they are decoded when needed."""


def _read(source: CatalogCall, root: Path, work: Work) -> DataSet:
    """Return the images, those of arrays as they are then stored."""
    entry = catalog().find("dataset", source.name)
    if isinstance(entry, DatasetEntry) and entry.in_arrays is not None:
        return store_arrays(source, work.out, work.report)
    return datasets.load(source, root)


def perform(step: Step, work: Work) -> None:
    """Write `facts.json` and `labels.npz`; for a data set with one file per image, also its pixels or a list of files.

    Decoded images (`train.npy`, `val.npy`, uint8 [n, c, h, w]) are stored because decoding is slow, and because a file
    can change while its name stays. If there are too many, `files.npz` lists the files with their SHA-256 instead,
    and each file is compared with it whenever it is decoded. The pixels that a plug-in gives are stored, too: it runs
    here and nowhere else.
    """
    settings = step.settings
    assert isinstance(settings, Data)
    source, root = settings.source, data_folder(settings.root, work.data_root)
    if source.name == JOINED:
        _record(join(source, work), source, settings, work)
        return
    present, where, how = locate(source, root)
    if not present:
        if not work.download:
            raise absent(source, where, how)
        download(source, root, work.report)
    work.report(Progress(0, 1, f"loading {source.name}"))
    if source.plugin is None:
        check_files(source, root)
    data = _read(source, root, work)
    if source.plugin is not None:
        datasets.keep_pixels(data, work.out)
    elif isinstance(data.train.pixels, ImageFiles):
        pixels = (len(data.train) + len(data.val)) * math.prod(data.shape)
        keep = datasets.store_pixels if pixels <= KEPT_BYTES else datasets.store_file_list
        data = keep(data, work.out, work.report)
    _record(data, source, settings, work)


def _record(data: DataSet, source: CatalogCall, settings: Data, work: Work) -> None:
    """Write what is known of the images, and report what is odd about them."""
    prints = {"train": image_prints(data.train), "val": image_prints(data.val)}
    warnings, in_both = odd_images(data, **prints)
    write_arrays(work.out / PRINTS, prints)
    write_arrays(
        work.out / "labels.npz",
        {
            "train": data.train.labels.numpy(),
            "train_index": data.train.index.numpy(),
            "val": data.val.labels.numpy(),
            "val_index": data.val.index.numpy(),
        },
    )
    write_json(
        work.out / "facts.json",
        {
            "source": source.document,
            "root": settings.root,
            "classes": list(data.classes),
            "shape": list(data.shape),
            "train": len(data.train),
            "val": len(data.val),
            "digest": digest(data),
            "in_both": in_both,
            "warnings": warnings,
        },
    )
    noted = f", {in_both} of them in both" if in_both else ""
    noted += f"; {len(warnings)} warning{'s' * (len(warnings) > 1)}" if warnings else ""
    work.report(Progress(1, 1, f"{len(data.train)} training and {len(data.val)} validation images{noted}"))
