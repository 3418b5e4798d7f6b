"""Compare two plans in a document of plain data: which settings differ, and which steps are new because of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from satdsl.ir.plan import Accuracy, Plan, Result
from satdsl.ir.steps import CatalogCall, Data, Evaluate, Head, Key, Split, Train, settings_of
from satdsl.records import Record, record
from satdsl.show.document import plan_document, shown_reasons
from satdsl.show.wording import MOST, share, subset, value, weight
from satdsl.version import __version__

FORMAT_VERSION = 1

Point = Mapping[str, str]


@record
class Instance(Record):
    """A data set, split, training or result at a point, with its settings and the steps it is made from."""

    name: str
    point: Point
    settings: Mapping[str, Any]
    key: Key | None = None
    made_from: Mapping[str, Key] = field(default_factory=dict)


@record
class Change(Record):
    """A setting that is `before` in the first plan and `after` in the second, in words."""

    setting: str
    before: str
    after: str


def diff_document(first: Plan, second: Plan, reasons: Mapping[Key, str]) -> dict[str, Any]:
    """Return what changes from `first` to `second`. `reasons` has what becomes of each step of the second."""
    before, after = plan_document(first, dict.fromkeys(first.steps, "new")), plan_document(second, reasons)
    document = {
        "format_version": FORMAT_VERSION,
        "satdsl": __version__,
        "first": _side(first),
        "second": _side(second),
        "axes": _axes(first, second),
        "data_sets": _compared(_data_sets(first), _data_sets(second), first, second),
        "splits": _compared(_splits(first), _splits(second), first, second),
        "trainings": _compared(_trainings(first), _trainings(second), first, second),
        "results": _compared(_results(first), _results(second), first, second),
        "displays": _listed(_by_title(before["displays"]), _by_title(after["displays"])),
        "claims": _listed(_conditions(first), _conditions(second)),
        "published": _listed(_published(first), _published(second)),
        "python": _listed(_python(first), _python(second)),
        "steps": _steps(first, second, reasons, after["totals"]),
    }
    return document | {"same": first.steps.keys() == second.steps.keys() and not any(_changes(document))}


def _side(plan: Plan) -> dict[str, Any]:
    return {"title": plan.title, "files": list(plan.files), "set": dict(plan.variant.values)}


SECTIONS = ("axes", "data_sets", "splits", "trainings", "results", "displays", "claims", "published", "python")
"""The parts of the document that hold changes, each `added`, `removed` and `changed`."""


def _changes(document: Mapping[str, Any]) -> Iterator[Any]:
    yield document["first"]["title"] != document["second"]["title"]
    for section in SECTIONS:
        yield from (entries for kind, entries in document[section].items() if kind != "remade")


# --- what there is to compare --------------------------------------------------------------------


def _data_sets(plan: Plan) -> list[Instance]:
    return [
        Instance(_name(plan, key), {}, {"name": step.settings.source.name, **settings_of(step.settings.source)}, key)
        for key, step in plan.steps.items()
        if isinstance(step.settings, Data)
    ]


def _splits(plan: Plan) -> list[Instance]:
    found = []
    for facts in plan.splits:
        step = plan.steps[facts.key]
        assert isinstance(step.settings, Split)
        made_from = dict(step.inputs)
        sources = {role: _ranked_by(plan, key) for role, key in made_from.items()}
        places = sorted(range(len(facts.order)), key=lambda place: facts.order[place])
        settings: dict[str, Any] = {"of": facts.dataset, "holdout": step.settings.holdout}
        for place in places:
            named, given = facts.subsets[facts.order[place]], step.settings.subsets[place]
            settings[named.name] = subset(given, named.classes, sources)
            settings[f"|{named.name}|"] = f"{named.size:,}" if named.size is not None else f"known {named.known}"
        found.append(Instance(facts.name, dict(facts.point), settings, facts.key, made_from))
    return found


def _trainings(plan: Plan) -> list[Instance]:
    found = []
    for name, points in plan.named.items():
        for point, key in points:
            step = plan.steps[key]
            assert isinstance(step.settings, Train | Head)
            made_from, settings = dict(step.inputs), settings_of(step.settings)
            names = plan.subsets_of(key)
            if settings.get("part") is not None:
                settings["part"] = names[settings["part"]]
            for called, given in zip(names, settings.pop("subsets", ()), strict=False):
                settings[called] = settings_of(given) | {
                    "weight": weight(given.weight, names),
                    "share": given.share if given.share is None else share(given.share),
                }
            found.append(Instance(name, dict(point), settings, key, made_from))
    return found


def _results(plan: Plan) -> list[Instance]:
    parts: dict[str, set[str]] = {}
    for result in plan.results:
        parts.setdefault(result.name, set()).add(result.part.name)
    found = []
    for result in plan.results:
        point = dict(result.point) | ({"part": result.part.name} if len(parts[result.name]) > 1 else {})
        found.append(Instance(result.name, point, _measure(plan, result)))
    return found


def _measure(plan: Plan, result: Result) -> dict[str, Any]:
    shown: dict[str, Any] = {"measure": result.measure.words, "on": result.part.name, "by class": result.by_class}
    attacks = result.measure.attacks
    if attacks:
        shown["under"] = attacks[0] if len(attacks) == 1 else attacks
    if isinstance(result.measure, Accuracy) and result.measure.radius is not None:
        shown["radius"] = result.measure.radius
    epoch = plan.epoch_of(result)
    if epoch is not None:
        shown["weights after epoch"] = epoch
    if any(result.measure.made_on):
        shown["made on"] = tuple(of or "the network itself" for of in result.measure.made_on)
    evaluations = [plan.steps[key].settings for key in result.measure.evaluations]
    holdouts = [one.holdout for one in evaluations if isinstance(one, Evaluate)]
    return shown | ({"holdout": holdouts[0]} if holdouts else {})


def _ranked_by(plan: Plan, key: Key) -> str:
    """Return what the file calls the network behind a ranking, with its epoch and its attack: `ref under pgd`."""
    label = plan.labels[key]
    return label.partition(" of ")[2] if plan.steps[key].kind == "score" else _name(plan, key)


def _name(plan: Plan, key: Key) -> str:
    """Return what the file calls a step at any point: `ref` for `train ref[order=hardest]`."""
    return plan.labels[key].partition(" ")[2].partition("[")[0]


# --- instances beside each other -----------------------------------------------------------------


def _compared(before: list[Instance], after: list[Instance], first: Plan, second: Plan) -> dict[str, Any]:
    """Return the names and points that only one plan has, and the settings that differ at points of both."""
    old, new = _by_name(before), _by_name(after)
    at: dict[Change, dict[str, list[Point]]] = {}
    remade: dict[tuple[str, ...], dict[str, list[Point]]] = {}
    added, removed = _alone(new, old), _alone(old, new)
    for name in (name for name in new if name in old):
        pairs, only_old, only_new = _paired(old[name], new[name])
        added += [_subject(name, only_new, new[name])] if only_new else []
        removed += [_subject(name, only_old, old[name])] if only_old else []
        for one, other in pairs:
            changes = list(_differences((), one.settings, other.settings))
            for change in changes:
                at.setdefault(change, {}).setdefault(name, []).append(other.point)
            if not changes and one.key != other.key:
                remade.setdefault(_causes(one, other, second), {}).setdefault(name, []).append(other.point)
    changed = [
        {"setting": change.setting, "from": change.before, "to": change.after, "at": _subjects(points, new)}
        for change, points in at.items()
    ]
    found = [{"because": list(because), "at": _subjects(points, new)} for because, points in remade.items()]
    return _kept(added=added, removed=removed, changed=changed, remade=found)


def _by_name(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    found: dict[str, list[Instance]] = {}
    for instance in instances:
        found.setdefault(instance.name, []).append(instance)
    return found


def _alone(mine: Mapping[str, list[Instance]], theirs: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_subject(name, [one.point for one in mine[name]], mine[name]) for name in mine if name not in theirs]


def _paired(
    before: list[Instance], after: list[Instance]
) -> tuple[list[tuple[Instance, Instance]], list[Point], list[Point]]:
    """Pair instances at the same point; an axis that only one plan has is left out of the comparison.

    Of several that then stand at one point, equal ones are paired, else the first is taken.
    """
    axes = sorted(before[0].point.keys() & after[0].point.keys())
    place: Callable[[Instance], tuple[str, ...]] = lambda one: tuple(one.point[axis] for axis in axes)  # noqa: E731
    old: dict[tuple[str, ...], list[Instance]] = {}
    for one in before:
        old.setdefault(place(one), []).append(one)
    pairs, alone, met = [], [], set()
    for other in after:
        candidates = old.get(place(other), [])
        if not candidates:
            alone.append(other.point)
            continue
        met.add(place(other))
        pairs.append((next((one for one in candidates if one.key == other.key), candidates[0]), other))
    return pairs, [one.point for one in before if place(one) not in met], alone


def _causes(one: Instance, other: Instance, plan: Plan) -> tuple[str, ...]:
    """Return what has changed among the things that an instance is made from."""
    new = [key for role, key in other.made_from.items() if one.made_from.get(role) != key]
    return tuple(dict.fromkeys(plan.labels[key].partition("[")[0] for key in new))


def _differences(path: tuple[str, ...], before: Any, after: Any) -> Iterator[Change]:
    """Give the innermost settings that differ."""
    if before == after and type(before) is type(after):
        return
    if _alike(before, after):
        old, new = ({**side} if isinstance(side, Mapping) else settings_of(side) for side in (before, after))
        for name in dict.fromkeys([*old, *new]):
            yield from _differences((*path, name), old.get(name), new.get(name))
    elif isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after) == 1:
        yield from _differences(path, before[0], after[0])
    else:
        shown = [value(side, MOST) for side in (before, after)]
        if shown[0] == shown[1]:
            shown = [value(side) for side in (before, after)]
        yield Change(" ".join(path), *shown)


def _alike(before: Any, after: Any) -> bool:
    """Whether both are settings of the same thing, which can be compared one by one."""
    if isinstance(before, CatalogCall) and isinstance(after, CatalogCall):
        return before.name == after.name
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return bool(before.get("name") == after.get("name"))
    return isinstance(before, Record) and type(before) is type(after)


def _subjects(points: Mapping[str, list[Point]], every: Mapping[str, list[Instance]]) -> list[dict[str, Any]]:
    return [_subject(name, found, every[name]) for name, found in points.items()]


def _subject(name: str, points: Sequence[Point], every: Sequence[Instance]) -> dict[str, Any]:
    """Return a name with some of its points; `of` counts all its points, `at` has the labels that single these out."""
    at = {axis: list(dict.fromkeys(point[axis] for point in points)) for axis in points[0]}
    apart = {axis: found for axis, found in at.items() if len(found) < len({one.point[axis] for one in every})}
    return {"name": name, "at": apart, "points": [dict(point) for point in points], "of": len(every)}


# --- what has no points --------------------------------------------------------------------------


def _axes(first: Plan, second: Plan) -> dict[str, Any]:
    before = {name: {"values": list(values)} for name, values in first.axes.items()}
    after = {name: {"values": list(values)} for name, values in second.axes.items()}
    return _listed(before, after)


def _by_title(displays: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        display["title"]: {
            name: [_selected(one) for one in entry] if name in ("results", "baselines") else entry
            for name, entry in display.items()
            if name not in ("title", "file", "line")
        }
        for display in displays
    }


def _selected(chosen: Mapping[str, Any]) -> str:
    at = ", ".join(f"{axis}={label}" for axis, label in chosen["at"].items())
    return f"{chosen['result']}[{at}]" if at else str(chosen["result"])


def _conditions(plan: Plan) -> dict[str, dict[str, Any]]:
    found: dict[str, list[str]] = {}
    for claim in plan.claims:
        found.setdefault(claim.text, []).append(" and ".join(c.text for c in claim.comparisons))
    return {text: {"condition": "; ".join(conditions)} for text, conditions in found.items()}


def _published(plan: Plan) -> dict[str, dict[str, Any]]:
    return {
        _selected({"result": one.result, "at": dict(one.at)}): {"value": one.value, "source": one.source}
        for one in plan.published
    }


def _python(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return the Python files that a run executes, by their names, with the digest of their code."""
    return {Path(code.path).name: {"sha256": code.digest[:12]} for code, _ in plan.python}


def _listed(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    changed = [
        {"name": name, "setting": change.setting, "from": change.before, "to": change.after}
        for name in after
        if name in before
        for change in _differences((), before[name], after[name])
    ]
    added = [{"name": name, **_words(after[name])} for name in after if name not in before]
    removed = [{"name": name, **_words(before[name])} for name in before if name not in after]
    return _kept(added=added, removed=removed, changed=changed)


def _words(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: value(entry, MOST) for name, entry in settings.items() if entry not in (None, [], (), "")}


def _kept(**found: list[Any]) -> dict[str, Any]:
    return {name: entries for name, entries in found.items() if entries}


# --- steps ---------------------------------------------------------------------------------------


def _steps(first: Plan, second: Plan, reasons: Mapping[Key, str], totals: Mapping[str, Any]) -> dict[str, Any]:
    shown = shown_reasons(second, reasons)
    new = [key for key in shown if key not in first.steps]
    return {
        "shared": len(shown) - len(new),
        "only_in_first": [_step(first, key) for key in first.shown if key not in second.steps],
        "only_in_second": [_step(second, key) | {"reason": shown[key]} for key in new],
        "shared_kinds": dict(Counter(step.kind for key, step in second.shown.items() if key in first.steps)),
        "second": {name: totals[name] for name in ("steps", "stored", "to_run", "image_passes_to_run")},
    }


def _step(plan: Plan, key: Key) -> dict[str, Any]:
    return {"key": key, "kind": plan.steps[key].kind, "label": plan.labels[key]}
