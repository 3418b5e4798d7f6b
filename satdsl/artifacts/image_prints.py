"""Compare the images of data steps, by a number for each image that is the same for the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Prints = NDArray[Any]
"""uint64 [n]. Of a million images two different ones share a number with a probability of 1 in 30 million."""

FILE = "prints.npz"
"""The file of a data step's artifact that has those of its images: `train` and `val`."""

SHARED = 0.002
"""A larger share of the validation images that are training images, too, brings a warning. Of CIFAR-10's there is none,
of CIFAR-100's there are 10 in 10,000, which changes no number by more than 0.1 points."""


def seen(val: Prints, train: Prints) -> tuple[int, int]:
    """Return how many validation images are training images, too, and the place of the first of them, else 0."""
    shared = np.isin(val, train)
    return int(shared.sum()), int(shared.argmax()) if len(shared) else 0


def too_many(count: int, val: Prints) -> bool:
    """Return whether so many of the validation images are worth a warning."""
    return count > SHARED * len(val)


def seen_warning(count: int, val: Prints, first: int, of: str = "") -> str:
    """Say that so many validation images are training images; `first` is a dataset index, `of` another data set."""
    return (
        f"{count:,} of {len(val):,} validation images are also training images{of}, the first of dataset index {first}"
        ": an accuracy on them shows memory, and is too high; take them out of one of the parts"
    )
