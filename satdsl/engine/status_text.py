"""Render a status document as `satdsl status` prints it, readable at 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from satdsl.engine.progress import duration, shorten
from satdsl.engine.status import STATES, ago, left_now
from satdsl.show.text import KINDS

SILENT = 90.0
"""After so many seconds without a heartbeat, the page says so."""

_STYLES = {"done": "green", "running": "cyan", "failed": "bold red", "waiting": ""}


def page(document: dict[str, Any], width: int) -> Group:
    """Return the whole page, for a terminal of so many columns."""
    steps = document["steps"]
    shown: list[RenderableType] = [Text(document["title"] or f"store {document['store']}", style="bold")]
    if document["variant"]:
        shown.append(Text(document["variant"]))
    if document["title"]:
        shown += [Text(""), Padding(_kinds(steps), (0, 0, 0, 2))]
    for state, part in (("running", _running), ("failed", _failed)):
        mine = [step for step in steps if step["state"] == state]
        if mine:
            shown += [Text(""), Text(state.capitalize(), style="bold")]
            shown += [Padding(line, (0, 0, 0, 2)) for step in mine for line in part(step, width - 2)]
    return Group(*shown, Text(""), *_waiting(steps), *_last(document))


def summary(document: dict[str, Any]) -> str:
    """Return in one line how many steps are in which state."""
    counts = document["counts"]
    return ", ".join(f"{counts[state]:,} {state}" for state in STATES if counts[state]) or "nothing is done yet"


def _kinds(steps: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    for state in STATES:
        table.add_column(state, justify="right")
    for kind, label in KINDS.items():
        found = Counter(step["state"] for step in steps if step["kind"] == kind)
        if any(found[state] for state in STATES):
            numbers = (Text(f"{found[state]:,}" if found[state] else "-", style=_STYLES[state]) for state in STATES)
            table.add_row(label, *numbers)
    return table


def _running(step: dict[str, Any], width: int) -> Iterator[Text]:
    yield Text(shorten(step["label"] or step["key"][:12], width))
    facts = [f"{step['done'] / step['total']:.0%}"] if step.get("total") else []
    if step.get("blocks"):
        facts.append(f"{step['blocks']['done']} of {step['blocks']['count']} blocks done")
    left = left_now(step)
    if left is not None:
        facts.append(f"{duration(left)} left")
    facts.append(step["owner"])
    if "seen" in step and ago(step["seen"]) > SILENT:
        facts.append(f"no sign of life for {duration(ago(step['seen']))}")
    for line in (", ".join(facts), step.get("note")):
        if line:
            yield Text(f"  {shorten(line, width - 2)}", style="dim")


def _failed(step: dict[str, Any], width: int) -> Iterator[Text]:
    yield Text(shorten(step["label"], width), style="bold red")
    yield Text(f"  {duration(ago(step['time']))} ago, {step['owner']}", style="dim")
    for text in (step["reason"], step["help"]):
        if text:
            yield Text(f"  {text}")


def _waiting(steps: list[dict[str, Any]]) -> Iterator[Text]:
    waiting = [step for step in steps if step["state"] == "waiting"]
    if not waiting:
        return
    found = Counter(step["for"] for step in waiting)
    saved = sum(step["saved"] for step in waiting)
    words = [
        f"{found['ready']:,} can run" if found["ready"] else "",
        f"{found['for others']:,} wait for others" if found["for others"] else "",
        f"{found['blocked']:,} need what failed" if found["blocked"] else "",
    ]
    begun = f"; {saved:,} go on from what they saved" if saved else ""
    yield Text(f"waiting: {', '.join(filter(None, words))}{begun}")


def _last(document: dict[str, Any]) -> Iterator[Text]:
    yield Text(summary(document), style="bold")
    left = document["work_left"]
    if left:
        least = "at least" if left["at_least"] else "about"
        yield Text(f"{least} {duration(left['seconds'])} of one worker's time left")
