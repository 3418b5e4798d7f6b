"""Say in words what the settings of steps are: calls as the language writes them, subsets, weights, selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import (
    ITSELF,
    CatalogCall,
    Combined,
    Everything,
    Holdout,
    ImageWeights,
    Listed,
    Nothing,
    OfClasses,
    Origin,
    Pick,
    Ranking,
    Repicking,
    Rest,
    ScaledAttacks,
    Selection,
    SeveralAttacks,
    Subset,
    Weight,
    WeightFormula,
    Where,
    settings_of,
)
from satdsl.records import Record

MOST = 8
"""Entries of a list that are written out; longer ones are shown by their ends."""


def value(given: Any, most: int | None = None) -> str:
    """Return any setting in words; of a list longer than `most` only the ends.

    Calls and records are written as the language writes calls. What is absent in them is left out.
    """
    match given:
        case None:
            return "none"
        case bool():
            return str(given).lower()
        case float():
            return f"{given:.6g}"
        case tuple() | list():
            shown = [value(entry, most) for entry in given]
            if most is not None and len(shown) > most:
                shown = [*shown[:2], "...", shown[-1]]
            return f"[{', '.join(shown)}]"
        case Selection():
            attacks = " and ".join(value(attack) for attack in given.attacks)
            measure = f"robust accuracy under {attacks}" if attacks else "clean accuracy"
            return f"by {measure} after epochs {value(given.epochs, most)}"
        case Repicking():
            start = ", and before the first" if given.at_start else ""
            return f"by its own scores after every {given.every} epochs{start}"
        case LossFormula():
            return given.text
        case SeveralAttacks():
            words = {"strongest": "the strongest of", "mean": "each of", "drawn": "one of"}[given.how]
            return f"{words} {', '.join('none' if one is None else value(one) for one in given.attacks)}"
        case ScaledAttacks():
            return f"{value(given.attacks)} scaled by scores in a file of SHA-256 {given.digest[:12]}"
        case Holdout():
            return f"{share(given.share)} of {given.source}"
        case Record():
            name = given.name if isinstance(given, CatalogCall) else type(given).__name__
            args = [f"{arg}={value(v, most)}" for arg, v in settings_of(given).items() if v is not None]
            return f"{name}({', '.join(args)})" if args else name
    return str(given)


def share(number: float) -> str:
    """Return a share as a percentage: `30%`."""
    return f"{100 * number:.6g}%"


def weight(given: Weight, names: Sequence[str]) -> str:
    """Return a loss weight: a number, its formula over subsets called so, `2*|B|/|A|`, or the file of the images'."""
    if isinstance(given, ImageWeights):
        return f"scores in a file of SHA-256 {given.digest[:12]}"
    return _formula(given.formula, names) if isinstance(given, WeightFormula) else value(given)


def _formula(formula: Any, names: Sequence[str], within: str = "") -> str:
    """Return a formula, in brackets if it is `within` an operation that binds more tightly."""
    if not isinstance(formula, tuple):
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


def subset(given: Subset, classes: Sequence[str] | None, sources: Mapping[str, str]) -> str:
    """Return a subset's definition: `hardest 431 examples by snapshot-entropy of ref`.

    `classes` are the names of those it is made of, where they are known; `sources` says for each input role of its
    split what stands there.
    """
    match given:
        case OfClasses():
            names = classes if classes is not None else [str(number) for number in given.classes]
            return f"{'class' if len(names) == 1 else 'classes'} {', '.join(names)}"
        case Pick():
            return _pick(given, sources)
        case Where():
            return f"examples where {_ranking(given.ranking, sources)} {given.comparison} {value(given.threshold)}"
        case Listed():
            return f"examples listed in a file of SHA-256 {given.digest[:12]}"
        case Combined():
            left, right = _bracketed(given.left, sources), _bracketed(given.right, sources)
            return f"{left} {given.operator} {right}"
        case Origin():
            return f"images of {given.name or f'dataset index {given.start:,} to {given.end - 1:,}'}"
        case Everything():
            return "all"
        case Nothing():
            return "none"
        case Rest():
            return "rest"


def _pick(given: Pick, sources: Mapping[str, str]) -> str:
    amount = share(given.amount) if isinstance(given.amount, float) else f"{given.amount:,}"
    words = [given.order, amount, given.unit]
    words += ["per class"] if given.per_class else []
    words += [f"of {_bracketed(given.within, sources)}"] if given.within else []
    words += [f"by {_ranking(given.ranking, sources)}"] if given.ranking else []
    words += [f"seed {given.seed}"] if given.seed is not None else []
    return " ".join(words)


def _bracketed(given: Subset, sources: Mapping[str, str]) -> str:
    text = subset(given, None, sources)
    return text if isinstance(given, Everything | Nothing | Rest) else f"({text})"


def _ranking(given: Ranking, sources: Mapping[str, str]) -> str:
    if given.of is None:
        what = "ranking" if given.in_order else "scores"
        return f"{what} in a file of SHA-256 {(given.digest or '')[:12]}"
    return f"{given.score} of {given.of if given.of == ITSELF else sources[given.of]}"
