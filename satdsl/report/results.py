"""Measure a plan's results from the artifacts in the store: one value, or none yet, for each."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from satdsl.engine.store import Store
from satdsl.ir.experiment import RADIUS
from satdsl.ir.plan import Accuracy, Distance, MeanScore, OwnMean, Part, Plan, Point, Result, Unit
from satdsl.ir.steps import Key
from satdsl.report import distances
from satdsl.report.artifact_reader import ArtifactReader, ImageRows, Indices, NotStored, ReportError, Values
from satdsl.report.intervals import Interval, normal, wilson
from satdsl.report.prefixes import Prefix, evaluation_prefix, share_interval, worst_case

__all__ = ["ImageSet", "Measured", "ReportError", "Sample", "Unit", "measured"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A set of images: ascending indices in the data set `universe` (one data step's `val` or `train`)."""

    universe: str
    index: Indices

    @cached_property
    def identity(self) -> str:
        """Equal for equal sets: results over them can be compared image by image."""
        return hashlib.sha256(self.universe.encode() + self.index.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Sample:
    """What a mean is taken over: one value per image, in the order of `images.index`."""

    images: ImageSet
    values: Values

    @cached_property
    def mean(self) -> float:
        return float(self.values.mean())


@dataclass(frozen=True, eq=False)
class Measured:
    """One value of `source`: None where it is not run, where its part has no image, or where it is infinite.

    `point` is the result's, with the entries `part` and `class` where it is taken over several parts or by
    class. `published` is what a publication gives for it, in the same unit. `prefix` has the images of the first blocks
    where the others are not measured yet: it is over `n` of `of` images then, and the interval is where the value of
    all of them lies.
    """

    source: Result = field(repr=False)
    point: Point
    value: float | None = None
    n: int = 0
    interval: Interval | None = None
    sample: Sample | None = field(default=None, repr=False)
    published: float | None = None
    prefix: Prefix | None = field(default=None, repr=False)

    @property
    def of(self) -> int:
        """How many images it is to be over; `n` where it is over all of them."""
        return self.n if self.prefix is None else self.prefix.of

    @property
    def result(self) -> str:
        """What the file calls it: `sat.robust`."""
        return self.source.name

    @property
    def part(self) -> str:
        return self.source.part.name

    @property
    def row(self) -> Point:
        """Its point without the axes that only name it: values at one row are the same value."""
        return self.source.row_of(self.point)

    @property
    def unit(self) -> Unit:
        return self.source.measure.unit


def measured(plan: Plan, store: Store) -> list[Measured]:
    """Return every result of the plan, in its order, with the value that the stored artifacts give it.

    A result by class gives one value per class that has images in its part. An accuracy of whose evaluation only the
    first blocks are stored is over the images of these.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
    """
    artifacts = ArtifactReader(store)
    same: dict[str, ImageSet] = {}
    found: list[Measured] = []
    for result in _with_parts(plan.results):
        try:
            values = list(_values(result, _rows(result, artifacts), artifacts))
        except NotStored:
            values = list(_of_blocks(result, plan, artifacts))
        found.extend(replace(value, sample=_shared(value.sample, same)) for value in values)
    return found


def radii(plan: Plan) -> tuple[str, ...]:
    """Return the labels of the radii at which results are read off distances, the smallest first."""
    measures = [(result.measure, dict(result.point).get(RADIUS)) for result in plan.results]
    at = {label: measure.radius for measure, label in measures if label and isinstance(measure, Accuracy)}
    return tuple(sorted(at, key=lambda label: at[label] or 0.0))


def _with_parts(results: tuple[Result, ...]) -> Iterator[Result]:
    """Give the results; those of one name over several parts get an entry in their points that tells them apart."""
    parts: dict[str, set[str]] = defaultdict(set)
    for result in results:
        parts[result.name].add(result.part.name)
    for result in results:
        if len(parts[result.name]) > 1:
            yield replace(result, point=_extended(result.point, "part", result.part.name))
        else:
            yield result


def _extended(point: Point, axis: str, label: str) -> Point:
    return point if axis in dict(point) else (*point, (axis, label))


def _rows(result: Result, artifacts: ArtifactReader) -> ImageRows:
    """Return the images of the result's part with what its measure says of each."""
    match result.measure:
        case Accuracy(evaluations, radius=None):
            each = [of_part(artifacts.correct(key), result.part, artifacts) for key in evaluations]
            return _worst_case(each, result.name)
        case Accuracy(evaluations, radius=radius):
            nearest = _nearest(evaluations, result, artifacts)
            return replace(nearest, values=nearest.values > radius)
        case Distance(evaluations):
            return _nearest(evaluations, result, artifacts)
        case MeanScore(score=score, of=step):
            return of_part(artifacts.scores(step, score), result.part, artifacts)
        case OwnMean(of=step):
            return of_part(artifacts.values(step), result.part, artifacts)


def _worst_case(evaluations: list[ImageRows], name: str) -> ImageRows:
    """Combine evaluations image by image: an image is right if it is right in every one of them."""
    return _together(evaluations, name, np.logical_and)


def _nearest(evaluations: tuple[Key, ...], result: Result, artifacts: ArtifactReader) -> ImageRows:
    """Return how far the nearest adversarial image is that any of some evaluations found, image by image."""
    each = [of_part(artifacts.distances(key), result.part, artifacts) for key in evaluations]
    return _together(each, result.name, np.minimum)


def _together(evaluations: list[ImageRows], name: str, combine: np.ufunc) -> ImageRows:
    first = evaluations[0]
    if any(not np.array_equal(first.index, other.index) for other in evaluations[1:]):
        raise ReportError(f"the evaluations behind {name} are over different images")
    return ImageRows(first.index, combine.reduce([rows.values for rows in evaluations]), first.label)


def of_part(rows: ImageRows, part: Part, artifacts: ArtifactReader) -> ImageRows:
    """Return the rows whose images belong to the part.

    Raises:
        NotStored: its split is not stored.
        ReportError: it has no images, since its split is not by whole classes.
    """
    if part.split is None or part.subset is None:
        return rows
    subsets = artifacts.subsets(part.split)
    if part.base == "train":
        return rows[np.isin(rows.index, subsets.index[subsets.subset == part.subset])]
    classes = subsets.classes[part.subset]
    if classes is None:
        raise _no_whole_classes(part)
    return rows[np.isin(_labels(rows, part, artifacts), classes)]


def _no_whole_classes(part: Part) -> ReportError:
    return ReportError(f"{part.name} does not exist: its split is not by whole classes", "measure on val")


def _values(result: Result, rows: ImageRows, artifacts: ArtifactReader) -> Iterator[Measured]:
    if not result.by_class:
        yield _mean(result, result.point, rows)
        return
    label = _labels(rows, result.part, artifacts)
    names = result.class_names or artifacts.class_names(result.part.data)
    for number, name in enumerate(names):
        of_class: NDArray[np.bool_] = label == number
        if of_class.any():
            yield _mean(result, _extended(result.point, "class", name), rows[of_class])


def _labels(rows: ImageRows, part: Part, artifacts: ArtifactReader) -> Indices:
    if rows.label is not None:
        return rows.label
    known = (artifacts.train_labels if part.base == "train" else artifacts.val_labels)(part.data)
    places = np.searchsorted(known.index, rows.index)
    if not np.array_equal(known.index.take(places, mode="clip"), rows.index):
        raise ReportError(f"some images of {part.name} have no label")
    labels: Indices = known.values[places].astype(np.int64)
    return labels


def _mean(result: Result, point: Point, rows: ImageRows) -> Measured:
    n = len(rows.index)
    if n == 0:
        return Measured(result, point)
    if isinstance(result.measure, Distance):
        return _distance(result, result.measure, point, rows)
    broken = int((~np.isfinite(rows.values)).sum())
    if broken:
        raise ReportError(
            f"{result.name} is taken over {n} images, and is NaN or infinite on {broken} of them",
            "no number or verdict can rest on that: delete the artifact that it was read from, and run again",
        )
    sample = Sample(ImageSet(f"{result.part.data}/{result.part.base}", rows.index), rows.values)
    if result.measure.unit == "share":
        interval: Interval | None = wilson(int(rows.values.sum()), n)
    else:
        spread = float(rows.values.std(ddof=1)) if n > 1 else 0.0
        interval = normal(sample.mean, spread, n)
    return Measured(result, point, sample.mean, n, interval, sample)


def _distance(result: Result, measure: Distance, point: Point, rows: ImageRows) -> Measured:
    """Return the median or mean of distances; no value where it is infinite."""
    found = (distances.median if measure.statistic == "median" else distances.mean)(rows.values)
    if found is None:
        return Measured(result, point, n=len(rows.index))
    sample = Sample(ImageSet(f"{result.part.data}/{result.part.base}", rows.index), found.influence)
    return Measured(result, point, found.value, len(rows.index), found.interval, sample)


def _missing(result: Result) -> Iterator[Measured]:
    if not (result.by_class and result.class_names):
        yield Measured(result, result.point)
    for name in result.class_names if result.by_class else ():
        yield Measured(result, _extended(result.point, "class", name))


# --- of the first blocks -------------------------------------------------------------------------


def _of_blocks(result: Result, plan: Plan, artifacts: ArtifactReader) -> Iterator[Measured]:
    """Give the values that the images of the first blocks have, where all evaluations have their first."""
    try:
        prefix = _prefix(result, plan, artifacts)
        if not result.by_class:
            yield _over_prefix(result, result.point, prefix)
            return
        names = result.class_names or artifacts.class_names(result.part.data)
    except NotStored:
        yield from _missing(result)
        return
    for number, name in enumerate(names):
        if number < len(prefix.sizes) and prefix.sizes[number]:
            yield _over_prefix(result, _extended(result.point, "class", name), prefix.of_classes([number]))


def _prefix(result: Result, plan: Plan, artifacts: ArtifactReader) -> Prefix:
    """Return the images of a result's part that are measured under all of its attacks.

    Raises:
        NotStored: there is no block of one of the evaluations, or its measure is not read from blocks.
    """
    if not isinstance(result.measure, Accuracy) or result.measure.radius is not None:
        raise NotStored("no accuracy")
    each = [evaluation_prefix(plan.steps[key], artifacts) for key in result.measure.evaluations]
    whole, part = worst_case(each), result.part
    if part.split is None or part.subset is None:
        return whole
    subsets = artifacts.subsets(part.split)
    if part.base == "train":
        labels = artifacts.train_labels(part.data)
        chosen = subsets.index[subsets.subset == part.subset]
        own = np.isin(labels.index, chosen)
        return whole.of_images(chosen, np.bincount(labels.values[own], minlength=len(whole.sizes)))
    classes = subsets.classes[part.subset]
    if classes is None:
        raise _no_whole_classes(part)
    return whole.of_classes(classes)


def _over_prefix(result: Result, point: Point, prefix: Prefix) -> Measured:
    """Return the share of the images measured that are right, and where the share of all lies."""
    if not prefix.n:
        return Measured(result, point)
    value = float(prefix.values.mean())
    return Measured(result, point, value, prefix.n, share_interval(prefix), prefix=prefix)


def _shared(sample: Sample | None, same: dict[str, ImageSet]) -> Sample | None:
    """Return the sample with its images stored once for all results over them."""
    if sample is None:
        return None
    return Sample(same.setdefault(sample.images.identity, sample.images), sample.values)
