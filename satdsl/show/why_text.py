"""Print why a step has to run as `satdsl why` shows it, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from satdsl.show.terminal import WIDTH
from satdsl.show.text import KINDS

REASONS = {
    "new": "has to run: nothing like it is stored",
    "continued": "was begun and stopped; it goes on from there",
    "damaged": "has to run again: what is stored of it is damaged",
    "stored": "is stored",
    "not needed": "is not stored, and nothing needs it now",
}


def page(document: Mapping[str, Any]) -> RenderableType:
    """Return the whole page: what becomes of the step, then each comparison with what is stored."""
    step, stored = document["step"], document["stored"]
    compared = document["compared"]
    different = bool(compared) and compared[0]["nearest"] is not None
    says = "has to run" if step["reason"] == "new" and different else REASONS[step["reason"]]
    parts: list[RenderableType] = [Text(f"{step['label']} {says}", style="bold")]
    if document["damage"] is not None:
        parts.append(_indented(Text(document["damage"])))
    if stored is not None:
        parts += [_indented(Text(line)) for line in _stored(step, stored)]
    for number, one in enumerate(compared):
        if number:
            parts += [Text(""), Text(f"{one['step']['label']}{' (stored)' * _is_stored(one)}", style="bold")]
        parts += [_indented(line) for line in _compared(one)]
    return Group(*parts, *map(Text, _left_out(document["left_out"])))


def _is_stored(compared: Mapping[str, Any]) -> bool:
    return bool(compared["step"]["reason"] == "stored")


def _indented(line: RenderableType) -> RenderableType:
    return Padding(line, (0, 0, 0, 2))


def _stored(step: Mapping[str, Any], stored: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_when(stored)}, on {stored['host']} ({stored['device']}), in {stored['seconds']:.1f} s"
    yield f"key {stored['key'][:12]}, {stored['bytes']:,} bytes"
    if stored["label"] != step["label"]:
        yield f"it was made as `{stored['label']}`, which is the same step"


def _when(made: Mapping[str, Any]) -> str:
    """Return `finished 2026-11-30 20:22 UTC by satdsl 0.1.0`."""
    date, _, time = str(made["finished"]).partition("T")
    return f"finished {date} {time[:5]} UTC by satdsl {made['satdsl']}"


def _compared(one: Mapping[str, Any]) -> Iterator[RenderableType]:
    nearest, kind = one["nearest"], KINDS[one["step"]["kind"]]
    if nearest is None:
        yield Text(
            f"none of the {kind} that are stored can be read" if one["stored_of_kind"] else f"no {kind} are stored"
        )
        return
    yield Text(f"nearest stored: {nearest['label']} ({nearest['key'][:8]})")
    yield Text(f"{' ' * 16}{_when(nearest)}", style="dim")
    if one["code"] is not None:
        code = one["code"]
        yield Text(f"- version {code['to']} of the code of {kind}, was {code['from']}")
    for setting in one["settings"]:
        yield from _setting(setting)
    for given in one["inputs"]:
        yield Text(_input(given))
    if not (one["code"] or one["settings"] or one["inputs"]):
        yield Text("- its images are divided into other blocks")


def _setting(setting: Mapping[str, Any]) -> Iterator[RenderableType]:
    after, before = setting["to"], setting["from"]
    head = f"- {setting['setting']}: "
    if len(head) + len(after) + len(before) < WIDTH - 8:
        yield Text(f"{head}{after}, was {before}")
    else:
        yield Text(head.rstrip())
        yield Padding(Group(Text(f"{after}"), Text(f"was {before}")), (0, 0, 0, 4))
    if (origin := setting["origin"]) is not None:
        yield Text(f"    {_place(origin)}", style="dim", no_wrap=True, overflow="ellipsis")


def _place(origin: Mapping[str, Any]) -> str:
    if origin["line"] is None:
        return f"{origin['file']} {origin['text']}"
    default = f"default of {origin['default_of']}: " if origin["default_of"] else ""
    return f"{default}{origin['file']}:{origin['line']}  {origin['text']}"


def _input(given: Mapping[str, Any]) -> str:
    role, now, was = given["role"], given["to"], given["from"]
    if now is None:
        return f"- {role}: none, was {was}"
    if was is None:
        return f"- {role}: {now}, was none"
    return f"- {role}: another {now}" if was == now else f"- {role}: {now}, was {was}"


def _left_out(left_out: Mapping[str, Any]) -> Iterator[str]:
    damaged, newer = len(left_out["damaged"]), len(left_out["newer"])
    if damaged or newer:
        yield ""
    if damaged:
        yield f"left out: {_steps(damaged)} whose manifest cannot be read (`satdsl store verify`)"
    if newer:
        yield f"left out: {_steps(newer)} that a newer satdsl wrote"


def _steps(number: int) -> str:
    return f"{number:,} stored step{'s' * (number > 1)}"
