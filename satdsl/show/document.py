"""A plan to a document of plain data: what `explain` shows, in every format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from satdsl.errors import RequestError
from satdsl.hints import did_you_mean
from satdsl.ir.plan import (
    Accuracy,
    Arithmetic,
    Claim,
    Expression,
    Passes,
    Plan,
    Point,
    Reduced,
    Result,
    Selected,
    SplitFacts,
    added,
)
from satdsl.ir.steps import Key
from satdsl.version import __version__

FORMAT_VERSION = 1


class UnknownName(RequestError, LookupError):
    """The plan has nothing of the name that is asked for; `help` has a near name, or those that there are."""

    def __init__(self, name: str, plan: Plan) -> None:
        known = [*plan.named, *dict.fromkeys(result.name for result in plan.results)]
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
        super().__init__(f"the plan has no training and no result `{name}`", str(hint))


def plan_document(plan: Plan, reasons: Mapping[Key, str]) -> dict[str, Any]:
    """The whole plan. `reasons` says of each step what becomes of it (`stored`, `not needed`, `new`, ...)."""
    return {
        "format_version": FORMAT_VERSION,
        "satdsl": __version__,
        "title": plan.title,
        "smoke": list(plan.smoke),
        "files": list(plan.files),
        "axes": [{"name": name, "values": list(values)} for name, values in plan.axes.items()],
        "steps": [_step(plan, key, reasons[key]) for key in plan.steps],
        "trainings": [
            {"name": name, "point": dict(point), "key": key}
            for name, points in plan.named.items()
            for point, key in points
        ],
        "splits": [_split(facts) for facts in plan.splits],
        "results": [_result(result) for result in plan.results],
        "displays": [_display(display) for display in plan.displays],
        "claims": [
            {
                "text": claim.text,
                "condition": claim.condition or " and ".join(c.text for c in claim.comparisons),
                "file": claim.file,
                "line": claim.line,
            }
            for claim in plan.claims
        ],
        "published": [
            {
                "result": one.result,
                "at": dict(one.at),
                "value": one.value,
                "source": one.source,
                "file": one.file,
                "line": one.line,
            }
            for one in plan.published
        ],
        "totals": totals(plan, reasons),
    }


def _step(plan: Plan, key: Key, reason: str) -> dict[str, Any]:
    step = plan.steps[key]
    return {
        "key": key,
        "kind": step.kind,
        "label": plan.labels[key],
        "settings": step.settings_document,
        "inputs": dict(step.inputs),
        "image_passes": passes(plan.passes.get(key, Passes())),
        "stored": reason == "stored",
        "reason": reason,
    }


def passes(count: Passes) -> dict[str, Any]:
    """Image passes as data: whole images, `cost` in forward-and-backward passes."""
    return {
        "forward": round(count.forward),
        "forward_backward": round(count.forward_backward),
        "cost": round(count.cost),
        "at_most": count.at_most,
    }


def _split(facts: SplitFacts) -> dict[str, Any]:
    return {
        "name": facts.name,
        "point": dict(facts.point),
        "dataset": facts.dataset,
        "key": facts.key,
        "subsets": {
            subset.name: {
                "size": subset.size,
                "classes": list(subset.classes) if subset.classes is not None else None,
                "class_count": subset.class_count,
                "weight": subset.weight,
                "known": subset.known,
            }
            for subset in facts.subsets
        },
    }


def _result(result: Result) -> dict[str, Any]:
    measure = result.measure
    if isinstance(measure, Accuracy):
        what: dict[str, Any] = {"measure": "accuracy", "steps": list(measure.evaluations)}
    else:
        what = {"measure": f"mean {measure.score}", "steps": [measure.of]}
    return {
        "result": result.name,
        "point": dict(result.point),
        "part": result.part.name,
        "by_class": result.by_class,
        **what,
        "file": result.file,
        "line": result.line,
    }


def _display(display: Any) -> dict[str, Any]:
    return {
        "title": display.title,
        "kind": display.kind,
        "results": [_selected(chosen) for chosen in display.results],
        "x": display.x,
        "y": display.y,
        "series": list(display.series),
        "mean": list(display.mean),
        "baselines": [_selected(chosen) for chosen in display.baselines],
        "file": display.file,
        "line": display.line,
    }


def _selected(chosen: Selected) -> dict[str, Any]:
    return {"result": chosen.name, "at": dict(chosen.at)}


# --- totals --------------------------------------------------------------------------------------


def totals(plan: Plan, reasons: Mapping[Key, str]) -> dict[str, Any]:
    """Numbers of steps and of image passes: of the plan, of what is left to do, and of two other ways to do it."""
    to_run = [key for key, reason in reasons.items() if reason not in ("stored", "not needed")]
    kinds: dict[str, int] = {}
    for step in plan.steps.values():
        kinds[step.kind] = kinds.get(step.kind, 0) + 1
    everything = _sum(plan, plan.steps)
    whole = added([plan.attacked_whole.get(key) or plan.passes.get(key) or Passes() for key in plan.steps])
    return {
        "steps": len(plan.steps),
        "kinds": kinds,
        "stored": sum(reason == "stored" for reason in reasons.values()),
        "to_run": len(to_run),
        "image_passes": passes(everything),
        "image_passes_to_run": passes(_sum(plan, to_run)),
        "against": {
            "full_adversarial_training": passes(whole) | {"ratio": _ratio(everything, whole)},
            "every_row_separately": _separate(plan),
        },
    }


def _sum(plan: Plan, keys: Iterable[Key]) -> Passes:
    return added([plan.passes[key] for key in keys if key in plan.passes])


def _ratio(part: Passes, whole: Passes) -> float | None:
    return round(part.cost / whole.cost, 4) if whole.cost else None


def _separate(plan: Plan) -> dict[str, Any]:
    """A run of its own for every measured network at every point, nothing shared between them.

    Each trains and scores what it needs itself, and has passes of its own for each line of `evaluate`.
    """
    rows: dict[tuple[str, Point], dict[str, tuple[Key, ...]]] = {}
    for result in plan.results:
        network, _, line = result.name.partition(".")
        measure = result.measure
        keys = measure.evaluations if isinstance(measure, Accuracy) else (measure.of,)
        lines = rows.setdefault((network, result.point), {})
        lines[line] = tuple(dict.fromkeys((*lines.get(line, ()), *keys)))
    kinds: Counter[str] = Counter()
    cost = Passes()
    for lines in rows.values():
        asked = [key for keys in lines.values() for key in keys]
        needed = closure(plan, asked)
        asked = [key for key in asked if plan.steps[key].kind == "evaluate"] + sorted(
            key for key in needed if plan.steps[key].kind != "evaluate"
        )
        kinds.update(plan.steps[key].kind for key in asked)
        cost += _sum(plan, asked)
    return passes(cost) | {"rows": len(rows), "kinds": dict(kinds), "ratio": _ratio(_sum(plan, plan.steps), cost)}


def closure(plan: Plan, keys: Iterable[Key]) -> set[Key]:
    """Some steps and all they depend on."""
    found: set[Key] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += [used for _, used in plan.steps[key].inputs]
    return found


# --- parts of a plan -----------------------------------------------------------------------------


def only(plan: Plan, names: Collection[str]) -> Plan:
    """The part of a plan that some results or trainings need (`sat.robust`, `sat`, `sat[share=30%]`).

    Raises:
        UnknownName: nothing in the plan is called so.
    """
    keys: set[Key] = set()
    results: dict[int, Result] = {}
    for name in names:
        owner, at = parse_point(name)
        found = [
            i for i, r in enumerate(plan.results) if _called(r.name, owner) and at.items() <= dict(r.point).items()
        ]
        trained = [key for point, key in plan.named.get(owner, ()) if at.items() <= dict(point).items()]
        if not found and not trained:
            raise UnknownName(name, plan)
        keys.update(trained)
        for i in found:
            results[i] = plan.results[i]
            measure = plan.results[i].measure
            keys.update(measure.evaluations if isinstance(measure, Accuracy) else (measure.of,))
            keys.update(key for key in (plan.results[i].part.split, plan.results[i].part.data) if key is not None)
    needed = closure(plan, keys)
    kept = tuple(results[i] for i in sorted(results))
    return replace(
        plan,
        steps={key: step for key, step in plan.steps.items() if key in needed},
        results=kept,
        displays=tuple(d for d in plan.displays if _whole((*d.results, *d.baselines), plan, kept)),
        claims=tuple(c for c in plan.claims if _whole(_mentioned(c), plan, kept)),
        published=tuple(p for p in plan.published if _whole([Selected(p.result, p.at)], plan, kept)),
        splits=tuple(facts for facts in plan.splits if facts.key in needed),
        named={name: tuple(p for p in points if p[1] in needed) for name, points in plan.named.items()},
    )


def parse_point(name: str) -> tuple[str, dict[str, str]]:
    """`sat[share=30%]` to the name and the labels that are picked."""
    owner, bracket, rest = name.partition("[")
    pairs = [pair.partition("=") for pair in rest.removesuffix("]").split(",")] if bracket else []
    return owner.strip(), {axis.strip(): label.strip() for axis, _, label in pairs}


def _called(result: str, name: str) -> bool:
    return name in (result, result.partition(".")[0])


def _whole(asked: Iterable[Selected], plan: Plan, kept: Collection[Result]) -> bool:
    """Whether every point that something asks for is among the results that are kept."""
    return all(_count(one, plan.results) == _count(one, kept) for one in asked)


def _count(asked: Selected, results: Iterable[Result]) -> int:
    wanted = {(axis, label) for axis, label in asked.at if axis not in ("part", "class")}
    return sum(result.name == asked.name and wanted <= set(result.point) for result in results)


def _mentioned(claim: Claim) -> Iterator[Selected]:
    for comparison in claim.comparisons:
        yield from mentions(comparison.left)
        yield from mentions(comparison.right)


def mentions(expression: Expression) -> Iterator[Selected]:
    """The results that an expression asks for."""
    match expression:
        case Selected():
            yield expression
        case Arithmetic():
            yield from mentions(expression.left)
            yield from mentions(expression.right)
        case Reduced():
            yield from mentions(expression.over)
