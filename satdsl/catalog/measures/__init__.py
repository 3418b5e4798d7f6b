"""Describe the measures: what can be asked of a trained model.

A measure has a form of its own in the grammar, whose node of the syntax tree leads here. So whatever handles measures
asks its entry, and a measure without one is an error wherever it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from satdsl.catalog.registry import Entry, catalog, unchanged
from satdsl.ir.experiment import Measure, PointRef
from satdsl.ir.plan import Accuracy, OwnMean, Passes, ResultMeasure
from satdsl.ir.steps import CatalogCall, Key
from satdsl.records import record
from satdsl.syntax import tree


class Planner(Protocol):
    """What adds the steps that a measure is read from, at one point and on one part of the images."""

    def evaluation(self, attack: CatalogCall | None, source: PointRef | None = None) -> Key:
        """Return the step that measures under an attack; None measures without.

        `source` is the network that the attack's images are made on, None for the one that is measured.
        """

    def called(self, source: PointRef) -> str:
        """Return what the file calls a network that images are made on, with its point."""

    def own(self, measure: CatalogCall) -> Key:
        """Return the step that measures by a function of the user's own."""

    def score(self, name: str, attack: CatalogCall | None = None, own: CatalogCall | None = None) -> Key:
        """Return the step whose artifact has a score, of the images as they are or as an attack makes them.

        `own` is the call of a score of the user's own.
        """


@record
class MeasureEntry(Entry):
    """A measure of the catalog."""

    family: ClassVar[str] = "measure"

    node: type[tree.Measure] = tree.Measure
    """What the parser makes of it."""
    planned: Callable[[Measure, Planner], ResultMeasure] = lambda measure, planner: Accuracy(())
    """Adds the steps that it is read from, and returns how it is read."""
    share: bool = True
    """Whether it is a share of images, and not a plain number."""
    selects: bool = False
    """Whether checkpoints can be selected by it."""
    attacks: Callable[[Any], tuple[tree.Word, ...]] = lambda node: ()
    """Returns the names of attacks in its node."""
    sources: Callable[[Any], tuple[tree.PointOf | None, ...]] = lambda node: ()
    """Returns the network that the images of each attack are made on; None where it is the one that is measured."""
    score: Callable[[Any], tree.Word | None] = lambda node: None
    """Returns the name of a score in its node."""
    nearest: bool = False
    """Whether its attacks are those that look for the nearest adversarial image."""
    radii: Callable[[Any], tree.Value | None] = lambda node: None
    """Returns the radii in its node, at each of which it has a value."""
    passes: Callable[[CatalogCall], Passes] = lambda call: Passes()
    """What measuring an image costs, of a measure of the user's own."""
    shortened: Callable[[CatalogCall], CatalogCall] = unchanged
    """The call with which a smoke run tries a measure of the user's own."""
    short: str = ""
    """What is short of it then, in words."""

    @classmethod
    def of_node(cls, node: tree.Measure) -> MeasureEntry:
        """Return the entry of a measure as it is written; raise KeyError where the catalog lacks it."""
        if isinstance(node, OWN.node):
            return OWN
        for entry in catalog().entries("measure"):
            if isinstance(entry, cls) and entry.node is type(node):
                return entry
        raise KeyError(type(node).__name__)


OWN = MeasureEntry("own measure", "A function of the user's own.", node=tree.OwnMeasure)
"""Stands for a measure of the user's own where its function does not matter."""


def own(measure: Measure, planner: Planner) -> OwnMean:
    """Read the mean of what a function of the user's own returns for each image."""
    assert measure.own is not None
    name, share = measure.own.name, MeasureEntry.of(measure.own).share
    return OwnMean(name, planner.own(measure.own), share)


def accuracy(measure: Measure, planner: Planner) -> Accuracy:
    """Read the share of images that are right under each of the measure's attacks, or without attack.

    Of a measure at a radius there is a single one: an image is right where what is found nearest lies beyond it.
    """
    if not measure.attacks:
        return Accuracy((planner.evaluation(None),))
    sources = measure.sources or (None,) * len(measure.attacks)
    steps = tuple(planner.evaluation(attack, of) for attack, of in zip(measure.attacks, sources, strict=True))
    made_on = tuple("" if of is None else planner.called(of) for of in measure.sources)
    return Accuracy(steps, measure.attacks, made_on, measure.radii[0].eps if measure.radii else None)
