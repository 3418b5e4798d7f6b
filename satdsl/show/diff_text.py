"""Print the differences of two plans as `satdsl diff` shows them, readable at 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from satdsl.show.numbers import big
from satdsl.show.table import Column, Row, Table, count, numeric
from satdsl.show.terminal import Plain
from satdsl.show.text import KINDS, compact

TITLES = {
    "axes": "Sweep",
    "data_sets": "Data sets",
    "splits": "Splits",
    "trainings": "Trainings",
    "results": "Results",
    "displays": "Plots and tables",
    "claims": "Claims",
    "published": "Published values",
    "python": "Python",
}

MOST_SUBJECTS = 6
"""Names with one change in common that are listed before only their number is."""


def page(document: Mapping[str, Any]) -> RenderableType:
    """Return the whole page: what changed, part by part; the steps; what is left to run."""
    parts: list[RenderableType] = [_heading(document)]
    if document["same"]:
        return Group(*parts, Text("the same plan"), _last_line(document))
    for section, title in TITLES.items():
        rows = list(_rows(document[section]))
        if rows:
            parts += [Text(""), Text(title, style="bold"), Padding(Group(*rows), (0, 0, 0, 2))]
    steps = _steps(document["steps"])
    parts += [Text(""), Text("Steps", style="bold"), Padding(steps, (0, 0, 0, 2))]
    return Group(*parts, Text(""), _last_line(document))


def _heading(document: Mapping[str, Any]) -> Text:
    first, second = document["first"], document["second"]
    names = [
        " ".join([*side["files"][:1], *(f"{name}={value}" for name, value in side["set"].items())])
        for side in (first, second)
    ]
    text = Text(f"{names[0]} -> {names[1]}", style="bold")
    if first["title"] != second["title"]:
        text.append(f"\ntitle: {first['title']} -> {second['title']}", style="not bold")
    return text


def _last_line(document: Mapping[str, Any]) -> Text:
    """Return `to run for b.sat: 12 of 110 steps, 85.7 M image passes`."""
    total, files = document["steps"]["second"], document["second"]["files"]
    cost = total["image_passes_to_run"]["cost"]
    passes = f", {big(cost)} image passes" if cost else ""
    name = f" for {Path(files[0]).name}" if files else ""
    return Text(f"to run{name}: {total['to_run']:,} of {total['steps']:,} steps{passes}", style="bold")


# --- what changed --------------------------------------------------------------------------------


def _rows(section: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Give the settings that changed, under their owner; then what only one side has."""
    by_subjects: dict[str, list[Mapping[str, Any]]] = {}
    for change in section.get("changed", ()):
        by_subjects.setdefault(_owner(change), []).append(change)
    for owner, changes in by_subjects.items():
        yield Text(owner)
        yield Padding(_settings(changes), (0, 0, 0, 2))
    for kind, sign, style in (("removed", "-", "red"), ("added", "+", "green")):
        for entry in _entries(section.get(kind, ())):
            yield Text(f"{sign} {entry}", style=style)
    for remade in section.get("remade", ()):
        yield Text(f"{_names(remade['at'])}: made from {' and '.join(remade['because'])}, which changed", style="dim")


def _settings(changes: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return lines such as `recipe lr  0.05 -> 0.1`; long sides stand below each other."""
    rows: list[Row] = []
    for change in changes:
        before, after = change["from"], change["to"]
        gap = "\n" if len(before) + len(after) > 50 else " "
        rows.append((change["setting"] or "all of it", f"{before}{gap}-> {after}"))
    return Plain(Table([Column(), Column()], rows))


def _owner(change: Mapping[str, Any]) -> str:
    return _names(change["at"]) if "at" in change else str(change["name"])


def _entries(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Give what only one side has, the results of a training together: `sat.clean, robust (108 points)`."""
    together: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if "points" not in entry:
            yield _definition(entry)
            continue
        owner, dot, measure = entry["name"].partition(".")
        together.setdefault((owner + dot, _at(entry)), []).append(measure)
    for (owner, at), measures in together.items():
        yield owner + ", ".join(measures) + at


def _definition(entry: Mapping[str, Any]) -> str:
    """Return a claim with its condition, a display with its kind, or an axis with its values."""
    for name, text in entry.items():
        if name in ("condition", "values", "value"):
            return f"{entry['name']}: {text}"
    return f"{entry['name']} ({entry['kind']})"


def _names(subjects: Sequence[Mapping[str, Any]]) -> str:
    """Return names with their points: `ref, sat (108 points)`."""
    shown = [_name(subject) for subject in subjects[:MOST_SUBJECTS]]
    more = len(subjects) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _name(subject: Mapping[str, Any]) -> str:
    return f"{subject['name']}{_at(subject)}"


def _at(subject: Mapping[str, Any]) -> str:
    """Return an empty text, ` (108 points)`, or `[order=hardest] (9 of 108 points)`."""
    points, of = subject["points"], subject["of"]
    if len(points) == of:
        return f" ({of} points)" if of > 1 else ""
    at = ", ".join(f"{axis}={compact(labels)}" for axis, labels in subject["at"].items())
    return (f"[{at}]" if at else "") + f" ({len(points)} of {of} points)"


# --- steps ---------------------------------------------------------------------------------------


def _steps(steps: Mapping[str, Any]) -> RenderableType:
    """Return how many steps of each kind both plans have, only one has, and of the new ones are stored."""
    old, new = (Counter(step["kind"] for step in steps[side]) for side in ("only_in_first", "only_in_second"))
    stored = Counter(step["kind"] for step in steps["only_in_second"] if step["reason"] == "stored")
    rows: list[Row] = []
    for kind, label in KINDS.items():
        counts = (steps["shared_kinds"].get(kind, 0), old[kind], new[kind], stored[kind])
        if any(counts):
            rows.append((label, *map(count, counts)))
    return Plain(Table([Column(), *numeric("in both", "only before", "only after", "of these stored")], rows))
