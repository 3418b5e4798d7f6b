"""Join data sets: the training images of all parts one after the other, and the validation images of the first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch

from satdsl.backend.datasets import input_dataset
from satdsl.backend.images import DataSet, Images
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import Progress, Work

CHUNK = 1024
"""So many images are copied at once."""


def join(source: CatalogCall, work: Work) -> DataSet:
    """Write the bytes of both parts as `train.npy` and `val.npy`; return the data set with these pixels.

    An image keeps its label's name. Its dataset index is that in its own data set, after those of the sets before it.
    """
    parts = [input_dataset(work, f"part{place}") for place in range(len(source["wholes"]))]
    classes = parts[0].classes
    before = [0, *accumulate(source["wholes"])][: len(parts)]
    trained = []
    for data, start in zip(parts, before, strict=True):
        numbers = torch.tensor([classes.index(name) for name in data.classes])
        trained.append(Images(data.train.pixels, numbers[data.train.labels], data.train.index + start))
    train, val = _written(trained, work, "train"), _written([parts[0].val], work, "val")
    return DataSet(classes, train, val)


def _written(parts: Sequence[Images], work: Work, name: str) -> Images:
    """Return the images of all parts, whose pixels then lie in one file."""
    shape = (sum(map(len, parts)), *parts[0].pixels.shape[1:])
    place: Path = work.out / f"{name}.npy"
    pixels = np.lib.format.open_memmap(place, mode="w+", dtype=np.uint8, shape=shape)
    done = 0
    for images in parts:
        cuts = [slice(start, start + CHUNK) for start in range(0, len(images), CHUNK)]
        for chunk in images.read(cuts, "cpu"):
            pixels[done : done + len(chunk)] = chunk.numpy()
            done += len(chunk)
            work.report(Progress(done, shape[0], f"joining {shape[0]:,} images"))
    pixels.flush()
    labels, index = torch.cat([images.labels for images in parts]), torch.cat([images.index for images in parts])
    return Images(torch.from_numpy(pixels), labels, index)
