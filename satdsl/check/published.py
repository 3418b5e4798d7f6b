"""Read `published` statements: the values that a publication gives for results."""

from __future__ import annotations

from typing import NoReturn

from satdsl.check.collector import Rejected
from satdsl.check.fixes import percentage
from satdsl.check.quantifiers import quantified_labels, reject_unused_quantifier
from satdsl.check.references import References, ResolvedReference, varying
from satdsl.check.values import Environment, Num, Share, evaluate
from satdsl.findings import Span
from satdsl.hints import Hint, listed, write
from satdsl.ir import plan
from satdsl.ir.class_names import number_of
from satdsl.syntax import tree


class Publications:
    """Reads `published` statements, which name their results through `references`."""

    def __init__(self, references: References) -> None:
        self.references = references
        self.findings = references.findings
        self._seen: dict[tree.Published, Span] = {}
        self._places: dict[tuple[str, frozenset[tuple[str, ...]]], Span] = {}

    def published(self, statement: tree.Published, at: Environment) -> tuple[plan.Published, ...]:
        """Return one entry for each value; none where something is wrong, or where another file says the same."""
        if self._seen.setdefault(statement, statement.span).source is not statement.span.source:
            return ()
        entries = self.references.cached(statement, lambda statement: self._entries(statement, at))
        try:
            for (picked, _), node in zip(entries or (), self._values(statement.value), strict=False):
                self._once(picked, node)
        except Rejected:
            return ()
        return tuple(entry for _, entry in entries or ())

    def _entries(
        self, statement: tree.Published, at: Environment
    ) -> tuple[tuple[ResolvedReference, plan.Published], ...] | None:
        try:
            picked, values = self._picked(statement, at), self._values(statement.value)
            self._as_many(statement, picked, values)
            return tuple(
                (one, self._entry(statement, one, value, at)) for one, value in zip(picked, values, strict=True)
            )
        except Rejected:
            return None

    def _picked(self, statement: tree.Published, at: Environment) -> list[ResolvedReference]:
        """Return the result at each place that gets a value, in the order of the axis that a list runs along."""
        reference, is_mean = self._reference(statement.what)
        whole = self.references.ask(reference, at)
        places: list[dict[str, str]] = [{}]
        if statement.over:
            places = self._gone_over(statement, reference, at)
        elif isinstance(statement.value, tree.Listing) and not is_mean and whole.free_axes:
            axis = self._only_axis(statement, whole)
            labels = list(dict.fromkeys(point[axis] for point in whole.points))
            self._in_known_order(statement, axis, labels)
            places = [{axis: label} for label in labels]
        picked = [self.references.select(reference, at, place) for place in places]
        if statement.over and not any(one.bound_axes for one in picked):
            reject_unused_quantifier(statement.over[0], self.references)
        for one in picked:
            if one.free_axes and not is_mean:
                self._still_open(statement, one)
        return picked

    def _reference(self, node: tree.Value) -> tuple[tree.Reference, bool]:
        """Return the result that values are given for, and whether they are for its mean."""
        match node:
            case tree.Reference():
                return node, False
            case tree.Call(arguments=(tree.Argument(name=None, value=tree.Reference() as inner),)):
                if node.name.text == "mean":
                    return inner, True
        self.findings.reject(
            "E301",
            node,
            f"`{node.span.text}` is not a result",
            "values are published for results and for their means",
            "write `sat.robust[order=hardest]`, or `mean(sat.robust[order=random])`",
        )

    def _gone_over(self, statement: tree.Published, reference: tree.Reference, at: Environment) -> list[dict[str, str]]:
        """Return the values of the axis that `for all` names, in the order of the list."""
        if len(statement.over) > 1:
            self.findings.reject(
                "E711",
                statement.over[1],
                "a list of published values runs along one axis",
                help="write a `published` line for each value of the other",
            )
        ((axis, labels),) = quantified_labels(statement.over, [reference], self.references, at).items()
        if statement.over[0].values is None:
            self._in_known_order(statement, axis, list(labels))
        return [{axis: label} for label in labels]

    def _in_known_order(self, statement: tree.Published, axis: str, labels: list[str]) -> None:
        """Reject a list along classes that are called by numbers, but come in the order of their names as texts."""
        numbers = [number_of(label) for label in labels]
        known = [number for number in numbers if number is not None]
        if self._has_classes(axis) and len(known) == len(numbers) and known != sorted(known):
            self.findings.reject(
                "E211",
                statement.value,
                f"these values run along the classes in the order {listed(labels, 4)}",
                "the classes are called by numbers, but ordered by their names as texts, in which 10 comes before 2",
                f'say which value is for which class: `for all {axis} in ["{min(known)}", ...]:`',
            )

    def _has_classes(self, axis: str) -> bool:
        """Return whether the values of an axis are the classes of a data set."""
        lines = self.references.resolver.axes.lines
        own = [line.value for line in lines if axis in [name.text for name in line.names]]
        return axis == "class" or any(isinstance(value, tree.ClassesOf) for value in own)

    def _only_axis(self, statement: tree.Published, whole: ResolvedReference) -> str:
        """Return the axis that settles all that is left open; of axes that move together, the first."""
        for axis in whole.free_axes:
            if not set(varying(whole.points, [axis])) - {axis}:
                return axis
        self._still_open(statement, whole)

    def _still_open(self, statement: tree.Published, picked: ResolvedReference) -> NoReturn:
        axes, name = picked.free_axes, picked.selected.name
        runs = isinstance(statement.value, tree.Listing) and not statement.over
        self.findings.reject(
            "E711",
            statement.what,
            f"`{name}` varies with {' and '.join(f'`{axis}`' for axis in axes)}",
            "a list of published values runs along one axis" if runs else "one published value is for one result",
            f"pick one (`[{axes[-1]}=...]`), or give means: `for all {axes[0]}: mean({name}[...])`"
            if runs
            else f"pick one (`[{axes[0]}=...]`), or give the mean: `mean({name}[...])`",
        )

    def _values(self, node: tree.Value) -> list[tree.Value]:
        if not isinstance(node, tree.Listing):
            return [node]
        for item in node.items:
            if item.label is not None:
                help = "write the values in the order of the axis, or `for all AXIS in [...]:`"
                self.findings.reject("E301", item, "published values have no labels", help=help)
        return [item.value for item in node.items]

    def _as_many(self, statement: tree.Published, picked: list[ResolvedReference], values: list[tree.Value]) -> None:
        is_list = isinstance(statement.value, tree.Listing)
        if len(values) == len(picked) and (is_list or not statement.over):
            return
        what, is_mean = statement.what.span.text, isinstance(statement.what, tree.Call)
        if len(picked) == 1 and not is_list:
            message, reason = (
                "`for all` takes a list of values, but here is a single one",
                "`for all` needs one value for each point of the axis",
            )
            help: str | Hint = write(statement.value.span, f"[{statement.value.span.text}]")
        elif len(picked) == 1:
            self.references.left_out(picked[0].result.axes, statement.value)
            message, reason = (
                f"`{what}` has one value, but here is a list of {len(values)}",
                "it does not depend on an axis that could have several values here",
            )
            help = "write one value"
            if is_mean:
                reason, help = "a mean is one value", "say along which axis: `for all share: mean(...) = [...]`"
        else:
            axis = next(a for a, label in picked[0].selected.at if dict(picked[-1].selected.at)[a] != label)
            self.references.left_out([axis], statement.value)
            labels = [dict(one.selected.at)[axis] for one in picked]
            count = f"are {len(values)}" if len(values) != 1 else "is 1"
            message, reason = f"`{what}` has {len(picked)} values along `{axis}`, here {count}", _short(labels)
            help = f"give one for each, or say for which: `for all {axis} in [{labels[0]}, ...]:`"
        self.findings.reject("E710", statement.value, message, reason, help)

    def _entry(
        self, statement: tree.Published, picked: ResolvedReference, node: tree.Value, at: Environment
    ) -> plan.Published:
        name = picked.selected.name
        source = statement.source.value if statement.source is not None else ""
        file, line = statement.span.source.path, statement.span.place[0]
        return plan.Published(name, picked.selected.at, self._number(node, picked, at), source, file, line)

    def _once(self, picked: ResolvedReference, node: tree.Value) -> None:
        """Check that a result has one published value at each point."""
        place = picked.selected.name, frozenset(picked.rows)
        if place in self._places:
            first = self._places[place]
            self.findings.reject(
                "E712",
                node,
                f"a value is already published for {_called(picked)}",
                help="keep one of them",
                related=((first, "published here"),),
            )
        self._places[place] = node.span

    def _number(self, node: tree.Value, picked: ResolvedReference, at: Environment) -> float:
        """Return a value in the result's unit."""
        self.references.has_values(node, at)
        value = evaluate(node, at, self.findings)
        if not isinstance(value, (Num, Share)):
            wanted = "a percentage" if picked.result.kind is Share else "a number"
            self.findings.reject("E301", node, f"`{node.span.text}` is not {wanted}", help="write the published value")
        if type(value) is not picked.result.kind:
            name = picked.selected.name
            if isinstance(value, Num):
                help = percentage(node, value.value)
                message, reason = f"`{node.span.text}` is a plain number", f"`{name}` is a share of images"
            else:
                message, reason = f"`{node.span.text}` is a percentage", f"`{name}` is a mean score, in its own unit"
                help = Hint("write a plain number")
            self.findings.reject("E302", node, message, reason, help)
        if isinstance(value, Share) and not 0 <= value.value <= 1:
            self.findings.reject("E304", node, f"`{node.span.text}` is no share of images", help="write 0% to 100%")
        return value.value


def _called(picked: ResolvedReference) -> str:
    at = ", ".join(f"{axis}={label}" for axis, label in picked.selected.at)
    return f"`{picked.selected.name}[{at}]`" if at else f"`{picked.selected.name}`"


def _short(labels: list[str]) -> str:
    return "they are " + ", ".join(labels if len(labels) <= 9 else [*labels[:3], "...", labels[-1]])
