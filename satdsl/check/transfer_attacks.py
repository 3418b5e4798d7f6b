"""Warn of networks that are attacked with images of other networks alone.

Such images mislead a network less often than images that are made on it, so the accuracy under them bounds its robust
accuracy from above. Whether a network is attacked itself can only be said of all its measures together.
"""

from __future__ import annotations

from collections.abc import Iterator

from satdsl.catalog.measures import MeasureEntry
from satdsl.check.evaluations import Evaluations, ResultInfo
from satdsl.ir.experiment import PointRef
from satdsl.syntax import tree


def transfer_attacks_alone(evaluations: Evaluations) -> None:
    """Warn once for each network that is never attacked itself, at the first network that its images are made on."""
    found: dict[str, tree.PointOf] = {}
    attacked = {name.partition(".")[0] for name in evaluations.lost}
    for name, known in evaluations.results.items():
        trained = known.measured.trained
        if any(source is None for source in _sources(known)):
            attacked.add(trained)
        measure = evaluations.lines[name].measured.measure
        nodes = [node for node in MeasureEntry.of_node(measure).sources(measure) if node is not None]
        if nodes:
            found.setdefault(trained, nodes[0])
    for trained, node in found.items():
        if trained not in attacked:
            evaluations.findings.warn(
                "E723",
                node,
                f"`{trained}` is attacked with images that are made on other networks, and never itself",
                "they mislead it less often than images made on it, so its robust accuracy is lower than this",
                "measure it without `made on`, too",
                about=trained,
            )


def _sources(known: ResultInfo) -> Iterator[PointRef | None]:
    """Give the networks that the images of each attack are made on, None for the one that is measured."""
    trained = known.measured.trained
    for at, measure in known.measured.measures.instances():
        if not measure.sources:
            yield from (None for _ in measure.attacks)
        epochs = {moment.weights for moment in measure.moments}
        for source in measure.sources:
            same = source is not None and source.name == trained and dict(source.fixed).items() <= at.items()
            yield None if source is not None and same and source.epoch in epochs else source
