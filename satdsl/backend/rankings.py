"""Find the number by which each training image is ranked, in the scores of an artifact or in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from satdsl import rankings
from satdsl.artifacts.schemas import SCORES
from satdsl.backend.artifact_files import read_table, sha256
from satdsl.backend.scores import score_in
from satdsl.errors import UserError
from satdsl.ir.steps import ImageWeights, Listed, Ranking, ScaledAttacks
from satdsl.ir.work import StepError
from satdsl.number_files import NumberTable, read_numbers


def ranking_scores(ranking: Ranking, index: np.ndarray, complete: bool, inputs: Mapping[str, Path]) -> np.ndarray:
    """Return the score of each training image, float64 [n]; `index` has the dataset indices of the images.

    `complete` says whether these are all training images of the data set. Of a file that lists the images in their
    order, the score is the place from the end: the first image has 0, the others less.

    Raises:
        StepError: An image has no score, or NaN, or a file scores images that are not in the data set.
    """
    n = len(index) if complete else None
    with _as_step_errors():
        if ranking.of is not None:
            arrays = read_table(inputs[ranking.of], SCORES)
            assert ranking.score is not None
            of, scores = arrays["index"], score_in(arrays, ranking.score)
            return rankings.of_images(of, scores, index, ranking.score, "number", rankings.FORMS)
        table, name = _table(ranking)
        return rankings.image_scores(table, name, n, index, ranking.in_order)


def image_weights(weights: ImageWeights, index: np.ndarray, complete: bool) -> np.ndarray:
    """Return the loss weight of each image, float64 [n]; `index` and `complete` as for `ranking_scores`.

    Raises:
        StepError: An image has no weight, or one that is negative or not finite.
    """
    with _as_step_errors():
        table = _read(weights.path, weights.digest)
        return rankings.image_weights(table, weights.path, len(index) if complete else None, index)


def image_factors(scaled: ScaledAttacks, index: np.ndarray, complete: bool) -> np.ndarray:
    """Return the factor of each image's radius, float64 [n]; `index` and `complete` as for `ranking_scores`.

    Raises:
        StepError: An image has no factor, or one that is not in [0, 1].
    """
    with _as_step_errors():
        table = _read(scaled.path, scaled.digest)
        return rankings.image_factors(table, scaled.path, len(index) if complete else None, index)


def class_order(ranking: Ranking, classes: int) -> list[int]:
    """Return the classes in the order in which a file lists them, hardest first."""
    with _as_step_errors():
        table, name = _table(ranking)
        return rankings.class_order(table, name, classes)


def listed_indices(listed: Listed) -> np.ndarray:
    """Read the dataset indices in a file, int64 [n].

    Raises:
        StepError: A number is no dataset index, or comes twice.
    """
    with _as_step_errors():
        table = _read(listed.path, listed.digest)
        return rankings.list_of(table, listed.path, None)


def _table(ranking: Ranking) -> tuple[NumberTable, str]:
    assert ranking.path is not None
    assert ranking.digest is not None
    return _read(ranking.path, ranking.digest), ranking.path


def _read(name: str, digest: str) -> NumberTable:
    """Read the numbers in a file whose SHA-256 is `digest`; raise StepError where it is gone or has changed."""
    try:
        found = sha256(Path(name))
    except OSError as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise StepError(f"the file {name} {reason}", "put it back, or name another file") from error
    if found != digest:
        raise StepError(f"{name} changed since the specification was compiled", "run again to compile it as it is now")
    return read_numbers(Path(name))


@contextmanager
def _as_step_errors() -> Iterator[None]:
    try:
        yield
    except StepError:
        raise
    except UserError as error:
        raise StepError(error.reason, error.help) from error
