"""Read data sets that are joined from others: `dataset both = cifar10 + extra`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from satdsl.check.axes import Point
from satdsl.check.collector import FindingCollector
from satdsl.check.datasets import counted
from satdsl.check.resolve import Resolver
from satdsl.hints import leave_out, listed
from satdsl.ir.experiment import Dataset, DatasetFacts
from satdsl.ir.steps import JOINED, CatalogCall
from satdsl.syntax import tree

WHY = "what is joined is trained on together, and its validation images are those of the first"


def joined(resolver: Resolver, statement: tree.Joined, point: Point) -> Dataset:
    """Return the data set at a point: the training images of all parts, and everything else of the first."""
    findings = resolver.findings
    if statement.kind != "dataset":
        message = f"`{statement.name.text}` is {statement.kind} `+` {statement.kind}, and only data sets are joined"
        findings.reject("E325", statement, message, WHY, f"declare one: `{statement.kind} {statement.name.text} = ...`")
    names = [resolver.lookup(word, point.environment, "dataset") for word in statement.parts]
    for place, word in enumerate(statement.parts):
        if names[place] in names[:place]:
            help = leave_out(word.span, "leave one of them out")
            findings.reject("E201", word, f"`{names[place]}` is joined twice", "its images would count twice", help)
    parts: list[Dataset] = [resolver.definition(name).at(point.labels) for name in names]
    first = parts[0]
    for word, name, part in zip(statement.parts, names, parts, strict=True):
        _fits(word, (names[0], first), (name, part), findings)
    known = [part.facts for part in parts if part.facts is not None]
    wholes = tuple(part.whole or 0 for part in parts)
    source = CatalogCall(JOINED, (("parts", tuple(part.source for part in parts)), ("wholes", wholes)))
    facts = _together(known) if len(known) == len(parts) else None
    made = replace(
        first,
        source=source,
        root=None,
        facts=facts,
        whole=sum(wholes),
        parts=tuple(names),
        first_train=first.first_train or first.train,
    )
    return made if facts is None else counted(made)


def _fits(word: tree.Word, first: tuple[str, Dataset], other: tuple[str, Dataset], findings: FindingCollector) -> None:
    """Refuse a part that cannot be trained on with the first."""

    def refuse(message: str, help: str) -> None:
        findings.reject("E325", word, message, WHY, help)

    (name, whole), (second, data) = first, other
    if data.held_out_of("train") is not None:
        refuse(f"the hold-out of `{second}` is of its training images", "take it from `val`: `holdout_from=val`")
    if data.augment and data.augment != whole.augment:
        help = f"give `{second}` the augmentation of `{name}`, or none: then it has that of `{name}`"
        refuse(f"`{second}` is augmented in another way than `{name}`", help)
    facts, own = whole.facts, data.facts
    if facts is None or own is None:
        return
    if not own.train:
        message = f"`{second}` has no training images"
        findings.reject("E319", word, message, "only training images are joined", "leave it out")
    if facts.shape != own.shape:
        sizes = [" x ".join(map(str, of.shape)) for of in (facts, own)]
        refuse(
            f"the images of `{name}` are {sizes[0]}, those of `{second}` {sizes[1]}", "bring them to one size: `resize`"
        )
    if set(facts.classes) != set(own.classes):
        odd = [of for of in own.classes if of not in facts.classes] or [
            of for of in facts.classes if of not in own.classes
        ]
        refuse(
            f"the classes of `{name}` and `{second}` differ: {listed(odd, 4)}",
            "classes are matched by their names, so both need the same ones",
        )


def _together(known: list[DatasetFacts]) -> DatasetFacts:
    """Return the facts of the first, with the training images of all; classes are numbered as in the first."""
    first = known[0]
    counts: Any = None
    if all(facts.train_counts is not None for facts in known):
        by_name = [dict(zip(facts.classes, facts.train_counts or (), strict=True)) for facts in known]
        counts = tuple(sum(of[name] for of in by_name) for name in first.classes)
    return replace(first, train=sum(facts.train for facts in known), train_counts=counts)
