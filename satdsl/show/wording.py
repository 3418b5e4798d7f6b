"""Settings of steps, as data, to words: calls as the language writes them, subsets, weights, selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST = 8
"""Entries of a list that are written out; longer ones are shown by their ends."""


def call(choice: Mapping[str, Any], most: int | None = None) -> str:
    """A catalog entry with its settings, as the language writes it; those that are `none` are left out."""
    tags = ("name", "is")
    args = ", ".join(f"{name}={value(v, most)}" for name, v in choice.items() if name not in tags and v is not None)
    name = choice.get("name", choice.get("is"))
    return f"{name}({args})" if args else str(name)


def value(given: Any, most: int | None = None) -> str:
    """Any setting; of a list longer than `most` only the ends."""
    if isinstance(given, Mapping):
        return _RECORDS.get(given.get("is", ""), call)(given, most)
    if isinstance(given, list):
        shown = [value(entry, most) for entry in given]
        if most is not None and len(shown) > most:
            shown = [*shown[:2], "...", shown[-1]]
        return f"[{', '.join(shown)}]"
    if given is None:
        return "none"
    if isinstance(given, bool):
        return str(given).lower()
    return f"{given:.6g}" if isinstance(given, float) else str(given)


def _selection(given: Mapping[str, Any], most: int | None) -> str:
    attacks = " and ".join(call(attack) for attack in given["attacks"])
    measure = f"robust accuracy under {attacks}" if attacks else "clean accuracy"
    return f"by {measure} after epochs {value(given['epochs'], most)}"


def _holdout(given: Mapping[str, Any], most: int | None) -> str:
    return f"{share(given['share'])} of {given['source']}"


_RECORDS = {"Selection": _selection, "Holdout": _holdout}


def share(number: float) -> str:
    """`30%`"""
    return f"{100 * number:.6g}%"


def weight(given: Any, names: Sequence[str]) -> str:
    """A loss weight: a number, or its formula over subsets called so, `2*|B|/|A|`."""
    return _formula(given["formula"], names) if isinstance(given, Mapping) else value(given)


def _formula(formula: Any, names: Sequence[str], within: str = "") -> str:
    if not isinstance(formula, list):
        return value(formula)
    operator, *operands = formula
    if operator in ("size", "classes"):
        return f"|{names[operands[0]]}|" if operator == "size" else f"classes({names[operands[0]]})"
    if len(operands) == 1:
        return f"-{_formula(operands[0], names, '/')}"
    left = _formula(operands[0], names, "+" if operator in "+-" else "*")
    right = _formula(operands[1], names, "+" if operator == "+" else "/")
    text = f"{left} {operator} {right}" if operator in "+-" else f"{left}{operator}{right}"
    looser = {"": False, "+": False, "*": operator in "+-", "/": True}[within]
    return f"({text})" if looser else text


def subset(given: Mapping[str, Any], classes: Sequence[str] | None, sources: Mapping[str, str]) -> str:
    """A subset's definition: `hardest 431 examples by snapshot-entropy of ref`.

    `classes` are the names of those it is made of, where they are known; `sources` says for each input role of its
    split what stands there.
    """
    match given["is"]:
        case "OfClasses":
            names = classes if classes is not None else [str(number) for number in given["classes"]]
            return f"{'class' if len(names) == 1 else 'classes'} {', '.join(names)}"
        case "Pick":
            return _pick(given, sources)
        case "Where":
            ranking = _ranking(given["ranking"], sources)
            return f"examples where {ranking} {given['comparison']} {value(given['threshold'])}"
        case "Listed":
            return f"examples listed in a file of SHA-256 {given['digest'][:12]}"
        case "Combined":
            sides = [_bracketed(given[side], sources) for side in ("left", "right")]
            return f"{sides[0]} {given['operator']} {sides[1]}"
    return {"Everything": "all", "Nothing": "none", "Rest": "rest"}[given["is"]]


def _pick(given: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    amount = given["amount"]
    words = [given["order"], share(amount) if isinstance(amount, float) else f"{amount:,}", given["unit"]]
    words += ["per class"] if given["per_class"] else []
    words += [f"of {_bracketed(given['within'], sources)}"] if given["within"] else []
    words += [f"by {_ranking(given['ranking'], sources)}"] if given["ranking"] else []
    words += [f"seed {given['seed']}"] if given["seed"] is not None else []
    return " ".join(words)


def _bracketed(given: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    simple = given["is"] in ("Everything", "Nothing", "Rest")
    text = subset(given, None, sources)
    return text if simple else f"({text})"


def _ranking(given: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    if given["of"] is None:
        return f"scores in a file of SHA-256 {given['digest'][:12]}"
    return f"{given['score']} of {sources[given['of']]}"
