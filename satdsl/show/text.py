"""Turn a plan document into the page that `satdsl explain` prints: rows grouped, readable at 80 columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from satdsl.show.table import Column, Row, Table, Value, count, numeric
from satdsl.show.terminal import Plain

MOST_ROWS = 12
"""Rows of one split that are shown; the document has all."""

MOST_LETTERS = 15
"""Of a training's name in one line."""

KINDS = {
    "data": "data sets",
    "train": "trainings",
    "score": "scorings",
    "split": "splits",
    "evaluate": "evaluations",
    "head": "transfers",
}


Part = str | Table


def page(document: dict[str, Any]) -> RenderableType:
    """Return the whole page."""
    shown: list[RenderableType] = [Text(document["title"], style="bold")]
    for title, parts in sections(document):
        shown += [Text(""), Text(title, style="bold"), *(Padding(_shown(part), (0, 0, 0, 2)) for part in parts)]
    return Group(*shown, Text(""), *_reasons(document), last_line(document))


def _shown(part: Part) -> RenderableType:
    if isinstance(part, str):
        return Text(part)
    return Group(Text(part.title), Padding(Plain(part), (0, 0, 0, 2))) if part.title else Plain(part)


def sections(document: dict[str, Any]) -> Iterator[tuple[str, list[Part]]]:
    """Give what the page is made of: the title of each section, and the sentences and tables in it."""
    found: tuple[tuple[str, list[Part]], ...] = (
        ("Made small for this smoke run", _smoke(document)),
        ("Sweep", _sweep(document)),
        ("Splits", _splits(document)),
        ("Trainings", _trainings(document)),
        ("Results", _results(document)),
        ("Steps", [_steps(document)]),
        ("Cost", [_cost(document)]),
    )
    yield from ((title, parts) for title, parts in found if parts)


def last_line(document: dict[str, Any]) -> Text:
    """Return `to run: 12 of 110 steps`."""
    totals = document["totals"]
    return Text(f"to run: {totals['to_run']:,} of {totals['steps']:,} steps", style="bold")


def compact(values: Iterable[str]) -> str:
    """Return a few values as they are, and many by their ends: `10%, 20%, ..., 90%`."""
    listed = list(values)
    return ", ".join(listed) if len(listed) <= 4 else f"{listed[0]}, {listed[1]}, ..., {listed[-1]}"


# --- sections ------------------------------------------------------------------------------------


def _smoke(document: dict[str, Any]) -> list[Part]:
    return ["\n".join(document["smoke"])] if document["smoke"] else []


def _sweep(document: dict[str, Any]) -> list[Part]:
    rows: list[Row] = [
        (f"${axis['name']}", count(len(axis["values"])), compact(axis["values"])) for axis in document["axes"]
    ]
    return [Table([Column(), *numeric(""), Column()], rows)] if rows else []


def _splits(document: dict[str, Any]) -> list[Part]:
    """Return a table for each split, with a row for each of its sizes and weights."""
    return [_split_table(name, found) for name, found in _grouped(document["splits"], lambda split: split["name"])]


def _split_table(split: str, found: list[dict[str, Any]]) -> Table:
    names = list(found[0]["subsets"])
    groups = _grouped(found, lambda split: repr([_facts(split["subsets"][name]) for name in names]))
    rows: list[Row] = []
    for _, same in groups[:MOST_ROWS]:
        cells = [_subset([split["subsets"][name] for split in same]) for name in names]
        rows.append((_points(same, found), count(len(same)), *cells))
    if len(groups) > MOST_ROWS:
        rows.append((f"and {len(groups) - MOST_ROWS} more like these", "", *[""] * len(names)))
    title = f"{split} of {found[0]['dataset']}: {len(found)} split{'s' * (len(found) > 1)}"
    return Table([Column("at"), *numeric("runs", *names)], rows, title)


def _facts(subset: dict[str, Any]) -> tuple[Any, ...]:
    return subset["size"], subset["class_count"], subset["weight"]


def _subset(subsets: list[dict[str, Any]]) -> Value:
    """Return what some instances of a subset have in common: `5,000, weight 9, cat`."""
    size, class_count, weight = _facts(subsets[0])
    words = [f"{size:,}" if size is not None else subsets[0]["known"]]
    if weight != 1:
        words.append(f"weight {weight:.4g}" if weight is not None else f"weight {subsets[0]['known']}")
    if class_count is not None:
        names = subsets[0]["classes"]
        same = all(subset["classes"] == names for subset in subsets)
        several = f"{class_count} class{'es' * (class_count != 1)}"
        words.append(names[0] if names and same and len(names) == 1 else several)
    return Value(", ".join(words), size)


def _points(same: list[dict[str, Any]], every: list[dict[str, Any]]) -> str:
    """Return the place of some instances in the sweep, by the axes in which they differ from the others."""
    words = []
    for axis in same[0]["point"]:
        mine = {instance["point"][axis] for instance in same}
        others = [instance for instance in every if instance["point"][axis] not in mine]
        alike = {tuple(v for a, v in instance["point"].items() if a != axis) for instance in same}
        if any(tuple(v for a, v in other["point"].items() if a != axis) in alike for other in others):
            words.append(f"{axis}={compact(dict.fromkeys(i['point'][axis] for i in same))}")
    return "; ".join(words)


def _trainings(document: dict[str, Any]) -> list[Part]:
    steps = {step["key"]: step for step in document["steps"]}
    found = [
        training | {"step": steps[training["key"]]} for training in document["trainings"] if training["key"] in steps
    ]
    rows: list[Row] = []
    for name, group in _grouped(found, lambda training: training["name"]):
        unique = list({training["key"]: training["step"] for training in group}.values())
        settings = [step["settings"] for step in unique]
        epochs = [one["recipe"]["epochs"] for one in settings]
        rows.append(
            (
                _broken(name),
                count(len(unique)),
                compact(dict.fromkeys(map(_model, settings))),
                Value(compact(dict.fromkeys(map(str, epochs))), epochs[0]),
                compact(dict.fromkeys(map(_attacks, settings))),
                _between([step["image_passes"]["cost"] for step in unique]),
            )
        )
    columns = [
        Column("name", unbroken=True),
        *numeric("runs"),
        Column("model", unbroken=True),
        *numeric("epochs"),
        Column("attacked with"),
        *numeric("passes each"),
    ]
    return [Table(columns, rows)] if rows else []


def _broken(name: str) -> str:
    """Return a name, broken into lines that end in `_` if it is long."""
    lines = [""]
    for piece in re.findall(r"[^_]*_|[^_]+", name):
        if lines[-1] and len(lines[-1]) + len(piece) > MOST_LETTERS:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _between(costs: list[float]) -> Value:
    """Return the least and the most cost, `29.6 to 88.3 M`, with the unit once if both have the same."""
    least, most = big(min(costs)), big(max(costs))
    if least == most:
        return Value(most, min(costs))
    number, _, unit = least.partition(" ")
    return Value(f"{number} to {most}" if unit and most.endswith(f" {unit}") else f"{least} to {most}", min(costs))


def _model(settings: dict[str, Any]) -> str:
    if "model" not in settings:
        return f"head: {settings['head']['name']}"
    return f"{settings['model']['name']}{', pretrained' if settings['pretrained'] else ''}"


def _attacks(settings: dict[str, Any]) -> str:
    attacked = [subset for subset in settings.get("subsets", ()) if subset["attack"]]
    return compact(dict.fromkeys(_training_text(subset) for subset in attacked)) or "nothing"


def _training_text(subset: dict[str, Any]) -> str:
    loss = subset["loss"] or {}
    words = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in loss.values()]
    return attack_text(subset["attack"]) + (f" ({' '.join(words)})" if words else "")


def attack_text(attack: dict[str, Any]) -> str:
    """Return an attack in short: `pgd-7 L2 0.5`."""
    steps = f"-{attack['steps']}" if "steps" in attack else ""
    return f"{attack['name']}{steps} {attack.get('norm', '')} {attack.get('eps', 0):.4g}"


def _results(document: dict[str, Any]) -> list[Part]:
    steps = {step["key"]: step for step in document["steps"]}
    rows: list[Row] = []
    for name, group in _grouped(document["results"], lambda result: result["result"]):
        measures = dict.fromkeys(_measure(result, steps) for result in group)
        parts = compact(dict.fromkeys(result["part"] for result in group))
        by_class = ", by class" if group[0]["by_class"] else ""
        rows.append((name, count(len(group)), compact(measures), parts + by_class))
    columns = [Column("result", unbroken=True), *numeric("points"), Column("measure"), Column("on")]
    return [Table(columns, rows)] if rows else []


def _measure(result: dict[str, Any], steps: dict[str, Any]) -> str:
    if result["measure"] != "accuracy":
        return str(result["measure"])
    attacks = [steps[key]["settings"]["attack"] for key in result["steps"]]
    named = [attack_text(attack) for attack in attacks if attack]
    return f"robust accuracy, {' and '.join(named)}" if named else "clean accuracy"


def _steps(document: dict[str, Any]) -> Table:
    rows: list[Row] = []
    for kind, label in KINDS.items():
        mine = [step for step in document["steps"] if step["kind"] == kind]
        if mine:
            bound = "≤ " * any(step["image_passes"]["at_most"] for step in mine)
            passes = [sum(step["image_passes"][way] for step in mine) for way in ("forward", "forward_backward")]
            stored = sum(step["stored"] for step in mine)
            cells = (Value(bound + big(number) if number else "-", number) for number in passes)
            rows.append((label, count(len(mine)), count(stored), *cells))
    return Table([Column(), *numeric("steps", "stored", "forward", "forward+backward")], rows)


def _cost(document: dict[str, Any]) -> Table:
    totals = document["totals"]
    whole, left, against = totals["image_passes"], totals["image_passes_to_run"], totals["against"]
    full, separate = against["full_adversarial_training"], against["every_row_separately"]
    rows: list[Row] = [
        ("this plan", Value(big(whole["cost"]), whole["cost"]), ""),
        ("what is left of it to run", Value(big(left["cost"]), left["cost"]), _percent(left["cost"], whole["cost"])),
        ("the same, every image attacked", Value(big(full["cost"]), full["cost"]), _share(full["ratio"])),
        (
            f"its {separate['rows']:,} rows run separately",
            Value(big(separate["cost"]), separate["cost"]),
            _share(separate["ratio"]),
        ),
    ]
    bound = "; an upper bound: what is broken already is not attacked" if whole["at_most"] else ""
    note = f"in forward+backward image passes, a forward pass alone counting 1/3{bound}"
    return Table([Column(), *numeric("passes", "this plan")], rows, notes=[note])


def _share(ratio: float | None) -> str:
    return f"{ratio:.0%} of it" if ratio is not None else ""


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.0%} left" if whole else ""


def _reasons(document: dict[str, Any]) -> Iterator[Text]:
    counts = Counter(step["reason"] for step in document["steps"])
    yield Text(", ".join(f"{count:,} {reason}" for reason, count in counts.items()), style="dim")
    notable = [step for step in document["steps"] if step["reason"] in ("damaged", "continued", "forced")]
    for step in notable[:5]:
        yield Text(f"  {step['reason']}: {step['label']}")


def _grouped(items: Iterable[Any], by: Any) -> list[tuple[Any, list[Any]]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(by(item), []).append(item)
    return list(groups.items())


def big(number: float) -> str:
    """Return a count as people write it: 12,345 or 85.7 M."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{round(number):,}"
