"""A ranking's description to one number per training image: from an artifact's scores, or from a file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from satdsl.backend.files import read_arrays, sha256
from satdsl.backend.scores import score_in
from satdsl.plan.steps import Listed, Ranking
from satdsl.plan.work import StepError


def ranking_scores(ranking: Ranking, index: np.ndarray, inputs: Mapping[str, Path]) -> np.ndarray:
    """float64 [n]: the score of each training image, whose dataset indices are `index`.

    StepError where an image has no score, or one that is no number.
    """
    if ranking.of is not None:
        arrays = read_arrays(inputs[ranking.of] / "scores.npz")
        assert ranking.score is not None
        name = ranking.score
        of, scores = arrays["index"], score_in(arrays, name)
    else:
        assert ranking.path is not None
        assert ranking.digest is not None
        name = ranking.path
        of, scores = indexed(read_numbers(Path(name), ranking.digest), name)
    table = np.full(max(of.max(initial=-1), index.max()) + 1, np.nan)
    table[of] = scores
    found: np.ndarray = table[index]
    if np.isnan(found).any():
        first = int(index[np.isnan(found)][0])
        raise StepError(
            f"{name} has no number for {np.isnan(found).sum()} of {len(index)} training images, the first of "
            f"dataset index {first}",
            "a ranking needs one number for every training image",
        )
    return found


def indexed(numbers: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(dataset indices, scores): rows of (index, score), or scores in dataset order."""
    if numbers.ndim == 1:
        return np.arange(len(numbers)), numbers.astype(np.float64)
    if numbers.ndim != 2 or numbers.shape[1] != 2:
        raise StepError(f"{name} has shape {numbers.shape}", "one score a line, or index and score")
    indices = whole(numbers[:, 0], name)
    if len(np.unique(indices)) < len(indices):
        raise StepError(f"{name} scores some dataset index twice")
    return indices, numbers[:, 1].astype(np.float64)


def listed_indices(listed: Listed) -> np.ndarray:
    """The dataset indices in a file, int64.

    StepError for anything that is none, and for one that comes twice.
    """
    indices = whole(read_numbers(Path(listed.path), listed.digest).reshape(-1), listed.path)
    values, counts = np.unique(indices, return_counts=True)
    if (counts > 1).any():
        raise StepError(f"{listed.path} lists dataset index {values[counts > 1][0]} twice")
    return indices


def whole(numbers: np.ndarray, name: str) -> np.ndarray:
    """Numbers as int64 dataset indices."""
    with np.errstate(invalid="ignore"):
        indices = numbers.astype(np.int64)
    odd = (indices != numbers) | (indices < 0)
    if odd.any():
        raise StepError(f"{name} lists {numbers[odd][0]}, which is no dataset index")
    return indices


def read_numbers(path: Path, digest: str) -> np.ndarray:
    """The numbers in a `.npy`, `.pt`, `.csv` or `.txt` file whose SHA-256 is `digest`: [n] or [n, columns].

    Text has one row a line, columns separated by commas or white space; a first line of words is a header;
    `#` starts a comment.
    """
    if not path.is_file():
        raise StepError(f"the file {path} is not there")
    if sha256(path) != digest:
        raise StepError(f"{path} changed since the specification was compiled", "run again to compile it as it is now")
    try:
        numbers = {".npy": _npy, ".pt": _pt}.get(path.suffix, _text)(path)
    except (ValueError, RuntimeError, pickle.UnpicklingError, UnicodeDecodeError) as error:
        raise StepError(f"{path} cannot be read as numbers: {error}") from error
    if numbers.dtype.kind not in "iuf":
        raise StepError(f"{path} holds {numbers.dtype}, not numbers")
    return numbers


def _npy(path: Path) -> np.ndarray:
    loaded: np.ndarray = np.load(path, allow_pickle=False)
    return loaded


def _pt(path: Path) -> np.ndarray:
    import torch

    return torch.as_tensor(torch.load(path, map_location="cpu", weights_only=True)).numpy()


def _text(path: Path) -> np.ndarray:
    lines = [line.split("#")[0].replace(",", " ").split() for line in path.read_text("utf-8-sig").splitlines()]
    rows = [line for line in lines if line]
    if rows and not _is_number(rows[0][0]):
        rows = rows[1:]
    numbers = np.array([[float(cell) for cell in row] for row in rows])
    return numbers[:, 0] if numbers.ndim == 2 and numbers.shape[1] == 1 else numbers


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
