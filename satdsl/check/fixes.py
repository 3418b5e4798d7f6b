"""Make the changes of calls, statements and numbers that certainly do what their author meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from satdsl.findings import Fix, Span
from satdsl.hints import Hint, insert, leave_out, write
from satdsl.syntax import tree


def percentage(node: tree.Value, number: float) -> Hint:
    """Return the fix that makes a number a percentage: 90 and 0.9 become 90%. 1 may mean 1%, so it is not changed."""
    if number == 1:
        return Hint("write `1%` or `100%`")
    if not 0 <= number <= 100:
        return Hint("write a share of the whole, such as `10%`")
    text = f"{number * 100 if number < 1 else number:.12g}%"
    clear = isinstance(node, tree.Number) and number > 0
    return write(node.span, text) if clear else Hint(f"write `{text}`")


def argument(call: tree.Call, name: str, position: int | None = None) -> tree.Value | None:
    """Return the value that a call gives an argument, by its name or at its position; None where it gives none."""
    for given in call.arguments:
        if given.name is not None and given.name.text == name:
            return given.value
    unnamed = [given.value for given in call.arguments if given.name is None]
    return unnamed[position] if position is not None and position < len(unnamed) else None


def with_argument(call: tree.Node, text: str, help: str = "", near: Span | None = None) -> Hint:
    """`call` with one more argument, or with another value for it; only in the file of `near`, where that is given.

    A file that another one uses may serve others, too, and is left as it is.
    """
    name, _, value = text.partition("=")
    words = help or f"add `{text}`"
    if not isinstance(call, tree.Call) or (near is not None and near.source is not call.span.source):
        return Hint(words)
    given = argument(call, name)
    if given is not None:
        fine = isinstance(given, (tree.Name, tree.Number, tree.Percent))
        return Hint(words, Fix(f"write `{text}`", ((given.span, value),)) if fine else None)
    if call.arguments:
        return insert(call.arguments[-1].span, f", {text}", text, words)
    inside = Span(call.span.source, call.name.span.end, call.span.end)
    return Hint(words, Fix(f"add `{text}`", ((inside, f"({text})"),)))


def with_line(statement: tree.Node, lines: Iterable[tree.Node], text: str, help: str, near: Span) -> Hint:
    """Return the fix that adds a line to the block of a statement, if it is in the file of `near` and was read whole.

    What was not read may be that very line with a mistake in it.
    """
    span = statement.span
    places = [line.span for line in lines]
    if span.source is not near.source or _unread(span, places):
        return Hint(help)
    last = max(places, key=lambda line: line.end, default=None)
    if last is not None:
        margin = re.compile(r"\r?\n[ \t]*$").search(span.source.text[: last.start])
        if margin is None:
            return insert(last, f"; {text}", text, help)
        comment = re.compile(r"[ \t]*#[^\r\n]*").match(span.source.text, last.end)
        whole = Span(span.source, last.start, comment.end() if comment else last.end)
        return insert(whole, f"{margin[0]}{text}", text, help)
    if span.text.endswith("}"):
        return insert(Span(span.source, span.start, span.end - 1), f" {text} ", text, help)
    return insert(span, f" {{ {text} }}", text, help)


def _unread(statement: Span, lines: Iterable[Span]) -> bool:
    """Return whether a statement's block has words that belong to none of its lines."""
    text = re.sub(r"#[^\r\n]*", lambda comment: " " * len(comment[0]), statement.text)
    for line in lines:
        start, end = line.start - statement.start, line.end - statement.start
        text = text[:start] + " " * (end - start) + text[end:]
    block = re.search(r"\{([^{}]*)\}?\s*$", text)
    return block is not None and bool(block[1].strip("; \t\r\n"))


def remove_repeated(node: tree.Node, among: Iterable[tree.Node], help: str) -> Hint:
    """Return the fix that removes what one of `among` says already. Of two that differ, either may be meant."""
    source, start = node.span.source, node.span.start
    again = any(other == node and other.span.source is source and other.span.start < start for other in among)
    return leave_out(node.span, help) if again else Hint(help)


def eight_bit(call: tree.Node, eps: float, order: Sequence[str]) -> Hint:
    """Return the fix of a radius in eight-bit units, and of its step size; `order` has the arguments' names."""
    text = f"{eps:g}/255"
    help = f"write `eps={text}`"
    if not isinstance(call, tree.Call):
        return Hint(help)
    radius, step = (argument(call, name, order.index(name) if name in order else None) for name in ("eps", "step_size"))
    if not isinstance(radius, tree.Number):
        return Hint(help)
    edits = [(radius.span, text)]
    if isinstance(step, tree.Number) and 1 <= step.value <= 2 * eps:
        edits.append((step.span, f"{step.value:g}/255"))
        help += f" and `step_size={step.value:g}/255`"
    elif step is not None and not (isinstance(step, tree.Number) and step.value <= 2 * eps / 255):
        return Hint(help)
    return Hint(help, Fix(help, tuple(edits)))
