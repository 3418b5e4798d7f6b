"""Read a data set by a plug-in: `(part, folder, *, ...)` to the images and labels of `train` or `val`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.images import DataSet, Images
from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.returned import finite, in_unit_range, kind, tensor
from satdsl.backend.registry import entry_of
from satdsl.catalog.datasets import DatasetEntry
from satdsl.catalog.registry import CallSite
from satdsl.ir.experiment import DatasetFacts
from satdsl.ir.steps import CatalogCall

FORMS = "uint8 from 0 to 255, or floating-point numbers from 0 to 1"


def declared(source: CatalogCall) -> DatasetFacts:
    """Return what the mark of a data set says of a call: its classes, an image's shape, the number of images."""
    entry = entry_of(DatasetEntry, source)
    checked = cast(CallSite, None)  # nothing is left to be found: the specification was checked with these arguments
    return entry.known({**source.defaults, **dict(source.args)}, "", entry, checked)


def read(plugin: Plugin, declared: DatasetFacts, root: Path) -> DataSet:
    """Return the data set that a plug-in gives, checked against what its mark says.

    Raises:
        StepError: It gives other sizes, labels that are no classes, or pixels that are none.
    """
    return DataSet(declared.classes, *(_part(plugin, declared, part, root) for part in ("train", "val")))


def _part(plugin: Plugin, declared: DatasetFacts, part: str, root: Path) -> Images:
    found = plugin(0, part=part, folder=root)
    if not isinstance(found, Sequence) or len(found) != 2 or isinstance(found, str):
        raise plugin.wrong(
            f"returns {kind(found)} for {part}, not two things", "return the images and the labels: `return x, y`"
        )
    pixels = _pixels(plugin, declared, part, tensor(plugin, _array(found[0]), "cpu"))
    labels = _labels(plugin, declared, part, tensor(plugin, _array(found[1]), "cpu"), len(pixels))
    return Images(pixels, labels, torch.arange(len(labels)))


def _array(value: Any) -> Any:
    """A list of numbers becomes an array."""
    return np.asarray(value) if isinstance(value, list) else value


def _pixels(plugin: Plugin, declared: DatasetFacts, part: str, images: Tensor) -> Tensor:
    expected = [{"train": declared.train, "val": declared.val}[part], *declared.shape]
    if list(images.shape) != expected:
        raise plugin.wrong(
            f"returns images of shape {list(images.shape)} for {part}, and its mark says {expected}",
            "correct the mark, `@sat.dataset(classes=..., shape=..., train=..., val=...)`, or the function; images are "
            "[n, channels, height, width]",
        )
    if images.dtype == torch.uint8:
        return images.contiguous()
    if not images.is_floating_point():
        raise plugin.wrong(f"returns images of {images.dtype} for {part}", f"return {FORMS}")
    inside = in_unit_range(plugin, finite(plugin, images, "images"), f"return {FORMS}, without normalisation")
    return (inside * 255).round().to(torch.uint8).contiguous()


def _labels(plugin: Plugin, declared: DatasetFacts, part: str, labels: Tensor, count: int) -> Tensor:
    if list(labels.shape) != [count] or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise plugin.wrong(
            f"returns labels of shape {list(labels.shape)} and type {labels.dtype} for {part}",
            f"return whole numbers, one for each of the {count} images",
        )
    labels, classes = labels.long(), len(declared.classes)
    if count and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise plugin.wrong(
            f"returns labels from {int(labels.min())} to {int(labels.max())} for {part}, and its mark says {classes} "
            "classes",
            f"number the classes from 0 to {classes - 1}, or correct the mark",
        )
    return labels.contiguous()
