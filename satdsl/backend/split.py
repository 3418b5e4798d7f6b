"""Perform the `split` step: write the table that tells which subset each training image is in."""

from __future__ import annotations

import numpy as np

from satdsl.artifacts.schemas import SPLIT
from satdsl.backend import datasets
from satdsl.backend.artifact_files import write_json, write_table
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import DataSet
from satdsl.backend.rankings import ranking_scores
from satdsl.backend.subset_masks import TrainingSet, partition
from satdsl.backend.tie_break import drawn_numbers
from satdsl.ir.steps import ITSELF, ITSELF_SEED, Ranking, Split, Step
from satdsl.ir.work import Progress, Work


def perform(step: Step, work: Work) -> None:
    """Write `split.parquet` (index, subset) and `facts.json`.

    The facts are each subset's size, its classes (or null), and warnings: of picks that equal scores left to a draw.
    """
    settings = step.settings
    assert isinstance(settings, Split)
    data = datasets.input_dataset(work)
    train = split_holdout(data, settings.holdout).train
    index, labels = train.index.numpy(), train.labels.numpy()

    complete = is_complete(data, len(index))

    def scores(ranking: Ranking) -> np.ndarray:
        if ranking.of == ITSELF:  # a training picks anew; until then its subsets are drawn
            return drawn_numbers(index, ITSELF_SEED).astype(np.float64)
        return ranking_scores(ranking, index, complete, work.inputs)

    images = TrainingSet(index, labels, len(data.classes), complete, scores)
    subset = partition(settings.subsets, images)
    sizes = [int((subset == i).sum()) for i in range(len(settings.subsets))]
    write_table(work.out, SPLIT, {"index": index, "subset": subset})
    classes = [whole_classes(labels, subset == i) for i in range(len(sizes))]
    warnings = list(dict.fromkeys(images.warnings))
    write_json(work.out / "facts.json", {"sizes": sizes, "classes": classes, "warnings": warnings})
    work.report(Progress(1, 1, " + ".join(str(size) for size in sizes)))


def whole_classes(labels: np.ndarray, members: np.ndarray) -> list[int] | None:
    """Return the classes that the members (bool [n]) consist of; None if they are not whole classes."""
    classes = np.unique(labels[members])
    return [int(k) for k in classes] if np.isin(labels[~members], classes).sum() == 0 else None


def is_complete(data: DataSet, n: int) -> bool:
    """Return whether the n training images are 0 .. n - 1, so that no limit and no hold-out leaves an image out."""
    index = data.train.index
    return n == len(index) and int(index[-1]) == n - 1
