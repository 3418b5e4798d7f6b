"""Assign each training image its subset, its loss weight and its attack."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from satdsl.artifacts.schemas import SPLIT
from satdsl.backend.artifact_files import read_table
from satdsl.backend.images import Images
from satdsl.backend.rankings import image_factors, image_weights
from satdsl.ir import batches
from satdsl.ir.steps import ImageWeights, ScaledAttacks, SubsetTraining, WeightFormula
from satdsl.ir.work import StepError


@dataclass(frozen=True, eq=False)
class SubsetAssignment:
    """Arrays by dataset index (`subset_of` int64, `weight_of` float32), and tuples by subset.

    `scale_of` has for scaled attacks the factor of each image's radius, float32.
    """

    subset_of: np.ndarray
    weight_of: np.ndarray
    trainings: tuple[SubsetTraining, ...]
    scale_of: Mapping[ScaledAttacks, np.ndarray] = field(default_factory=dict)

    @property
    def shared(self) -> bool:
        """Whether subsets have shares of every batch."""
        return any(training.share is not None for training in self.trainings)


def assign_subsets(
    images: Images, split: Path | None, subsets: Sequence[SubsetTraining], complete: bool = False
) -> SubsetAssignment:
    """Look up the subset of every training image; without a split all of them are in subset 0.

    `complete` says whether the data set has no other training images.

    Raises:
        StepError: The split is of other images, or the loss weights are not possible.
    """
    index = images.index.numpy()
    members = np.zeros(len(index), dtype=np.int64)
    if split is not None:
        table = read_table(split, SPLIT)
        if not np.array_equal(table["index"], index):
            raise StepError("the split divides other training images than those to train on")
        members = table["subset"].astype(np.int64)
    return assignment(images, members, subsets, complete)


def assignment(
    images: Images, members: np.ndarray, subsets: Sequence[SubsetTraining], complete: bool = False
) -> SubsetAssignment:
    """Return the assignment of images whose subsets are `members`, int64 [n].

    Raises:
        StepError: There is no such subset, or the loss weights are not possible.
    """
    index, labels = images.index.numpy(), images.labels.numpy()
    subset_of = np.full(index.max() + 1, -1, dtype=np.int64)
    subset_of[index] = members
    if members.min() < 0 or members.max() >= len(subsets):
        raise StepError(f"the split does not put every training image into one of {len(subsets)} subsets")
    sizes = tuple(int((members == s).sum()) for s in range(len(subsets)))
    classes = tuple(len(np.unique(labels[members == s])) for s in range(len(subsets)))
    weight_of = np.zeros(len(subset_of), dtype=np.float32)
    for number, subset in enumerate(subsets):
        own = index[members == number]
        if isinstance(subset.weight, ImageWeights):
            weight_of[own] = image_weights(subset.weight, index, complete)[members == number]
        else:
            weight_of[own] = loss_weight(subset.weight, sizes, classes)
    fractions = batches.fractions([subset.share for subset in subsets], sizes)
    seen = np.isin(members, [number for number, fraction in enumerate(fractions) if fraction > 0])
    if not weight_of[index[seen]].any():
        raise StepError("every image has loss weight 0, so there is nothing to learn")
    scaled = {phase.attack for subset in subsets for phase in subset.phases if isinstance(phase.attack, ScaledAttacks)}
    scale_of = {attacks: np.zeros(len(subset_of), dtype=np.float32) for attacks in scaled}
    for attacks, scales in scale_of.items():
        scales[index] = image_factors(attacks, index, complete)
    return SubsetAssignment(subset_of, weight_of, tuple(subsets), scale_of)


def loss_weight(weight: float | WeightFormula, sizes: tuple[int, ...], classes: tuple[int, ...]) -> float:
    """Compute a loss weight for these subset sizes and numbers of classes.

    Raises:
        StepError: It is negative, infinite or NaN, or divides by zero.
    """
    try:
        value = weight.value(sizes, classes) if isinstance(weight, WeightFormula) else float(weight)
    except ZeroDivisionError as error:
        raise StepError(f"a loss weight divides by zero; the subsets have {_sizes(sizes)} images") from error
    if not math.isfinite(value) or value < 0:
        raise StepError(
            f"a loss weight is {value}; the subsets have {_sizes(sizes)} images",
            "give a formula whose value is finite and at least 0",
        )
    return value


def _sizes(sizes: tuple[int, ...]) -> str:
    return ", ".join(str(size) for size in sizes)
