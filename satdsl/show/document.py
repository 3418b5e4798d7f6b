"""Turn a plan into a document of plain data, which `explain` shows in every format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from satdsl.ir.minutes import Minutes
from satdsl.ir.part_of_plan import closure
from satdsl.ir.plan import Display, Passes, Plan, Point, Result, Selected, SplitFacts, added
from satdsl.ir.steps import Key
from satdsl.records import Record
from satdsl.show import minutes as times
from satdsl.version import __version__

FORMAT_VERSION = 1

DONE = ("stored", "not needed")
"""What becomes of steps that do not run."""


def plan_document(
    plan: Plan,
    reasons: Mapping[Key, str],
    because: Mapping[Key, str] = MappingProxyType({}),
    minutes: Minutes | None = None,
) -> dict[str, Any]:
    """Return the whole plan. `reasons` has what becomes of each step (`stored`, `not needed`, `new`, ...).

    `because` has in what steps that run differ from stored ones, in short; `minutes` how long those take that run.
    """
    whole = {} if minutes is None else times.whole(plan, minutes)
    return {
        "format_version": FORMAT_VERSION,
        "satdsl": __version__,
        "title": plan.title,
        "set": dict(plan.variant.values),
        "only": list(plan.variant.only),
        "smoke": list(plan.smoke),
        "files": list(plan.files),
        "python": [{"file": code.path, "sha256": code.digest, "functions": list(names)} for code, names in plan.python],
        "axes": [{"name": name, "values": list(values)} for name, values in plan.axes.items()],
        "steps": [
            _step(plan, key, reason, because.get(key))
            | ({} if minutes is None else {"seconds": times.step_document(whole.get(key))})
            for key, reason in shown_reasons(plan, reasons).items()
        ],
        "trainings": [
            {"name": name, "point": dict(point), "key": key}
            for name, points in plan.named.items()
            for point, key in points
        ],
        "splits": [_split(facts) for facts in plan.splits],
        "results": [_result(result) for result in plan.results],
        "displays": [_display(display) for display in plan.displays],
        "claims": [
            _fields(claim, "comparisons")
            | {"condition": claim.condition or " and ".join(c.text for c in claim.comparisons)}
            for claim in plan.claims
        ],
        "labels": [_fields(one) for one in plan.given_labels],
        "published": [_fields(one) | {"at": dict(one.at)} for one in plan.published],
        "totals": totals(plan, reasons),
        **({} if minutes is None else {"time": times.document(plan, minutes)}),
    }


def shown_reasons(plan: Plan, reasons: Mapping[Key, str]) -> dict[Key, str]:
    """Return what becomes of each step that is shown: an evaluation of which a block is done or begun is continued."""
    found = {}
    for key, step in plan.shown.items():
        found[key] = reasons.get(key, "")
        if found[key] == "new" and {reasons[block] for block in step.blocks} & {"stored", "continued"}:
            found[key] = "continued"
    return found


def _step(plan: Plan, key: Key, reason: str, because: str | None) -> dict[str, Any]:
    step = plan.steps[key]
    return {
        "key": key,
        "kind": step.kind,
        "label": plan.labels[key],
        "settings": step.settings_document,
        "inputs": dict(step.sources),
        "blocks": len(step.blocks),
        "image_passes": passes(plan.whole_passes(key)),
        "stored": reason == "stored",
        "reason": reason,
        "because": because,
    }


def passes(count: Passes) -> dict[str, Any]:
    """Return image passes as data: whole images, with `cost` in forward-and-backward passes."""
    return {
        "forward": round(count.forward),
        "forward_backward": round(count.forward_backward),
        "cost": round(count.cost),
        "at_most": count.at_most,
        "unknown": count.unknown,
    }


def _fields(record: Record, *left_out: str) -> dict[str, Any]:
    """Return the fields of a record as data, in their order."""
    named = {field.name: getattr(record, field.name) for field in fields(record)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in named.items()
        if name not in left_out
    }


def _split(facts: SplitFacts) -> dict[str, Any]:
    subsets = {subset.name: _fields(subset, "name") for subset in facts.subsets}
    return _fields(facts, "order", "images") | {"point": dict(facts.point), "subsets": subsets}


def _result(result: Result) -> dict[str, Any]:
    return {
        "result": result.name,
        "point": dict(result.point),
        "part": result.part.name,
        "by_class": result.by_class,
        "measure": "accuracy" if result.measure.unit == "share" else result.measure.words,
        "steps": list(result.measure.steps),
        "file": result.file,
        "line": result.line,
    }


def _display(display: Display) -> dict[str, Any]:
    chosen = {"results": display.results, "baselines": display.baselines}
    return _fields(display) | {name: [_selected(one) for one in results] for name, results in chosen.items()}


def _selected(chosen: Selected) -> dict[str, Any]:
    return {"result": chosen.name, "at": dict(chosen.at)}


# --- totals --------------------------------------------------------------------------------------


def totals(plan: Plan, reasons: Mapping[Key, str]) -> dict[str, Any]:
    """Return the steps and image passes of the plan, of what is left to run, and of two other ways to run it."""
    to_run = [key for key, reason in reasons.items() if reason not in DONE]
    everything = _sum(plan, plan.steps)
    whole = added([plan.attacked_whole.get(key) or plan.passes.get(key) or Passes() for key in plan.steps])
    return {
        "steps": len(plan.shown),
        "kinds": dict(Counter(step.kind for step in plan.shown.values())),
        "blocks": len(plan.steps) - len(plan.shown),
        "stored": sum(reasons[key] == "stored" for key in plan.shown),
        "to_run": sum(key in plan.shown for key in to_run),
        "image_passes": passes(everything),
        "image_passes_to_run": passes(_sum(plan, to_run)),
        "selection": _selection(plan),
        "against": {
            "full_adversarial_training": passes(whole) | {"ratio": _ratio(everything, whole)},
            "every_row_separately": _separate(plan),
        },
    }


def _sum(plan: Plan, keys: Iterable[Key]) -> Passes:
    return added([plan.passes[key] for key in keys if key in plan.passes])


def _selection(plan: Plan) -> dict[str, Any] | None:
    """Return what choosing checkpoints costs in the whole plan: at most, and where the first attacks decide."""
    costs = [cost for key, cost in plan.selecting.items() if key in plan.steps]
    if not costs:
        return None
    found = {"at_most": [one.most for one in costs], "first_attacks_decide": [one.first_decide for one in costs]}
    return {name: passes(added(each)) for name, each in found.items()}


def _ratio(part: Passes, whole: Passes) -> float | None:
    return round(part.cost / whole.cost, 4) if whole.cost else None


def _separate(plan: Plan) -> dict[str, Any]:
    """Return the cost of a separate run for every measured network at every point, with nothing shared.

    Each trains and scores what it needs itself, and has passes of its own for each line of `evaluate`.
    """
    rows: dict[tuple[str, Point], dict[str, tuple[Key, ...]]] = {}
    for result in plan.results:
        network, _, line = result.name.partition(".")
        point = tuple(entry for entry in result.point if entry[0] in plan.axes)
        lines = rows.setdefault((network, point), {})
        lines[line] = tuple(dict.fromkeys((*lines.get(line, ()), *result.measure.steps)))
    kinds: Counter[str] = Counter()
    cost = Passes()
    for lines in rows.values():
        asked = [key for keys in lines.values() for key in keys]
        needed = closure(plan, asked)
        asked = [key for key in asked if plan.steps[key].kind == "evaluate"] + sorted(
            key for key in needed if plan.steps[key].kind != "evaluate"
        )
        kinds.update(plan.steps[key].kind for key in asked)
        cost += added([plan.whole_passes(key) for key in asked])
    return passes(cost) | {"rows": len(rows), "kinds": dict(kinds), "ratio": _ratio(_sum(plan, plan.steps), cost)}
