"""Read the per-image numbers of finished artifacts: one row per image, by dataset index."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdsl.artifacts.image_prints import FILE, Prints
from satdsl.artifacts.parquet import Unreadable
from satdsl.artifacts.schemas import ROWS, SCORES, SIZES, SPLIT, VALUES, TableSchema
from satdsl.artifacts.tables import HELP, read
from satdsl.engine.errors import Damaged
from satdsl.engine.store import Store
from satdsl.errors import UserError
from satdsl.ir.steps import Key

Indices = NDArray[np.int64]
Values = NDArray[Any]

_KEPT = 64
"""Artifacts whose rows stay in memory: several results are usually read off the same few."""


class ReportError(UserError):
    """The report cannot be made from the stored artifacts."""


class NotStored(Exception):
    """The artifact is missing, or damaged and so to be made again."""


@dataclass(frozen=True, eq=False)
class ImageRows:
    """Per image, by ascending dataset index: its value, and its label where the artifact knows it."""

    index: Indices
    values: Values
    label: Indices | None

    def __getitem__(self, chosen: NDArray[np.bool_]) -> ImageRows:
        label = None if self.label is None else self.label[chosen]
        return ImageRows(self.index[chosen], self.values[chosen], label)


@dataclass(frozen=True, eq=False)
class Subsets:
    """A split's training examples, and for a split by whole classes the classes of each subset."""

    index: Indices
    subset: Indices
    classes: tuple[tuple[int, ...] | None, ...]


class ArtifactReader:
    """The finished artifacts of a store, as arrays.

    Each method raises NotStored where the artifact is missing or damaged, and ReportError where it holds
    something else than its kind promises.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.correct = lru_cache(_KEPT)(self._correct)
        self.distances = lru_cache(_KEPT)(self._distances)
        self.values = lru_cache(_KEPT)(self._values)
        self.scores = lru_cache(_KEPT)(self._scores)
        self.subsets = lru_cache(_KEPT)(self._subsets)
        self.train_labels = lru_cache(_KEPT)(partial(self._labels, "train"))
        self.val_labels = lru_cache(_KEPT)(partial(self._labels, "val"))

    def class_names(self, data: Key) -> tuple[str, ...]:
        """Return the names of a data step's classes, by class index."""
        return tuple(_facts(self._folder(data), "classes")["classes"])

    def warnings(self, step: Key) -> tuple[str, ...]:
        """Return what an evaluation or a split warns of, in a user's words."""
        return tuple(_facts(self._folder(step), "warnings")["warnings"])

    def data_warnings(self, data: Key) -> tuple[str, ...]:
        """Return what a data step warns of; nothing if an older version did it."""
        return tuple(_facts(self._folder(data)).get("warnings", ()))

    def val_index(self, data: Key) -> Indices:
        """Return the dataset indices of a data step's validation images."""
        (index,) = _arrays(self._folder(data) / "labels.npz", "val_index")
        return index

    def prints(self, data: Key, part: str) -> Prints:
        """Return a number for each image of a part (`train` or `val`), the same for the same pixels.

        There is none if an older version did the data step.
        """
        file = self._folder(data) / FILE
        return _arrays(file, part)[0] if file.exists() else np.empty(0, np.uint64)

    def broken_by(self, evaluation: Key) -> tuple[tuple[str, ...], Values]:
        """Return an evaluation's attacks, and for each image the one that broke it first, by its number."""
        folder = self._folder(evaluation)
        facts = _evaluation_facts(folder)
        (broken_by,) = _columns(folder, ROWS, "broken_by", rows=facts["n"])
        return tuple(facts["attacks"]), broken_by

    def predicted(self, evaluation: Key, *, under_attack: bool) -> ImageRows | None:
        """Return which class is predicted, image by image; None if an older version did the evaluation."""
        folder, column = self._folder(evaluation), "attacked" if under_attack else "predicted"
        try:
            found = read(folder, ROWS)
        except Unreadable as error:
            raise ReportError(str(error), HELP) from error
        return _sorted(found["index"], found[column].astype(np.int64), found["label"]) if column in found else None

    def class_sizes(self, block: Key) -> tuple[int, ...]:
        """Return how many images of each class the evaluation has that a block is a part of."""
        return tuple(_facts(self._folder(block), SIZES)[SIZES])

    def examples(self, evaluation: Key) -> dict[str, Values] | None:
        """Return what an evaluation under attack kept of a few images in its `examples.npz`; None if it kept none."""
        file = self._folder(evaluation) / "examples.npz"
        names = ("index", "label", "predicted", "attacked", "pixels", "perturbation")
        return dict(zip(names, _arrays(file, *names), strict=True)) if file.exists() else None

    def _correct(self, evaluation: Key) -> ImageRows:
        """Return whether the network is right, image by image."""
        folder = self._folder(evaluation)
        n = _evaluation_facts(folder)["n"]
        index, label, correct = _columns(folder, ROWS, "index", "label", "correct", rows=n)
        return _sorted(index, correct.astype(bool), label)

    def _distances(self, evaluation: Key) -> ImageRows:
        """Return how far the nearest adversarial image is that was found, image by image."""
        folder = self._folder(evaluation)
        n = _evaluation_facts(folder)["n"]
        index, label, distance = _columns(folder, ROWS, "index", "label", "distance", rows=n)
        return _sorted(index, distance.astype(np.float64), label)

    def _scores(self, step: Key, score: str) -> ImageRows:
        """Return a difficulty score of images, in the score's unit."""
        index, values = _columns(self._folder(step), SCORES, "index", score)
        return _sorted(index, values.astype(np.float64), None)

    def _values(self, evaluation: Key) -> ImageRows:
        """Return what a function of the user's own says of each image."""
        index, label, values = _columns(self._folder(evaluation), VALUES, "index", "label", "value")
        return _sorted(index, values.astype(np.float64), label)

    def _subsets(self, split: Key) -> Subsets:
        folder = self._folder(split)
        facts = _facts(folder, "sizes", "classes")
        index, subset = _columns(folder, SPLIT, "index", "subset", rows=sum(facts["sizes"]))
        classes = tuple(None if c is None else tuple(c) for c in facts["classes"])
        return Subsets(index.astype(np.int64), subset.astype(np.int64), classes)

    def _labels(self, part: str, data: Key) -> ImageRows:
        """Return the labels of a part's images as values."""
        index, label = _arrays(self._folder(data) / "labels.npz", f"{part}_index", part)
        return _sorted(index, label, label)

    def _folder(self, key: Key) -> Path:
        try:
            return self._store.fetch(key)
        except Damaged as damaged:
            raise NotStored(str(damaged)) from None


def _sorted(index: Values, values: Values, label: Values | None) -> ImageRows:
    order = np.argsort(index, kind="stable")
    index = index[order].astype(np.int64)
    if np.any(index[1:] == index[:-1]):
        raise ReportError("an artifact has two rows for one image")
    return ImageRows(index, values[order], None if label is None else label[order].astype(np.int64))


def _columns(folder: Path, schema: TableSchema, *names: str, rows: int | None = None) -> list[Values]:
    try:
        found = read(folder, schema, names, rows)
    except Unreadable as error:
        raise ReportError(str(error), HELP) from error
    return [found[name] for name in names]


def _arrays(file: Path, *names: str) -> list[Values]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ReportError(f"{file} does not hold {', '.join(names)} ({error})") from error


def _evaluation_facts(folder: Path) -> dict[str, Any]:
    return _facts(folder, "n", "attacks", "warnings")


def _facts(folder: Path, *names: str) -> dict[str, Any]:
    """Return the facts of an artifact, among which these have to be."""
    file = folder / "facts.json"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{file} cannot be read ({error})") from error
    missing = [name for name in names if not isinstance(facts, dict) or name not in facts]
    if missing:
        raise ReportError(f"{file} does not tell the {', '.join(missing)}", HELP)
    found: dict[str, Any] = facts
    return found
