"""Turn the parameters of a marked function into arguments of its entry: `steps: int = 10` into a whole number."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import EPS
from satdsl.catalog.attacks import NORM as NORMS
from satdsl.catalog.plugins.formulas import computed
from satdsl.catalog.plugins.marks import LIMITS, NORM, PUBLIC, RADIUS, SHARE, TEXTS, Names
from satdsl.catalog.plugins.python_text import Places
from satdsl.findings import Finding
from satdsl.hints import suggest

TYPES = {"int": "int", "float": "number", "bool": "bool", "str": "text"}
"""The types of Python that an argument can have, each with what it is in the language."""

_VALUES: Mapping[str, tuple[Any, str]] = {
    "int": (int, "a whole number"),
    "number": ((int, float), "a number"),
    "share": ((int, float), "a number"),
    "bool": (bool, "True or False"),
}
"""What a default of each type is in Python, and in words; anything else is a text."""

LISTS = ("list", "List", "Sequence", "tuple", "Tuple")

RESERVED = ("name", "plugin")
"""What an argument cannot be called, since a stored call has these words for something else."""

WAYS = "int, float, bool, str, Literal[...], sat.Norm, sat.Radius, sat.Share, lists of these, Annotated[...]"


class Unreadable(Exception):
    """Something in the code that its text does not settle; has the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


class Parameters:
    """Reads the parameters of one file's functions."""

    def __init__(self, names: Names, places: Places) -> None:
        self.names, self.places = names, places

    def argument(self, node: ast.arg, default: ast.expr | None, help: str) -> Argument:
        """Return the argument that a parameter is; raise `Unreadable` where its text does not tell."""
        if node.arg in RESERVED or node.arg.startswith("_"):
            self._reject("E216", node, f"an argument cannot be called `{node.arg}`", help="choose another name")
        if node.annotation is None:
            reason = "its annotation says what the argument can be"
            self._reject("E216", node, f"`{node.arg}` has no annotation", reason, f"write `{node.arg}: float`")
        found = self._annotated(node.arg, node.annotation)
        if not found.help:
            found = found.meaning(help)
        if default is None:
            return found
        value = self.literal(default, f"the default of `{node.arg}`")
        return replace(found, default=self._default(default, value, found))

    # --- types ---

    def _annotated(self, name: str, node: ast.expr) -> Argument:
        match node:
            case ast.Constant(value=str() as text):
                try:
                    inner = ast.parse(text, mode="eval").body
                except (SyntaxError, ValueError, RecursionError, MemoryError):
                    self._unknown(node)
                for each in ast.walk(inner):
                    ast.copy_location(each, node)
                return self._annotated(name, inner)
            case ast.Subscript():
                return self._subscript(name, node)
            case ast.BinOp(op=ast.BitOr(), left=left, right=ast.Constant(value=None)):
                return replace(self._annotated(name, left), optional=True)
            case ast.BinOp(op=ast.BitOr(), left=ast.Constant(value=None), right=right):
                return replace(self._annotated(name, right), optional=True)
        match self.names.ours(node):
            case "Norm":
                return replace(NORMS, name=name)
            case "Radius":
                return replace(EPS, name=name)
            case "Share":
                return Argument(name, "share")
            case "":
                kind = TYPES.get(self.names.typing(node))
                return Argument(name, kind) if kind else self._unknown(node)
            case other:
                known = [NORM, RADIUS, SHARE, *LIMITS, *TEXTS]
                help = "write it in `Annotated[float, ...]`" if other in PUBLIC else str(suggest(other, known))
                self._reject("E214", node, f"`{other}` is no type of an argument", help=help)

    def _subscript(self, name: str, node: ast.Subscript) -> Argument:
        of = self.names.typing(node.value)
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if of == "Optional" and len(items) == 1:
            return replace(self._annotated(name, items[0]), optional=True)
        if of == "Literal":
            return self._choice(name, items)
        if of == "Annotated" and items:
            return self._with_markers(self._annotated(name, items[0]), items[1:])
        if of in LISTS or self.names.full(node.value) == "collections.abc.Sequence":
            each = self._annotated(name, items[0])
            if each.many or each.optional:
                self._unknown(node)
            open_ended = [ast.unparse(item) for item in items[1:]] == ["..."] or of not in ("tuple", "Tuple")
            if not open_ended and any(ast.dump(item) != ast.dump(items[0]) for item in items):
                self._unknown(node)
            return replace(each, many=True, length=None if open_ended else len(items))
        self._unknown(node)

    def _choice(self, name: str, items: list[ast.expr]) -> Argument:
        words = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        if len(words) < len(items) or not all(word.isidentifier() for word in words):
            message = "the choices of a `Literal` are words"
            self._reject("E216", items[0], message, help='write them as texts: `Literal["mean", "sum"]`')
        return Argument(name, "word", choices=tuple(words))

    def _with_markers(self, found: Argument, markers: list[ast.expr]) -> Argument:
        changes: dict[str, Any] = {}
        for marker in markers:
            of = self.names.ours(marker.func) if isinstance(marker, ast.Call) else self.names.ours(marker)
            if not of:
                continue  # an annotation for somebody else
            field = LIMITS.get(of) or TEXTS.get(of)
            if field is None or not isinstance(marker, ast.Call) or len([*marker.args, *marker.keywords]) != 1:
                known = [*LIMITS, *TEXTS]
                help = f"write `{of}(...)` with one value" if of in known else str(suggest(of, known))
                self._reject("E214", marker, f"`{of}` says nothing about an argument", help=help)
            value = self.literal([*marker.args, *(word.value for word in marker.keywords)][0], f"the value of `{of}`")
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if number != (of in LIMITS) or (not number and not isinstance(value, str)):
                what = "a number" if of in LIMITS else "a text"
                self._reject("E214", marker, f"`{of}` takes {what}", help=f"write {what} between its brackets")
            if of in LIMITS and found.type not in ("int", "number", "share"):
                message = f"`{of}` is said of numbers, and `{found.name}` is none"
                self._reject("E214", marker, message, help="leave it out")
            changes[field] = value
        return replace(found, **changes)

    # --- values ---

    def literal(self, node: ast.expr, what: str) -> Any:
        """Return the value that is written out in the code; raise `Unreadable` where it has to be computed."""
        try:
            return computed(node, {}) if isinstance(node, (ast.BinOp, ast.UnaryOp)) else ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            reason = "the file is read and not run before `satdsl run`"
            self._reject("E217", node, f"{what} is not written out", reason, "write a number, a text or a list of such")

    def _default(self, node: ast.expr, value: Any, argument: Argument) -> Any:
        if value is None:
            if not argument.optional:
                help = f"annotate it as `{argument.name}: ... | None`"
                self._reject("E217", node, f"`{argument.name}` cannot be `None`, which its default is", help=help)
            return None
        if not argument.many:
            return self._single(node, value, argument)
        if not isinstance(value, (tuple, list)) or len(value) != (argument.length or len(value)):
            what = f"a list of {argument.length}" if argument.length else "a list"
            message = f"the default of `{argument.name}` is not {what}, which its annotation says it is"
            self._reject("E217", node, message, help="change the default or the annotation")
        return tuple(self._single(node, item, argument) for item in value)

    def _single(self, node: ast.expr, value: Any, argument: Argument) -> Any:
        kind, words = _VALUES.get(argument.type, (str, "a text"))
        if not isinstance(value, kind) or (isinstance(value, bool) and argument.type != "bool"):
            message = f"the default of `{argument.name}` is not {words}, which its annotation says it is"
            self._reject("E217", node, message, help="change the default or the annotation")
        if argument.choices and value not in argument.choices:
            help = f"its choices are {', '.join(argument.choices)}"
            self._reject("E217", node, f"the default of `{argument.name}` is none of its choices", help=help)
        if argument.type in ("int", "number", "share"):
            self._in_range(node, value, argument)
        return float(value) if argument.type in ("number", "share") else value

    def _in_range(self, node: ast.expr, value: float, argument: Argument) -> None:
        outside = (
            (argument.at_least is not None and value < argument.at_least)
            or (argument.above is not None and value <= argument.above)
            or (argument.at_most is not None and value > argument.at_most)
            or (argument.below is not None and value >= argument.below)
        )
        if outside or value != value or value in (float("inf"), float("-inf")):
            message = f"the default of `{argument.name}` is outside of its own range"
            self._reject("E217", node, message, help="change the default or the range")

    # --- findings ---

    def _unknown(self, node: ast.expr) -> NoReturn:
        message = f"an argument cannot be `{self.places.text(node)}`"
        reason = "a specification gives it as a number, a word, a text or a list of such"
        self._reject("E216", node, message, reason, f"use one of {WAYS}")

    def _reject(self, code: str, node: ast.expr | ast.arg, message: str, reason: str = "", help: str = "") -> NoReturn:
        raise Unreadable(Finding(code, self.places.span(node), message, reason, help))
