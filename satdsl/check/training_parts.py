"""Check trainings on a part of their data set: `train p = net on kept.A using r` sees the images of `A` alone."""

from __future__ import annotations

from collections.abc import Iterable

from satdsl.check.axes import Point
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.resolve import Resolver
from satdsl.check.values import Word, evaluate
from satdsl.hints import listed, suggest
from satdsl.ir.experiment import SplitDefinition, TrainingDefinition
from satdsl.syntax import tree


def part(resolver: Resolver, statement: tree.Train, point: Point, on: str, split: SplitDefinition | None) -> str | None:
    """Return the subset whose images alone a training is on, None where it is on all of `on`."""
    if statement.part is None:
        return None
    findings = resolver.findings
    value = evaluate(statement.part, point.environment, findings)
    name = value.text if isinstance(value, Word) else statement.part.span.text
    if split is None:
        help = f"split it first (`split s of {on} {{ {name} = ...; B = rest }}`), and train on `s.{name}`"
        findings.reject("E206", statement.part, f"`{on}` is not split, so it has no subset `{name}`", help=help)
    if name not in split.names:
        if on in resolver.scope.broken:
            raise Rejected  # a line of the split that cannot be read may declare it
        meant = suggest(name, split.names, statement.part.span, "its subsets are")
        findings.reject("E206", statement.part, f"split `{on}` has no subset `{name}`", help=meant)
    _can_be_learned(statement.part, name, split, findings)
    return name


def _can_be_learned(node: tree.Word, name: str, split: SplitDefinition, findings: FindingCollector) -> None:
    """Refuse a subset of one class, and one whose images count for nothing."""
    place = split.names.index(name)
    if split.class_counts[place] == 1:
        findings.reject(
            "E408",
            node,
            f"all images of `{name}` are of one class, so there is nothing to tell apart",
            "a network that has seen one class learns to name it without looking",
            "train on a subset of several classes, or on all",
        )
    if split.weights[place] == 0:
        findings.reject(
            "E405",
            node,
            f"`{name}` has the loss weight 0, and this training sees nothing else",
            "there is nothing to learn from",
            f"leave `weight {name} = 0` out, or train on another subset",
        )


def not_trained_on(
    line: tree.AttackLine | tree.LossLine, subset: str, statement: tree.Train, findings: FindingCollector
) -> None:
    """Refuse a line about a subset whose images the training does not see."""
    assert statement.part is not None
    trained, whole = statement.part.span.text, statement.data.span.text
    findings.reject(
        "E536",
        line.subset,
        f"`{statement.name.text}` is trained on `{trained}` alone, and does not see the images of `{subset}`",
        f"`on {whole}.{trained}` leaves all others out: they are not read, not in batch norm, and not paid for",
        f"leave this line out, or train on all subsets: `on {whole}`",
    )


def scores_exist(
    findings: FindingCollector,
    node: tree.Node,
    score: str,
    name: str,
    model: TrainingDefinition,
    subsets: Iterable[str] | None = None,
) -> None:
    """Refuse a score over the snapshots of a training on a part, for images that it has not seen.

    `subsets` are those whose scores are asked for; None stands for the whole training set. A training whose part is
    picked anew scores all images.
    """
    if model.part is None or model.repicked or (subsets is not None and set(subsets) <= {model.part}):
        return
    findings.reject(
        "E537",
        node,
        f"`{score}` of `{name}` is recorded for the images of `{model.part}` alone, which it is trained on",
        "snapshots score the images of their training",
        f"take a score of the finished weights, which any image has ({listed(('`entropy`', '`loss`', '`margin`'))}), "
        "or of a training on all images",
    )
