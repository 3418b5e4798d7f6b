"""Warn of networks that are never measured under the threat model that they are trained for.

A threat model is a norm and a radius. Whether a network is measured under its own can only be said of all its measures
together: one under another norm, or at each radius of a curve, stands beside it on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.check.collector import Rejected
from satdsl.check.evaluations import Evaluations, ResultInfo
from satdsl.check.resolve import Resolver
from satdsl.hints import listed
from satdsl.ir.experiment import Measure, SweepTable, TrainingDefinition
from satdsl.ir.steps import CatalogCall
from satdsl.records import Record, record
from satdsl.syntax import tree

SAME_RADIUS = 0.02
"""Radii that differ by less are one: published recipes train with 0.031 what is measured with 8/255 (Zhang et al.,
2019)."""


@record
class ThreatModel(Record):
    """The norm and the radius of the perturbations that a network is trained for or measured under."""

    norm: str
    eps: float

    def __str__(self) -> str:
        return f"{self.norm}, eps={self.eps:.4g}"

    def same(self, other: ThreatModel) -> bool:
        largest = max(self.eps, other.eps)
        return self.norm == other.norm and abs(self.eps - other.eps) <= SAME_RADIUS * largest


Seen = dict[int, tuple[TrainingDefinition, dict[ThreatModel, None]]]
"""Each instance of a training, by its identity, and what it is measured under."""


def unmeasured_threats(evaluations: Evaluations) -> None:
    """Warn once for each network of which no measure is taken under a threat model of its training.

    A network that is attacked in training under several threat models has to be measured under one of them. Of a
    training in a sweep each instance has to be measured under a norm of its own, and one of them under its own radius:
    networks that are trained with other radii are compared under one.
    """
    broken = evaluations.resolver.scope.broken
    lost = {name.partition(".")[0] for name in evaluations.lost} | broken
    results: dict[str, list[str]] = {}
    for name, known in evaluations.results.items():
        results.setdefault(known.measured.trained, []).append(name)
    for trained, names in results.items():
        if trained in lost:
            continue
        try:
            table = evaluations.resolver.definition(trained)
        except Rejected:
            continue
        if trained in evaluations.resolver.scope.names("train"):
            _check(trained, table, names, evaluations)


def _check(trained: str, table: SweepTable[TrainingDefinition], names: Iterable[str], evaluations: Evaluations) -> None:
    seen = _measured(table, (evaluations.results[name] for name in names))
    if not seen:
        return
    wrong = _other_norm(seen) or _other_radius(seen)
    if wrong is None:
        return
    threats, under = wrong
    place = _place([evaluations.lines[name] for name in names], under, evaluations.resolver)
    norms = {threat.norm for threat in threats} & {threat.norm for threat in under}
    better = (
        "measure under the attack of the training, too" if not norms else "measure at the radius of the training, too"
    )
    evaluations.findings.warn(
        "E609",
        place,
        f"`{trained}` is trained under {_listed(threats)}, but only ever measured under {_listed(under)}",
        "robust accuracy is usually reported under the threat model of the training",
        f"{better}, or make them equal",
    )


def _measured(table: SweepTable[TrainingDefinition], results: Iterable[ResultInfo]) -> Seen:
    """Return each attacked training that is measured under some norm, with all that it is measured under."""
    seen: Seen = {}
    for known in results:
        measures = known.measured.measures
        for labels, measure in measures.instances():
            training = table.at(labels)
            under = list(_measured_under(measure, training))
            if under and _threats(training):
                seen.setdefault(id(training), (training, {}))[1].update(dict.fromkeys(under))
    return seen


def _measured_under(measure: Measure, training: TrainingDefinition) -> Iterator[ThreatModel]:
    """Yield what a network is measured under: of distances the radii of their norm, those of the training where none
    is named, since a distance answers for every radius.
    """
    for attack in measure.attacks:
        nearest = AttackEntry.of(attack).nearest
        if nearest is None:
            threat = _threat(attack)
            if threat is not None:
                yield threat
            continue
        norm = nearest(attack)
        own = [threat.eps for threat in _threats(training) if threat.norm == norm]
        yield from (ThreatModel(norm, eps) for eps in ([one.eps for one in measure.radii] or own))


def _threats(training: TrainingDefinition) -> list[ThreatModel]:
    """Return the threat models that a network is trained for, in the order of its subsets."""
    return list(dict.fromkeys(threat for attack in training.attacks if (threat := _threat(attack))))


def _threat(attack: CatalogCall | None) -> ThreatModel | None:
    if attack is None or attack.get("norm") is None or attack.get("eps") is None:
        return None
    return ThreatModel(attack["norm"], float(attack["eps"]))


Mismatch = tuple[list[ThreatModel], list[ThreatModel]]
"""The threat models of the training, and those of the measures."""


def _other_norm(seen: Seen) -> Mismatch | None:
    """Return the first instance that is measured under other norms alone."""
    for training, under in seen.values():
        threats = _threats(training)
        if not {threat.norm for threat in threats} & {threat.norm for threat in under}:
            return threats, list(under)
    return None


def _other_radius(seen: Seen) -> Mismatch | None:
    """Return what is trained and measured where no radius of the training is measured.

    Radii on both sides of one of the training are a curve over it; a radius between two of the training, of subsets or
    of a sweep, is one that they are compared under.
    """
    trained = list(dict.fromkeys(threat for training, _ in seen.values() for threat in _threats(training)))
    measured = list(dict.fromkeys(threat for _, under in seen.values() for threat in under))
    same = any(one.same(other) for one in trained for other in measured)
    if same or _between(trained, measured) or _between(measured, trained):
        return None
    return trained, measured


def _between(some: list[ThreatModel], others: list[ThreatModel]) -> bool:
    """Return whether one of some radii lies between two others under its norm."""
    for one in some:
        radii = [other.eps for other in others if other.norm == one.norm]
        if radii and min(radii) < one.eps < max(radii):
            return True
    return False


def _listed(threats: list[ThreatModel]) -> str:
    """Return threat models in words: each norm with its radii, the first and the last where there are many."""
    radii: dict[str, list[float]] = {}
    for threat in threats:
        radii.setdefault(threat.norm, []).append(threat.eps)
    words = []
    for norm, values in radii.items():
        shown = [f"{eps:.4g}" for eps in sorted(values)]
        several = f"{shown[0]} to {shown[-1]}" if len(shown) > 3 else listed(shown)
        words.append(f"{norm}, eps={several}")
    return " and ".join(words)


def _place(lines: list[tree.MeasureLine], under: list[ThreatModel], resolver: Resolver) -> tree.Node:
    """Return the first attack, in the lines of a network, that has one of some threat models."""
    for line in sorted(lines, key=lambda line: (line.span.source.path, line.span.start)):
        measure = line.measured.measure
        for word in MeasureEntry.of_node(measure).attacks(measure):
            if any(_threat(call) in under for call in _calls(word, resolver)):
                return word
    return lines[0].name


def _calls(word: tree.Word, resolver: Resolver) -> Iterator[CatalogCall]:
    """Return every attack that a word stands for over the sweep."""
    for name in resolver.candidates(word, "attack"):
        definition: Mapping[tuple[str, ...], CatalogCall] = resolver.definition(name).table
        yield from definition.values()
