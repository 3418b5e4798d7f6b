"""Find the network under the heads that transfers gave it, and the data that its images are normalised by."""

from __future__ import annotations

from collections.abc import Mapping

from satdsl.check.resolve import Resolver
from satdsl.ir.experiment import Dataset, PointRef, TrainingDefinition, TransferDefinition
from satdsl.ir.steps import CatalogCall
from satdsl.records import Record, record


@record
class NetworkBody(Record):
    """The training that a network's body began with, on `data`; and the head that it ends in.

    `head` is None for the layer that the architecture ends in.
    """

    training: TrainingDefinition
    data: Dataset
    head: CatalogCall | None

    @property
    def mean(self) -> tuple[float, ...] | None:
        return self.training.mean or (self.data.facts.mean if self.data.facts is not None else None)

    @property
    def std(self) -> tuple[float, ...] | None:
        return self.training.std or (self.data.facts.std if self.data.facts is not None else None)


def body_of(resolver: Resolver, trained: TrainingDefinition | TransferDefinition, at: Mapping[str, str]) -> NetworkBody:
    """Return the body of a trained network, whose definition stands at a point."""
    head = trained.head
    while (source := _under(trained)) is not None:
        at = {**at, **dict(source.fixed)}
        trained = resolver.definition(source.name).at(at)
    assert isinstance(trained, TrainingDefinition)
    return NetworkBody(trained, resolver.definition(trained.dataset).at(at), head)


def _under(trained: TrainingDefinition | TransferDefinition) -> PointRef | None:
    """Return the network whose last layer a transfer replaced."""
    if isinstance(trained, TransferDefinition):
        return trained.source
    return trained.start if trained.head is not None else None
