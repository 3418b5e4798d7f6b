"""`split` statements to partitions: which data set, which rankings, which model they come from."""

from __future__ import annotations

from satdsl.check.partition import SplitReader
from satdsl.check.resolve import Resolver
from satdsl.check.values import Environment
from satdsl.ir.experiment import Dataset, PointRef, Split
from satdsl.syntax import tree


def split(resolver: Resolver, statement: tree.Split, at: Environment, labels: dict[str, str]) -> Split:
    name = resolver.lookup(statement.dataset, at, "dataset")
    data: Dataset = resolver.definition(name).at(labels)

    def score_of(node: tree.ScoreOf, at: Environment) -> tuple[str, PointRef]:
        return _score_of(resolver, node, at, labels, data)

    reader = SplitReader(statement, data, at, score_of, resolver.scope.folders[statement.name.text], resolver.findings)
    return reader.read(name, complete=statement.name.text not in resolver.scope.broken)


def _score_of(
    resolver: Resolver, node: tree.ScoreOf, at: Environment, labels: dict[str, str], data: Dataset
) -> tuple[str, PointRef]:
    score = resolver.score_name(node.score, at)
    reference, model = resolver.point(node.model, at, labels, "train")
    score = resolver.score_of(node, score, reference.name, model)
    trained_on: Dataset = resolver.definition(model.dataset).at(labels | dict(reference.fixed))
    if trained_on.source != data.source or trained_on.held_out_of("train") != data.held_out_of("train"):
        resolver.findings.reject(
            "E504",
            node,
            f"`{reference.name}` is trained on `{model.dataset}`, not on the data that are split here",
            "a score ranks the very examples it was taken on",
            "rank by a model trained on the same data set",
        )
    if any(attack is not None for attack in model.attacks):
        resolver.findings.warn(
            "E505",
            node,
            f"the reference model `{reference.name}` is itself trained on adversarial examples",
            "the paper measures difficulty with a model that was never attacked, apart from adversarial training",
            "rank by a model without an `attack` line",
        )
    return score, reference
