"""Warn of what a file declares and nothing uses. A file that others use may offer more than one of them needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from satdsl.check.collector import FindingCollector
from satdsl.check.evaluations import Evaluations
from satdsl.check.resolve import Resolver
from satdsl.check.values import parameters, walk
from satdsl.findings import Source
from satdsl.syntax import tree


def unused_axes(
    main: Source, statements: Iterable[tree.Statement], declared: Mapping[str, tree.Param | tree.Axis], known: Resolver
) -> None:
    nodes: list[object] = [s for s in statements if not isinstance(s, (tree.Sweep, tree.Labelled))]
    nodes += [what for what in declared.values() if isinstance(what, tree.Param)]
    used = {p.text for p in parameters(nodes)}
    used |= {p.text for line in known.axes.lines for p in parameters([line.value])}
    for name, what in declared.items():
        if isinstance(what, tree.Axis) and not used & {n.text for n in what.names}:
            at = next(n for n in what.names if n.text == name)
            if at.span.source is main:
                known.findings.warn(
                    "E707",
                    at,
                    f"nothing uses the axis `${name}`",
                    "an axis that no definition uses changes nothing",
                    "use it, or remove it",
                )


def dropped_labels(statements: Iterable[tree.Statement], findings: FindingCollector) -> None:
    """Warn of labels in lists that are no values of an axis."""
    for statement in statements:
        if isinstance(statement, (tree.Sweep, tree.Param)):
            continue
        for item in (item for node in walk(statement) if isinstance(node, tree.Listing) for item in node.items):
            if item.label is not None:
                message = f"the label `{item.label.span.text}` is dropped"
                findings.warn("E718", item, message, "only the values of an axis have labels", "leave it out")


def unused_results(main: Source, evaluations: Evaluations, used: set[str]) -> None:
    for name, place in evaluations.places.items():
        if name not in used and place.span.source is main:
            evaluations.findings.warn(
                "E708",
                place,
                f"`{name}` is measured, but no plot, table or claim shows it",
                "measuring costs passes; the value appears in `satdsl results` only",
                "show it, or remove it",
            )


def unused_trainings(main: Source, statements: Sequence[tree.Statement], known: Resolver) -> None:
    mentioned: set[str] = set()
    for statement in statements:
        if isinstance(statement, tree.Labelled):
            continue
        if isinstance(statement, tree.Evaluate):
            mentioned |= {name.text for name in statement.trained}
        text = re.sub(r'"[^"\n]*"|#[^\n]*', "", statement.span.text)
        own = statement.name.text if isinstance(statement, (tree.Train, tree.Transfer)) else ""
        mentioned |= set(re.findall(r"\w+", text)) - {own}
    for name in known.scope.names("train", "transfer"):
        at = known.scope.statements[name].name
        if name not in mentioned and at.span.source is main:
            known.findings.warn(
                "E709",
                at,
                f"nothing uses or measures `{name}`",
                "it will not be trained",
                f"add `evaluate {name} {{ ... }}`",
            )
