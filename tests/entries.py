"""Calls of catalog entries, written with values that their arguments take."""

from __future__ import annotations

from satdsl.catalog import Argument, Entry


def of_entry(entry: Entry) -> str:
    return f"{entry.family}-{entry.name}"


def written(entry: Entry, given: dict[str, str] | None = None) -> str:
    """A call of the entry with what it needs."""
    given = given or {}
    needed = [arg for arg in entry.args.values() if arg.required or arg.name in given]
    args = ", ".join(f"{arg.name}={given.get(arg.name) or sample(arg)}" for arg in needed)
    return entry.name if entry.family == "score" else f"{entry.name}({args})"


def sample(arg: Argument) -> str:
    """A value that an argument takes."""
    if arg.choices:
        return arg.choices[0]
    if arg.type in ("int", "number"):
        low = arg.at_least if arg.at_least is not None else (arg.above or 0) + 0.1
        value = f"{max(low, 1):g}" if arg.type == "int" else f"{low:g}"
        return f"[{', '.join([value] * (arg.length or 1))}]" if arg.many else value
    if arg.type == "image":
        return "adversarial" if arg.name == "x" else "clean"
    if arg.type == "loss":
        return "ce(clean)"
    raise ValueError(f"there is no sample of {arg.type}, which {arg.name} needs")
