"""Count which class is predicted for which: the confusion matrix of an evaluation, without attack and under one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from satdsl.engine.store import Store
from satdsl.ir.plan import Accuracy, Plan, Point, Result
from satdsl.report.artifact_reader import ArtifactReader, ImageRows, Indices, NotStored
from satdsl.report.results import of_part
from satdsl.show.text import attack_text

MOST_CLASSES = 20
"""Classes of a matrix that is drawn; of more, those with the most errors, and the others together."""

OTHERS = "others"


@dataclass(frozen=True, eq=False)
class Confusion:
    """How many images of each class (rows, in the order of `classes`) are predicted as which (columns): int64 [k, k].

    It is of the images that the result is taken over. `attack` is empty without one.
    """

    result: str
    point: Point
    part: str
    attack: str
    classes: tuple[str, ...]
    counts: Indices

    @property
    def in_part(self) -> bool:
        """Whether there are more classes than are drawn."""
        return len(self.classes) > MOST_CLASSES

    @cached_property
    def shown(self) -> tuple[tuple[str, ...], tuple[str, ...], Indices]:
        """The classes down and across, and the counts, of so many classes as can be drawn.

        Classes without an image have no row.
        """
        sizes = self.counts.sum(axis=1)
        rows = np.flatnonzero(sizes)
        if not self.in_part:
            return self._named(rows), self.classes, self.counts[rows]
        errors = (sizes - np.diag(self.counts))[rows]
        rows = np.sort(rows[np.argsort(-errors, kind="stable")[:MOST_CLASSES]])
        others = np.setdiff1d(np.arange(len(self.classes)), rows)
        counts = np.column_stack([self.counts[np.ix_(rows, rows)], self.counts[np.ix_(rows, others)].sum(axis=1)])
        return self._named(rows), (*self._named(rows), OTHERS), counts

    def _named(self, places: Indices) -> tuple[str, ...]:
        return tuple(self.classes[place] for place in places)


def confusions(plan: Plan, store: Store) -> list[Confusion]:
    """Return the matrix of the first stored point of each accuracy; none of a worst case over several evaluations.

    Evaluations that were made by a version that kept no predictions have none.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
    """
    artifacts, found = ArtifactReader(store), {}
    for result in plan.results:
        name = result.name, result.part.name
        measure = result.measure
        if name in found or not isinstance(measure, Accuracy) or measure.radius is not None:
            continue
        if len(measure.evaluations) != 1:
            continue
        try:
            one = _confusion(result, measure, artifacts)
        except NotStored:
            continue
        if one is not None:
            found[name] = one
    return list(found.values())


def _confusion(result: Result, measure: Accuracy, artifacts: ArtifactReader) -> Confusion | None:
    predicted = artifacts.predicted(measure.evaluations[0], under_attack=bool(measure.attacks))
    if predicted is None:
        return None
    rows: ImageRows = of_part(predicted, result.part, artifacts)
    if rows.label is None or not len(rows.index):
        return None
    classes = artifacts.class_names(result.part.data)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (rows.label, rows.values), 1)
    attack = ", ".join(map(attack_text, measure.attacks))
    return Confusion(result.name, result.point, result.part.name, attack, classes, counts)
