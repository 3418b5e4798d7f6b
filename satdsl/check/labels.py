"""Compare the class names of two data sets whose classes would be matched by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from satdsl.catalog import catalog
from satdsl.catalog.datasets import DatasetEntry, class_list
from satdsl.check.class_choice import written
from satdsl.check.collector import FindingCollector
from satdsl.check.resolve import Resolver
from satdsl.hints import Hint, listed
from satdsl.ir.class_names import ClassComparison, nearest, numbers_only
from satdsl.ir.experiment import Dataset
from satdsl.ir.steps import Pretrained
from satdsl.syntax import tree

MOST_WRITTEN = 20
"""The most classes whose order a finding writes out."""


def classes_fit(resolver: Resolver, node: tree.Node, trained: tuple[str, Dataset], shown: tuple[str, Dataset]) -> None:
    """Check that the classes of two data sets, each given with its name, are the same, number by number.

    A class that both have, under different numbers, is an error. Where names differ without such a contradiction, they
    may mean the same, and this is a warning.
    """
    (first, trained_on), (second, data) = trained, shown
    if trained_on.facts is None or data.facts is None or trained_on.facts.classes == data.facts.classes:
        return
    if len(trained_on.facts.classes) != len(data.facts.classes):
        return
    found = nearest(_namings(trained_on), _namings(data))
    if found.moved:
        what = "the same classes" if found.reordered else "classes of the same names"
        resolver.findings.reject(
            "E526",
            node,
            f"`{second}` and `{first}` have {what}, but not in the same order",
            f"{found.pairs(f'`{first}`', f'`{second}`')}; the network knows its classes by their numbers in `{first}`",
            _in_order(resolver, node, trained, shown, found.reordered),
        )
    elif found.renamed:
        _renamed(node, found, first, second, resolver.findings)


def _in_order(
    resolver: Resolver, near: tree.Node, trained: tuple[str, Dataset], shown: tuple[str, Dataset], reordered: bool
) -> Hint:
    """Return how the classes of two data sets are brought into one order."""
    (first, trained_on), (second, data) = trained, shown
    if not _takes_order(data) or first == second:
        if _takes_order(trained_on) and reordered:
            return Hint(f"train on `{first}` with `class_order=classes of {second}`, or `transfer` to `{second}`")
        return Hint(f"measure on classes in the order of `{first}`, or `transfer` to `{second}`")
    if not reordered:
        return Hint(
            f"list the classes in the right order in `dataset {second}` (`class_order=[...]`), or `transfer` to it"
        )
    order = f"class_order=classes of {first}"
    return resolver.in_dataset(second, order, f"write `{order}` in `dataset {second}`", near)


def _takes_order(data: Dataset) -> bool:
    entry = _entry(data)
    return entry is not None and "class_order" in entry.args


def _entry(data: Dataset) -> DatasetEntry | None:
    """Return the catalog's entry of a data set; None of one that is joined."""
    found = catalog().find("dataset", data.source.name)
    return found if isinstance(found, DatasetEntry) else None


def stored_classes_fit(
    resolver: Resolver, node: tree.Node, weights: Pretrained | None, data: tuple[str, Dataset]
) -> None:
    """Check that the classes of a data set are those that a file of weights names, number by number.

    A file may name none, or say nothing by numbers alone; it may also have several lists, of which one has to fit.
    """
    name, shown = data
    if weights is None or shown.facts is None:
        return
    from satdsl.stored_classes import stored_classes

    count = len(shown.facts.classes)
    stored = [names for names in stored_classes(weights.path, weights.digest) if len(names) == count]
    if not stored or all(map(numbers_only, stored)):
        return
    found = nearest(stored, _namings(shown))
    file = f"`{Path(weights.path).name}`"
    reason = found.pairs(file, f"`{name}`")
    if found.moved:
        message = f"the weights in {file} have classes of `{name}` under other numbers"
        resolver.findings.reject("E528", node, message, reason, _in_order_of_file(resolver, node, found, data))
    if found.renamed:
        message = f"the weights in {file} are for classes of other names than those of `{name}`"
        help = "if they are other classes, `transfer` from these weights; if they are the same, leave it as it is"
        resolver.findings.warn("E528", node, message, reason, help)


def _in_order_of_file(
    resolver: Resolver, near: tree.Node, found: ClassComparison, data: tuple[str, Dataset]
) -> Hint | str:
    """Return how the classes of a data set are brought into the order that a file of weights has."""
    name, shown = data
    if not _takes_order(shown):
        return f"measure these weights on classes in the order of the file: {listed(found.first, 4)}"
    if found.reordered and len(found.first) <= MOST_WRITTEN:
        order = f"class_order=[{', '.join(map(written, found.first))}]"
        return resolver.in_dataset(name, order, f"write `{order}` in `dataset {name}`", near)
    return f"list the classes in the order of the file in `dataset {name}`: `class_order=[...]`"


def difference(trained: Sequence[str], shown: Sequence[str]) -> str:
    """Return the end of a sentence that says which classes only one of two data sets has; nothing where all differ."""
    missing = [name for name in trained if name not in shown]
    new = [name for name in shown if name not in trained]
    if len(missing) == len(trained):
        return ""
    said = [f"{_few(missing)} {'is' if len(missing) == 1 else 'are'} missing"] if missing else []
    said += [f"{_few(new)} {'is' if len(new) == 1 else 'are'} not known to the network"] if new else []
    return f"; {', and '.join(said)}"


def _few(names: Sequence[str]) -> str:
    return listed([f"`{name}`" for name in names], 3)


def _namings(data: Dataset) -> list[tuple[str, ...]]:
    """Return the lists of names that the classes of a data set have: a second one where the catalog knows their ids."""
    assert data.facts is not None
    entry = _entry(data)
    ids = (entry.facts or {}).get("wnids") if entry is not None else None
    return [data.facts.classes, *([class_list(ids)] if ids else [])]


def _renamed(node: tree.Node, found: ClassComparison, first: str, second: str, findings: FindingCollector) -> None:
    reason = found.pairs(f"`{first}`", f"`{second}`")
    for name, names in ((first, found.first), (second, found.second)):
        if numbers_only(names):
            reason += f"; the classes of `{name}` are only numbered, so nothing says whether they are the same"
    findings.warn(
        "E527",
        node,
        f"the classes of `{second}` have other names than those of `{first}`",
        reason,
        "if they are other classes, `transfer` to this data set; if they are the same, give them the same names",
    )
