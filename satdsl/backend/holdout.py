"""Split a data set into images to train on, to select checkpoints with, and to report on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from satdsl.backend.images import DataSet, Images
from satdsl.ir import draws
from satdsl.ir.steps import HOLDOUT_SEED, Holdout


@dataclass(frozen=True, eq=False)
class DataParts:
    """`train` is trained on, `val` reported on; `selection` is the hold-out, None where there is none."""

    train: Images
    val: Images
    selection: Images | None


def split_holdout(data: DataSet, holdout: Holdout | None) -> DataParts:
    """Take the hold-out from the part that it names, the same share of each class."""
    if holdout is None:
        return DataParts(data.train, data.val, None)
    source = data.train if holdout.source == "train" else data.val
    held = torch.from_numpy(holdout_mask(source.labels.numpy(), len(data.classes), holdout.share))
    rest, selection = source.at(~held), source.at(held)
    return DataParts(rest, data.val, selection) if holdout.source == "train" else DataParts(data.train, rest, selection)


def holdout_mask(labels: np.ndarray, classes: int, share: float) -> np.ndarray:
    """Return which of the images with these labels are held out: bool [n]."""
    held = np.zeros(len(labels), dtype=bool)
    for klass in range(classes):
        members = np.flatnonzero(labels == klass)
        count = draws.count(share, len(members))
        held[members[draws.order(len(members), HOLDOUT_SEED + klass)[:count]]] = True
    return held
