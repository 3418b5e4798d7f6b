"""Read `plot` and `table` statements: which results they show, and along which axes."""

from __future__ import annotations

from typing import Any

from satdsl.catalog import Entry
from satdsl.check.collector import Rejected
from satdsl.check.references import References, ResolvedReference, varying
from satdsl.check.values import Environment
from satdsl.hints import did_you_mean, typo_of, write
from satdsl.ir import plan
from satdsl.ir.experiment import RESULT_AXES
from satdsl.syntax import tree

_MEASURED_ALONG = {
    "epoch": "measure it after several epochs: `evaluate sat every 5 epochs { ... }`",
    "class": "measure it class by class: `clean = clean accuracy on val by class`",
    "part": "measure it on several parts: `robust = robust accuracy under aa on A_val, B_val`",
    "eps": "measure it at several radii: `curve = robust accuracy under fmn100 at 0..2 step 0.1 on val`",
}
"""How a result is written that has an axis of this name."""


class Displays:
    """Reads displays, which name their results through `references`."""

    def __init__(self, references: References) -> None:
        self.references = references
        self.resolver = references.resolver
        self.findings = references.findings

    def display(self, statement: tree.Display, at: Environment) -> plan.Display | None:
        try:
            entry = self.resolver.settings.entry(statement.call.name, (statement.kind,))
            bound = self.resolver.settings.bind(statement.call, entry)
            if any(given.name is not None and given.name.text not in entry.args for given in statement.call.arguments):
                return None  # what it says may settle what else is found missing
            return self._display(statement, entry, bound, at)
        except Rejected:
            return None

    def _display(self, statement: tree.Display, entry: Entry, bound: dict[str, Any], at: Environment) -> plan.Display:
        results: list[ResolvedReference] = []
        baselines: list[plan.Selected] = []
        axes: dict[str, tuple[str, ...]] = {}
        for name, argument in entry.args.items():
            if name not in bound:
                if argument.required:
                    raise Rejected
                continue
            nodes = [item for given in _listed(bound[name]) for item in _flat(given.value)]
            if not argument.many and len(nodes) != 1:
                self.findings.reject(
                    "E301", bound[name], f"`{name}` takes one value, but here are {len(nodes)}", argument.help
                )
            if argument.type == "results":
                selected = [self._result(node, at) for node in nodes]
                if name == "baselines":
                    baselines += [picked.selected for picked in selected]
                else:
                    results += selected
            else:
                axes[name] = tuple(self._axis(node) for node in nodes)
        self._axes_are_placed(statement, results, axes)
        return plan.Display(
            title=statement.title.value,
            kind=entry.name,
            results=tuple(picked.selected for picked in results),
            x=axes["x"][0] if "x" in axes else None,
            y=axes["y"][0] if "y" in axes else None,
            series=axes.get("series") or axes.get("by") or (),
            mean=axes.get("mean", ()),
            baselines=tuple(baselines),
            file=statement.span.source.path,
            line=statement.span.place[0],
        )

    def _result(self, node: tree.Value, at: Environment) -> ResolvedReference:
        if not isinstance(node, tree.Reference):
            self.findings.reject("E301", node, f"`{node.span.text}` is not a result", help=_named_as_a_result(node))
        return self.references.ask(node, at)

    def _axis(self, node: tree.Value) -> str:
        if isinstance(node, tree.Parameter):
            if node.text not in {*self.resolver.axes.names, *self.resolver.axes.params}:
                raise Rejected  # that there is no such axis is already said
            return node.text
        axes = self.resolver.axes.names
        if isinstance(node, tree.Name) and node.text in RESULT_AXES and node.text not in axes:
            return node.text
        name, written = node.span.text, {axis: axis for axis in RESULT_AXES} | {axis: f"${axis}" for axis in axes}
        meant = typo_of(name, written)
        help = write(node.span, written[meant]) if meant else did_you_mean(name, axes)
        meant_by = help or "write `$name`, `class`, `part`, `epoch` or `eps`"
        self.findings.reject("E301", node, f"`{name}` is not an axis", help=meant_by)

    def _axes_are_placed(
        self,
        statement: tree.Display,
        results: list[ResolvedReference],
        axes: dict[str, tuple[str, ...]],
    ) -> None:
        """Check that each axis along which a result varies is shown or averaged, and that each named axis exists."""
        placed = {axis for names in axes.values() for axis in names}
        known = {axis for picked in results for axis in picked.result.axes}
        # Of a training with lines that cannot be read it is not known on which axes it depends.
        whole = not any(picked.result.measured.trained in self.resolver.scope.broken for picked in results)
        for axis in sorted(placed - known):
            if results and whole:
                reason = next(filter(None, (self.references.why_not(picked.result, axis) for picked in results)), None)
                used = f"use `${axis}` in what they come from, as `seed = $seed` does in a training, or leave it out"
                other = "leave it out, or show a result that depends on it" if reason else used
                self.findings.error(
                    "E701",
                    statement.call,
                    f"nothing that is shown depends on `{axis}`",
                    reason or f"the results depend on {', '.join(sorted(known)) or 'no axis'}",
                    _MEASURED_ALONG.get(axis, other),
                )
        if statement.kind == "table":
            return
        for picked in results:
            left = varying(picked.points, placed)
            if left:
                names = " and ".join(f"`{axis}`" for axis in left)
                self.findings.error(
                    "E705",
                    statement.call,
                    f"`{picked.selected.name}` also varies with {names}",
                    "several values would fall on one point of the plot",
                    f"add `series=${left[0]}` or `mean=${left[0]}`, "
                    f"or pick one: `{picked.selected.name}[{left[0]}={picked.points[0][left[0]]}]`",
                )


def _named_as_a_result(node: tree.Value) -> str:
    """Return how a result is named, and where it stands in a call (`std(net.robust)`) how a display reduces it."""
    match node:
        case tree.Call(arguments=(tree.Argument(value=tree.Reference() as result),)):
            return f"write `{result.span.text}`; `mean=[$axis]` shows the mean and the standard deviation over an axis"
        case _:
            return "name one, as in `sat.robust`"


def _listed(bound: Any) -> list[tree.Argument]:
    return bound if isinstance(bound, list) else [bound]


def _flat(node: tree.Value) -> list[tree.Value]:
    return [item.value for item in node.items] if isinstance(node, tree.Listing) else [node]
