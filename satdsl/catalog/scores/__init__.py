"""Describe the difficulty scores: numbers for training images, in all of which larger is harder.

In the formulas x is a training image without augmentation, y its label, z the network's logits in evaluation mode, p =
softmax(z), ln the natural logarithm, t = 1 .. T the kept snapshots. Each score of the catalog comes with
`snapshot-NAME`, its mean over the snapshots; of a score that is itself taken over them, that is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar

from satdsl.catalog.registry import Entry
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall
from satdsl.records import record

SNAPSHOT = "snapshot-"


@record
class ScoreEntry(Entry):
    """A difficulty score of the catalog."""

    family: ClassVar[str] = "score"

    gradient: bool = False
    """Whether it takes a backward pass on top of the forward pass."""
    beside: Passes = Passes()
    """What it costs for all images together beside the passes of each, where it takes a gradient: trials on a few."""
    each: Passes = Passes(0, 1)
    """What it costs for each image, where it takes a gradient."""
    requested: bool = False
    """Whether a training records it only where it is asked for, although it costs no more than the forward pass."""
    over_snapshots: bool = False
    """Whether it is taken while a network trains, and not of finished weights."""
    one_is_too_few: str = ""
    """Why one snapshot is too few; empty where it is not."""
    of_weights: str = ""
    """The score of finished weights that it is a mean of; empty where it is none."""
    passes: Callable[[CatalogCall], Passes] = lambda call: Passes(1)
    """What scoring an image costs, of a score of the user's own."""
    same_as: str = ""
    """The score that it is another name for; empty where it is none."""

    @property
    def on_request(self) -> bool:
        """Whether a training records it only where it is asked for."""
        return self.gradient or self.requested

    @property
    def recorded_as(self) -> str:
        """The name that a training records it under."""
        return self.same_as or self.name

    def variants(self) -> Iterator[Entry]:
        """Give the score and its mean over snapshots, which of a score over snapshots is the score itself."""
        yield self
        if self.plugin is not None:
            return
        name = f"{SNAPSHOT}{self.name}"
        if self.over_snapshots:
            doc = f"The same as {self.name}, which is taken over the kept snapshots by definition."
            yield replace(self, name=name, doc=doc, same_as=self.name)
        else:
            doc, formula = f"Mean of {self.name} over the kept snapshots of the model.", self.formula
            formula = f"1/T sum_t ({formula}) at snapshot t"
            yield replace(self, name=name, doc=doc, formula=formula, over_snapshots=True, of_weights=self.name)


def over_snapshots(score: str) -> bool:
    """Return whether a score is taken while a network trains, and not of finished weights."""
    return ScoreEntry.of(score).over_snapshots


def recorded(score: str) -> str:
    """Return the name that a score is recorded under: one over snapshots has no other with `snapshot-`."""
    return ScoreEntry.of(score).recorded_as
