"""Look up references to results, `sat.robust[order=hardest]`: find the points of the sweep that they pick."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from satdsl.check.axes import Axes
from satdsl.check.class_choice import class_place
from satdsl.check.collector import Rejected
from satdsl.check.evaluations import Evaluations, ResultInfo
from satdsl.check.fixes import remove_repeated
from satdsl.check.rows import naming, why_not
from satdsl.check.values import HYPHENATED, Environment, Num, evaluate, parameters, walk
from satdsl.hints import Hint, did_you_mean
from satdsl.ir import plan
from satdsl.ir.experiment import EPOCH, RESULT_AXES, Measurement, SweepTable
from satdsl.records import Record, record
from satdsl.syntax import tree

S = TypeVar("S", bound=tree.Node)
T = TypeVar("T")

NOWHERE: Mapping[str, str] = {}


@record
class ResolvedReference(Record):
    """A reference looked up: what it selects of the result `known`, the points that match, and which of the axes
    that `for all` goes over have settled it."""

    selected: plan.Selected
    result: ResultInfo
    points: tuple[dict[str, str], ...]
    bound_axes: tuple[str, ...] = ()

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The values of its own axes at each point: the same for points that only have other names."""
        names = self.result.measured.rows
        return [tuple(label for axis, label in point.items() if axis not in names) for point in self.points]

    @property
    def free_axes(self) -> list[str]:
        """The axes along which it still varies."""
        return varying(self.points)


class References:
    """Looks results up; `used` has the names of those that are asked for."""

    def __init__(self, evaluations: Evaluations) -> None:
        self.resolver = evaluations.resolver
        self.findings = evaluations.findings
        self._evaluations = evaluations
        self.used: set[str] = set()
        self.rows: dict[str, set[str]] = {}
        """For each result the axes that it does not depend on but that name its rows somewhere in the file."""
        self._placed: frozenset[str] = frozenset()
        self._left_out: dict[str, list[tree.Node]] = {}

    def cached(self, statement: S, make: Callable[[S], T | None]) -> T | None:
        """Return what `make` makes of a statement, or made of it before if nothing that it depends on has changed."""
        fingerprints = self.resolver.fingerprints
        shown = _references(statement)
        self._placed = _placed_axes(statement)
        for node in shown:
            self.known(node)
        if fingerprints is None:
            return make(statement)
        about = sorted({node.owner.text for node in shown})
        made = fingerprints.statement(statement, lambda: make(statement), self.findings, *about)
        if made is not None:
            self.used.update(map(_name, shown))
        return made

    def known(self, node: tree.Reference) -> ResultInfo | None:
        """Return the result that a reference names, with the axes that name its rows here; None where there is none."""
        name = _name(node)
        if name not in self._evaluations.results:
            return None
        asked = self._placed | {selector.axis.text for selector in node.selectors}
        known = self._evaluations.results[name]
        names = naming(self.resolver.axes, known.axes, asked)
        self.rows.setdefault(name, set()).update(names)
        return _with_rows(known, names, self.resolver.axes)

    def measured(self, name: str) -> Measurement:
        """Return what is measured, with all the axes that name its rows."""
        known, axes = self._evaluations.results[name], self.resolver.axes
        return _with_rows(known, naming(axes, known.axes, self.rows.get(name, ())), axes).measured

    def ask(self, node: tree.Reference, at: Environment, here: Mapping[str, str] = NOWHERE) -> ResolvedReference:
        """Select results that are shown, and note that they are asked for."""
        self.used.add(_name(node))
        return self.select(node, at, here)

    def select(self, node: tree.Reference, at: Environment, here: Mapping[str, str] = NOWHERE) -> ResolvedReference:
        """Return what `sat.robust[order=hardest]` selects. Axes that it leaves open take their value from `here`."""
        name = _name(node)
        known = self.known(node)
        if known is None:
            self._unknown_result(node, name)
            raise Rejected
        chosen: dict[str, str] = {}
        for selector in node.selectors:
            if selector.axis.text in chosen:
                message = f"`{selector.axis.text}` is picked twice"
                help = remove_repeated(selector, node.selectors, "keep one of them")
                self.findings.reject("E201", selector, message, "a result has one value there", help)
            chosen[selector.axis.text] = self._label(selector, name, known, at)
        matching = [point for point in known.points if chosen.items() <= point.items()]
        settled = []
        for axis, label in here.items():
            if axis in known.axes and axis not in chosen and _goes_along(axis, matching, known):
                chosen[axis] = label
                settled.append(axis)
                matching = [point for point in matching if point[axis] == label]
        if not matching:
            self.left_out(known.axes, node)
            place = ", ".join(f"{axis}={here[axis]}" for axis in settled)
            self.findings.reject(
                "E701",
                node,
                f"`{node.span.text}` is not in the sweep" + (f" (at {place})" if place else ""),
                "no point of the sweep has these values together",
            )
        return ResolvedReference(plan.Selected(name, tuple(chosen.items())), known, tuple(matching), tuple(settled))

    def _label(self, selector: tree.Selector, name: str, known: ResultInfo, at: Environment) -> str:
        axis = selector.axis.text
        if axis not in known.axes:
            listing = f"it depends on {', '.join(known.axes)}" if known.axes else "it depends on no axis"
            help = did_you_mean(axis, known.axes, selector.axis.span) or listing
            if axis == EPOCH:
                owner = name.partition(".")[0]
                help = Hint(f"measure it over epochs: `evaluate {owner} every 10 epochs {{ ... }}`")
            message, reason = f"`{name}` does not depend on an axis `{axis}`", self.why_not(known, axis)
            self.findings.reject("E701", selector.axis, message, reason, help)
        self.has_values(selector.value, at)
        return self.label(selector, at, dict.fromkeys(point[axis] for point in known.points), [known])

    def why_not(self, known: ResultInfo, axis: str) -> str:
        """Return why an axis names no row of a result, although it belongs to one of its axes; else nothing."""
        return why_not(self.resolver.axes, known.axes, axis)

    def label(
        self, selector: tree.Selector, at: Environment, labels: Iterable[str], results: Iterable[ResultInfo]
    ) -> str:
        """Return the label of the value that a selector picks; a class of all `results` also by its number."""
        labels = list(labels)
        if selector.axis.text == "class" and (number := self._number(selector, at)) is not None:
            if len({classes for known in results for classes in _class_lists(known)}) > 1:
                message = "a number does not say which class is meant here"
                reason = "the results are of data sets whose classes have other names or another order"
                self.findings.reject("E209", selector.value, message, reason, "write the name of the class")
            return labels[class_place(selector.value, number, labels, "this data set", self.findings)]
        return self.resolver.axis_label(selector, at, labels, absent=self.left_out)

    def _number(self, selector: tree.Selector, at: Environment) -> Num | None:
        """Return the value of a selector if it is a number, None where it is a word, a text or not known."""
        node = selector.value
        while isinstance(node, tree.Parameter) and node.text in at:
            node = at[node.text]
        if not isinstance(node, (tree.Number, tree.Binary)) or HYPHENATED.fullmatch(node.span.text):
            return None
        value = evaluate(node, at, self.findings)
        return value if isinstance(value, Num) else None

    def left_out(self, axes: Iterable[str], node: tree.Node) -> None:
        """Raise `Rejected` for what names a value that `--set` has taken off one of these axes: it is left out."""
        for axis in axes:
            if self.resolver.axes.is_set(axis):
                self._left_out.setdefault(axis, []).append(node)
                raise Rejected

    def warn_of_left_out(self) -> None:
        """Warn once for each axis off which `--set` has taken values that the file names."""
        for axis, nodes in self._left_out.items():
            subject = "this is" if len(nodes) == 1 else f"this and {len(nodes) - 1} more are"
            message = f"{subject} left out: `--set` gives `{axis}` other values"
            self.findings.warn("E714", nodes[0], message, "what is shown or claimed there is not in the sweep")

    def has_values(self, node: tree.Value, at: Environment) -> None:
        """Check that each `$axis` is one that `for all` goes over, since it has one value only there."""
        for name in sorted(self.resolver.axes.used_by([node]) - at.keys()):
            self.findings.reject(
                "E706",
                node,
                f"`${name}` has several values",
                "an axis of the sweep has one value at a time only where a definition uses it",
                f"in a claim, check all of them with `for all {name}:`; elsewhere, write one of them",
            )

    def _unknown_result(self, node: tree.Reference, name: str) -> None:
        scope = self.resolver.scope
        if (
            name in self._evaluations.lost
            or self._measured_of_another(node)
            or node.owner.text in scope.broken
            or node.result.text in scope.broken
        ):
            return
        if node.owner.text not in scope.names("train", "transfer"):
            self.resolver.declared(node.owner, node.owner.text, "train", "transfer")
            return
        mine = [n for n in (*self._evaluations.results, *self._evaluations.lost) if n.startswith(f"{node.owner.text}.")]
        results = [result.partition(".")[2] for result in mine]
        slip = did_you_mean(node.result.text, results, node.result.span).fix
        help = Hint(did_you_mean(name, mine).text, slip) or (
            f"it has {', '.join(mine)}"
            if mine
            else f"measure it: `evaluate {node.owner.text} {{ {node.result.text} = clean accuracy on val }}`"
        )
        self.findings.error("E207", node, f"`{node.owner.text}` has no result called `{node.result.text}`", help=help)

    def _measured_of_another(self, node: tree.Reference) -> bool:
        """Return whether a result of this name is measured of a network that there is not: this one is meant there."""
        owners = [name.partition(".")[0] for name in self._evaluations.lost if name.endswith(f".{node.result.text}")]
        return any(owner not in self.resolver.scope.statements for owner in owners)


def _references(statement: tree.Node) -> tuple[tree.Reference, ...]:
    """Return the references in a statement, which keeps them."""
    own = statement.__dict__
    if "_references" not in own:
        own["_references"] = tuple(node for node in walk(statement) if isinstance(node, tree.Reference))
    kept: tuple[tree.Reference, ...] = own["_references"]
    return kept


def _with_rows(known: ResultInfo, names: tuple[str, ...], axes: Axes) -> ResultInfo:
    """Return a result with further axes, which name its rows."""
    if not names:
        return known
    table = known.measured.measures
    wanted = frozenset((*table.axes, *names))
    ordered = tuple(axis for axis in axes.names if axis in wanted)
    at_row: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for point in known.points:
        at_row.setdefault(tuple(point[axis] for axis in table.axes), []).append(point)
    rows, points = {}, []
    for combination in axes.points(wanted):
        labels = {axis: combination[axis].label for axis in ordered}
        row = tuple(labels[axis] for axis in table.axes)
        if row in at_row:
            rows[tuple(labels.values())] = table.table[row]
            points += [labels | point for point in at_row[row]]
    pseudo = tuple(axis for axis in known.axes if axis in RESULT_AXES)
    measured = replace(known.measured, measures=SweepTable(table.name, ordered, rows), rows=names)
    return replace(known, measured=measured, axes=(*ordered, *pseudo), points=tuple(points))


def _placed_axes(statement: tree.Node) -> frozenset[str]:
    """Return the axes along which a display is laid out, or over which `for all` goes."""
    match statement:
        case tree.Display():
            return frozenset(parameter.text for parameter in parameters([statement.call]))
        case tree.Expect() | tree.Published():
            return frozenset(one.axis.text for one in statement.over)
    return frozenset()


def _class_lists(known: ResultInfo) -> set[tuple[str, ...]]:
    """Return the classes, in their order, of each data set that a result by class is measured on."""
    found: dict[tuple[str, ...], list[str]] = {}
    for point in known.points:
        if "class" in point:
            place = tuple(label for axis, label in point.items() if axis != "class")
            found.setdefault(place, []).append(point["class"])
    return {tuple(classes) for classes in found.values()}


def _goes_along(axis: str, matching: list[dict[str, str]], known: ResultInfo) -> bool:
    """Return whether the chosen part of a result varies along an axis, or `--set` left the axis one value."""
    left, whole = ({point[axis] for point in points} for points in (matching, known.points))
    return len(left) > 1 or len(whole) == 1


def _name(node: tree.Reference) -> str:
    return f"{node.owner.text}.{node.result.text}"


def varying(points: Iterable[dict[str, str]], placed: Collection[str] = ()) -> list[str]:
    """Return the axes along which some points differ that agree on the `placed` ones."""
    values: dict[tuple[str, ...], set[str]] = {}
    for point in points:
        fixed = tuple(label for axis, label in point.items() if axis in placed)
        for axis, label in point.items():
            values.setdefault((axis, *fixed), set()).add(label)
    return list(dict.fromkeys(axis for (axis, *_), labels in values.items() if len(labels) > 1))
