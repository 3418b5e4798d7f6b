"""A plan document to the page that `satdsl explain` prints: rows grouped, readable at 80 columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

GAP = 2
"""Spaces between columns."""

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


def page(document: dict[str, Any]) -> RenderableType:
    """The whole page."""
    shown: list[RenderableType] = [Text(document["title"], style="bold")]
    for title, body in parts(document):
        shown += [Text(""), Text(title, style="bold"), Padding(body, (0, 0, 0, 2))]
    return Group(*shown, Text(""), *_reasons(document), last_line(document))


def parts(document: dict[str, Any]) -> Iterator[tuple[str, RenderableType]]:
    """What the page is made of, each part under its title."""
    for title, body in (
        ("Made small for this smoke run", _smoke(document)),
        ("Sweep", _sweep(document)),
        ("Splits", _splits(document)),
        ("Trainings", _trainings(document)),
        ("Results", _results(document)),
        ("Steps", _steps(document)),
        ("Cost", _cost(document)),
    ):
        if body is not None:
            yield title, body


def last_line(document: dict[str, Any]) -> Text:
    """`to run: 12 of 110 steps`."""
    totals = document["totals"]
    return Text(f"to run: {totals['to_run']:,} of {totals['steps']:,} steps", style="bold")


class _Plain(Table):
    """A table of plain text. rich renders each cell for itself, which is only needed where lines have to be broken."""

    def add_row(self, *cells: str) -> None:  # type: ignore[override]
        super().add_row(*map(Text, cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [[*[column.header] * self.show_header, *map(str, column.cells)] for column in self.columns]
        widths = [max(map(cell_len, map(str, column)), default=0) for column in columns]
        if self.caption or sum(widths) + GAP * (len(widths) - 1) > options.max_width:
            yield from super().__rich_console__(console, options)
            return
        for i, row in enumerate(zip(*columns, strict=True)):
            cells = [
                " " * (width - cell_len(cell)) + cell if column.justify == "right" else set_cell_size(cell, width)
                for cell, width, column in zip(map(str, row), widths, self.columns, strict=True)
            ]
            header = self.show_header and i == 0
            yield Segment((" " * GAP).join(cells), console.get_style("dim") if header else None)
            yield Segment.line()


def _table(*columns: tuple[str, bool], whole: Collection[str] = ()) -> Table:
    """Columns and whether they are of numbers; those, and the ones that are `whole`, keep each cell in one line."""
    table = _Plain(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for name, is_number in columns:
        table.add_column(
            name, justify="right" if is_number else "left", no_wrap=is_number or name in whole, overflow="fold"
        )
    return table


def compact(values: Iterable[str]) -> str:
    """`10%, 20%, ..., 90%`: a few values as they are, many by their ends."""
    listed = list(values)
    return ", ".join(listed) if len(listed) <= 4 else f"{listed[0]}, {listed[1]}, ..., {listed[-1]}"


# --- sections ------------------------------------------------------------------------------------


def _smoke(document: dict[str, Any]) -> Text | None:
    return Text("\n".join(document["smoke"])) if document["smoke"] else None


def _sweep(document: dict[str, Any]) -> Table | None:
    if not document["axes"]:
        return None
    table = _table(("", False), ("", True), ("", False))
    table.show_header = False
    for axis in document["axes"]:
        table.add_row(f"${axis['name']}", str(len(axis["values"])), compact(axis["values"]))
    return table


def _splits(document: dict[str, Any]) -> Group | None:
    """A table for each split, with a row for each of its sizes and weights."""
    tables: list[RenderableType] = []
    for name, found in _grouped(document["splits"], lambda split: split["name"]):
        title = f"{name} of {found[0]['dataset']}: {len(found)} split{'s' * (len(found) > 1)}"
        tables += [Text(title), Padding(_split_table(found), (0, 0, 0, 2))]
    return Group(*tables) if tables else None


def _split_table(found: list[dict[str, Any]]) -> Table:
    names = list(found[0]["subsets"])
    groups = _grouped(found, lambda split: repr([_facts(split["subsets"][name]) for name in names]))
    table = _table(("at", False), ("runs", True), *((name, True) for name in names))
    for _, same in groups[:MOST_ROWS]:
        cells = [_cell([split["subsets"][name] for split in same]) for name in names]
        table.add_row(_points(same, found), str(len(same)), *cells)
    if len(groups) > MOST_ROWS:
        table.add_row(f"and {len(groups) - MOST_ROWS} more like these")
    return table


def _facts(subset: dict[str, Any]) -> tuple[Any, ...]:
    return subset["size"], subset["class_count"], subset["weight"]


def _cell(subsets: list[dict[str, Any]]) -> str:
    """`5,000, weight 9, cat`: what some instances of a subset have in common."""
    size, count, weight = _facts(subsets[0])
    words = [f"{size:,}" if size is not None else subsets[0]["known"]]
    if weight != 1:
        words.append(f"weight {weight:.4g}" if weight is not None else f"weight {subsets[0]['known']}")
    if count is not None:
        names = subsets[0]["classes"]
        same = all(subset["classes"] == names for subset in subsets)
        words.append(names[0] if names and same and len(names) == 1 else f"{count} class{'es' * (count != 1)}")
    return ", ".join(words)


def _points(same: list[dict[str, Any]], every: list[dict[str, Any]]) -> str:
    """Where in the sweep some instances stand, by the axes that set them apart from the others."""
    words = []
    for axis in same[0]["point"]:
        mine = {instance["point"][axis] for instance in same}
        others = [instance for instance in every if instance["point"][axis] not in mine]
        alike = {tuple(v for a, v in instance["point"].items() if a != axis) for instance in same}
        if any(tuple(v for a, v in other["point"].items() if a != axis) in alike for other in others):
            words.append(f"{axis}={compact(dict.fromkeys(i['point'][axis] for i in same))}")
    return "; ".join(words)


def _trainings(document: dict[str, Any]) -> Table | None:
    steps = {step["key"]: step for step in document["steps"]}
    found = [
        training | {"step": steps[training["key"]]} for training in document["trainings"] if training["key"] in steps
    ]
    if not found:
        return None
    table = _table(
        ("name", False),
        ("runs", True),
        ("model", False),
        ("epochs", True),
        ("attacked with", False),
        ("passes each", True),
        whole=("name", "model"),
    )
    for name, group in _grouped(found, lambda training: training["name"]):
        unique = list({training["key"]: training["step"] for training in group}.values())
        settings = [step["settings"] for step in unique]
        costs = [step["image_passes"]["cost"] for step in unique]
        table.add_row(
            _broken(name),
            str(len(unique)),
            compact(dict.fromkeys(_model(step["settings"]) for step in unique)),
            compact(dict.fromkeys(str(one["recipe"]["epochs"]) for one in settings)),
            compact(dict.fromkeys(_attacks(one) for one in settings)),
            _between(min(costs), max(costs)),
        )
    return table


def _broken(name: str) -> str:
    """A name, a long one in lines that end in `_`."""
    lines = [""]
    for piece in re.findall(r"[^_]*_|[^_]+", name):
        if lines[-1] and len(lines[-1]) + len(piece) > MOST_LETTERS:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _between(low: float, high: float) -> str:
    """`29.6 to 88.3 M`: two counts, with their unit once where it is the same."""
    least, most = big(low), big(high)
    if least == most:
        return most
    number, _, unit = least.partition(" ")
    return f"{number} to {most}" if unit and most.endswith(f" {unit}") else f"{least} to {most}"


def _model(settings: dict[str, Any]) -> str:
    if "model" not in settings:
        return f"head: {settings['head']['name']}"
    return f"{settings['model']['name']}{', pretrained' if settings['pretrained'] else ''}"


def _attacks(settings: dict[str, Any]) -> str:
    attacked = [subset for subset in settings.get("subsets", ()) if subset["attack"]]
    return compact(dict.fromkeys(_training_text(subset) for subset in attacked)) or "nothing"


def _training_text(subset: dict[str, Any]) -> str:
    loss = subset["loss"]
    return attack_text(subset["attack"]) + (f" ({loss['name']} {loss['beta']:.4g})" if loss else "")


def attack_text(attack: dict[str, Any]) -> str:
    """`pgd-7 L2 0.5`."""
    steps = f"-{attack['steps']}" if "steps" in attack else ""
    return f"{attack['name']}{steps} {attack.get('norm', '')} {attack.get('eps', 0):.4g}"


def _results(document: dict[str, Any]) -> Table | None:
    if not document["results"]:
        return None
    steps = {step["key"]: step for step in document["steps"]}
    table = _table(("result", False), ("points", True), ("measure", False), ("on", False), whole=("result",))
    for name, group in _grouped(document["results"], lambda result: result["result"]):
        measures = dict.fromkeys(_measure(result, steps) for result in group)
        parts = compact(dict.fromkeys(result["part"] for result in group))
        by_class = ", by class" if group[0]["by_class"] else ""
        table.add_row(name, str(len(group)), compact(measures), parts + by_class)
    return table


def _measure(result: dict[str, Any], steps: dict[str, Any]) -> str:
    if result["measure"] != "accuracy":
        return str(result["measure"])
    attacks = [steps[key]["settings"]["attack"] for key in result["steps"]]
    named = [attack_text(attack) for attack in attacks if attack]
    return f"robust accuracy, {' and '.join(named)}" if named else "clean accuracy"


def _steps(document: dict[str, Any]) -> Table:
    table = _table(("", False), ("steps", True), ("stored", True), ("forward", True), ("forward+backward", True))
    for kind, label in KINDS.items():
        mine = [step for step in document["steps"] if step["kind"] == kind]
        if mine:
            most = any(step["image_passes"]["at_most"] for step in mine)
            numbers = [sum(step["image_passes"][way] for step in mine) for way in ("forward", "forward_backward")]
            stored = sum(step["stored"] for step in mine)
            table.add_row(
                label,
                f"{len(mine):,}",
                f"{stored:,}",
                *(("≤ " if most else "") + big(n) if n else "-" for n in numbers),
            )
    return table


def _cost(document: dict[str, Any]) -> Table:
    totals = document["totals"]
    against = totals["against"]
    separate = against["every_row_separately"]
    table = _table(("", False), ("passes", True), ("this plan", True))
    whole = totals["image_passes"]
    left = totals["image_passes_to_run"]
    table.add_row("this plan", big(whole["cost"]), "")
    table.add_row("what is left of it to run", big(left["cost"]), _percent(left["cost"], whole["cost"]))
    full = against["full_adversarial_training"]
    table.add_row("the same, every image attacked", big(full["cost"]), _share(full["ratio"]))
    table.add_row(f"its {separate['rows']:,} rows run separately", big(separate["cost"]), _share(separate["ratio"]))
    bound = "; an upper bound: what is broken already is not attacked" if whole["at_most"] else ""
    table.caption = f"in forward+backward image passes, a forward pass alone counting 1/3{bound}"
    table.caption_justify = "left"
    return table


def _share(ratio: float | None) -> str:
    return f"{ratio:.0%} of it" if ratio is not None else ""


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.0%} left" if whole else ""


def _reasons(document: dict[str, Any]) -> Iterator[Text]:
    counts: dict[str, int] = {}
    for step in document["steps"]:
        counts[step["reason"]] = counts.get(step["reason"], 0) + 1
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
    """A count in words: 12,345 or 85.7 M."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{round(number):,}"
