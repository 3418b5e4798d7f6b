"""Find the number by which each training image is ranked, in the scores of an artifact or in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from satdsl.artifacts.schemas import SCORES
from satdsl.backend.artifact_files import read_table
from satdsl.backend.number_files import read_numbers
from satdsl.backend.scores import score_in
from satdsl.ir.steps import Listed, Ranking
from satdsl.ir.work import StepError

FORMS = (
    "a ranking has one score for every training image of the whole data set, in its order and before any `limit` or "
    "hold-out, or two columns: dataset index (from 0) and score"
)


def ranking_scores(ranking: Ranking, index: np.ndarray, complete: bool, inputs: Mapping[str, Path]) -> np.ndarray:
    """Return the score of each training image, float64 [n]; `index` has the dataset indices of the images.

    `complete` says whether these are all training images of the data set.

    Raises:
        StepError: An image has no score, or NaN, or a file scores images that are not in the data set.
    """
    if ranking.of is not None:
        arrays = read_table(inputs[ranking.of], SCORES)
        assert ranking.score is not None
        name = ranking.score
        of, scores = arrays["index"], score_in(arrays, name)
    else:
        assert ranking.path is not None
        assert ranking.digest is not None
        name = ranking.path
        of, scores = indices_and_scores(
            read_numbers(Path(name), ranking.digest), name, len(index) if complete else None
        )
    order = np.argsort(of, kind="stable")
    places = np.searchsorted(of, index, sorter=order)
    known = places < len(of)
    known[known] = of[order[places[known]]] == index[known]
    if not known.all():
        raise StepError(
            f"{name} has no number for {(~known).sum()} of {len(index)} training images, the first of dataset index "
            f"{index[~known][0]}",
            FORMS,
        )
    found: np.ndarray = scores[order[places]].astype(np.float64)
    if np.isnan(found).any():
        nan = index[np.isnan(found)]
        raise StepError(
            f"{name} is NaN for {len(nan)} of {len(index)} training images, the first of dataset index {nan[0]}",
            "give every image a number to be ranked by",
        )
    return found


def indices_and_scores(numbers: np.ndarray, name: str, n: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return (dataset indices, scores) from rows of (index, score), or from scores in dataset order.

    `n` is the number of training images if all of them are used; then a file may not have other indices.
    """
    if numbers.ndim == 1:
        if n is not None and len(numbers) > n:
            raise StepError(f"{name} has {len(numbers)} numbers, but there are {n} training images", FORMS)
        return np.arange(len(numbers)), numbers
    if numbers.ndim != 2 or (numbers.shape[1] != 2 and len(numbers)):
        raise StepError(f"{name} has shape {numbers.shape}, not [n] or [n, 2]", FORMS)
    indices = to_indices(numbers[:, :1].reshape(-1), name)
    reject_duplicates(indices, name)
    if n is not None and (indices >= n).any():
        raise StepError(
            f"{name} scores dataset index {indices[indices >= n][0]}, but there are {n} training images, 0 to {n - 1}",
            FORMS,
        )
    return indices, numbers[:, 1:].reshape(-1)


def listed_indices(listed: Listed) -> np.ndarray:
    """Read the dataset indices in a file, int64 [n].

    Raises:
        StepError: A number is no dataset index, or comes twice.
    """
    indices = to_indices(read_numbers(Path(listed.path), listed.digest).reshape(-1), listed.path)
    reject_duplicates(indices, listed.path)
    return indices


def to_indices(numbers: np.ndarray, name: str) -> np.ndarray:
    """Convert numbers to dataset indices, int64; raise StepError for one that is none."""
    with np.errstate(invalid="ignore"):
        indices = numbers.astype(np.int64)
    odd = (indices != numbers) | (indices < 0)
    if odd.any():
        raise StepError(
            f"{name} lists {numbers[odd][0]:g}, which is no dataset index",
            "indices are whole numbers and count from 0",
        )
    return indices


def reject_duplicates(indices: np.ndarray, name: str) -> None:
    """Raise StepError for a dataset index that comes twice."""
    values, counts = np.unique(indices, return_counts=True)
    if (counts > 1).any():
        raise StepError(f"{name} lists dataset index {values[counts > 1][0]} twice", "name each image once")
