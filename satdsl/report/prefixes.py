"""What a prefix of an evaluation's blocks says: the images measured so far, and of which images they are a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satdsl.ir.steps import Step
from satdsl.report.artifact_reader import ArtifactReader, ImageRows, Indices, NotStored, ReportError
from satdsl.report.confidence_sequence import Block, Population, mean_bounds
from satdsl.report.intervals import Interval


@dataclass(frozen=True, eq=False)
class Prefix:
    """The images of the first blocks, ascending by index, and all that they are drawn from.

    Images are measured in one order, block by block: `end` is the share of all that is measured at the end of an
    image's block. `sizes` says how many images of each class there are in all.
    """

    index: Indices
    label: Indices
    values: NDArray[np.bool_]
    end: NDArray[np.float64]
    sizes: Indices

    @property
    def n(self) -> int:
        return len(self.index)

    @property
    def of(self) -> int:
        """How many images there are in all."""
        return int(self.sizes.sum())

    @property
    def ends(self) -> NDArray[np.float64]:
        """What the blocks' ends are, in order."""
        return np.unique(self.end)

    def of_classes(self, chosen: Sequence[int]) -> Prefix:
        """Return what it says of the images of some classes."""
        wanted = np.isin(self.label, chosen)
        return self._only(wanted, np.where(np.isin(np.arange(len(self.sizes)), chosen), self.sizes, 0))

    def of_images(self, index: Indices, sizes: Indices) -> Prefix:
        """Return what it says of some images, of which there are `sizes` of each class."""
        return self._only(np.isin(self.index, index), sizes)

    def ends_of(self, index: Indices) -> NDArray[np.float64]:
        """Return the `end` of some images; of those it does not have, that of any other."""
        places = np.searchsorted(self.index, index).clip(max=self.n - 1)
        return np.take(self.end, places) if self.n else np.zeros(len(index))

    def _only(self, wanted: NDArray[np.bool_], sizes: Indices) -> Prefix:
        return Prefix(self.index[wanted], self.label[wanted], self.values[wanted], self.end[wanted], sizes)


def evaluation_prefix(evaluation: Step, artifacts: ArtifactReader) -> Prefix:
    """Return what the first blocks of an evaluation say, up to the first that is not stored; or what all of it says.

    Raises:
        NotStored: not even the first block is stored, or it has no blocks.
        ReportError: a block does not hold what it promises.
    """
    found: list[ImageRows] = []
    for key in evaluation.blocks:
        try:
            found.append(artifacts.correct(key))
        except NotStored:
            break
    if not found:
        raise NotStored("no block is measured")
    sizes = np.array(artifacts.class_sizes(evaluation.blocks[0]), np.int64)
    index = np.concatenate([rows.index for rows in found])
    label = np.concatenate([_labels(rows) for rows in found])
    values = np.concatenate([rows.values for rows in found])
    ends = np.arange(1, len(found) + 1) / len(evaluation.blocks)
    order = np.argsort(index, kind="stable")
    end = np.repeat(ends, [len(rows.index) for rows in found])
    return Prefix(index[order], label[order], values[order], end[order], sizes)


def _labels(rows: ImageRows) -> Indices:
    if rows.label is None:
        raise ReportError("a block of an evaluation does not tell the classes of its images")
    return rows.label


def worst_case(prefixes: Sequence[Prefix]) -> Prefix:
    """Return which images are right in every one of several evaluations of the same images.

    It has the images that are measured in all of them, each at the end of its last block.
    """
    first = prefixes[0]
    for other in prefixes[1:]:
        if not np.array_equal(first.sizes, other.sizes):
            raise ReportError("evaluations are over different images")
        index, own, others = np.intersect1d(first.index, other.index, return_indices=True)
        values = first.values[own] & other.values[others]
        end = np.maximum(first.end[own], other.end[others])
        first = Prefix(index, first.label[own], values, end, first.sizes)
    return first


def share_interval(prefix: Prefix) -> Interval:
    """Return where the share of all images that are right lies: with 95 %, however often one looks."""
    blocks = [Block.of(prefix.values[prefix.end == end], prefix.label[prefix.end == end]) for end in prefix.ends]
    none = np.zeros(len(prefix.sizes))
    bounds = mean_bounds(blocks, Population(prefix.sizes.astype(float), none, none + 1), 0.05)
    return Interval(max(0.0, float(bounds.low[-1])), min(1.0, float(bounds.high[-1])))
