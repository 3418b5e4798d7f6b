"""Read a `split` statement: its data set, and the models whose scores it ranks by."""

from __future__ import annotations

from dataclasses import replace

from satdsl.check.axes import Point
from satdsl.check.joined_images import Origin
from satdsl.check.partition import SplitReader
from satdsl.check.repicked_subsets import score_fits
from satdsl.check.resolve import Resolver
from satdsl.check.science import SharedSite
from satdsl.check.scores import attack_of_score, own_score, recorded_score, score_name
from satdsl.ir.experiment import EPOCH, Dataset, PointRef, RankingSource, SplitDefinition
from satdsl.ir.steps import CatalogCall
from satdsl.syntax import tree


def split(resolver: Resolver, statement: tree.Split, point: Point) -> SplitDefinition:
    """Return a split at a point of the sweep."""
    dataset, name = resolver.lookup(statement.dataset, point.environment, "dataset"), statement.name.text
    data: Dataset = resolver.definition(dataset).at(point.labels)

    def score_of(node: tree.ScoreOf, role: str) -> RankingSource:
        score, model, attack = _score_of(resolver, node, point, data)
        return RankingSource(role, score, model, attack, own_score(resolver, score))

    def score_of_itself(node: tree.ScoreOfItself) -> str:
        score = score_name(resolver, node.score, point.environment)
        score_fits(node, score, resolver.findings)
        return score

    folder = resolver.scope.folders[name]
    reader = SplitReader(
        statement,
        data,
        point.environment,
        score_of,
        score_of_itself,
        folder,
        resolver.findings,
        _origins(resolver, data, point),
        lambda word: resolver.lookup(word, point.environment, "dataset"),
    )
    return reader.read(dataset, complete=name not in resolver.scope.broken)


def _score_of(
    resolver: Resolver, node: tree.ScoreOf, point: Point, data: Dataset
) -> tuple[str, PointRef, CatalogCall | None]:
    """Return a score's name, its attack, and its model, which has to be trained on the data that are split."""
    score = score_name(resolver, node.score, point.environment)
    reference, model = resolver.model_at(node.model, point, "train")
    name = reference.name
    attack, of_epoch = attack_of_score(resolver, node.attack, data, point), _names_epoch(node.model, reference)
    score = recorded_score(resolver, node, score, name, model, of_epoch=of_epoch, attacked=node.attack is not None)
    trained_on: Dataset = resolver.definition(model.dataset).at(point.labels | dict(reference.fixed))
    if trained_on.source != data.source or trained_on.held_out_of("train") != data.held_out_of("train"):
        message = f"`{name}` is trained on `{model.dataset}`, not on the data that are split here"
        reason, help = "a score ranks the very examples it was taken on", "rank by a model trained on the same data set"
        resolver.findings.reject("E504", node, message, reason, help)
    if model.every_attack:
        SharedSite(node, resolver.findings).warn(
            "E505",
            f"the reference model `{name}` is itself trained on adversarial examples",
            "the paper measures difficulty with a model that was trained without attack",
            "rank by a model without an `attack` line",
        )
    return score, reference, attack


def _names_epoch(node: tree.PointOf, reference: PointRef) -> bool:
    """Return whether a model is named after one of its epochs, be it the last one."""
    axes = [selector.axis.text for selector in node.selectors]
    return EPOCH in axes and EPOCH not in dict(reference.fixed)


def _origins(
    resolver: Resolver, data: Dataset, point: Point, start: int = 0, first: int | None = 0
) -> dict[str, Origin]:
    """Return the data sets that one is joined from, and those that they are joined from, by name."""
    found: dict[str, Origin] = {}
    for name in data.parts:
        part: Dataset = resolver.definition(name).at(point.labels)
        end = start + (part.whole or 0)
        last = None if first is None or part.train is None else first + part.train
        for known, one in (
            (name, Origin(start, end, first, last)),
            *_origins(resolver, part, point, start, first).items(),
        ):
            found[known] = replace(one, several=known in found)
        start, first = end, last
    return found
