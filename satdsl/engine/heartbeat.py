"""What a store knows of steps that are not finished: who runs them and how far they are, and why some failed."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from satdsl.ir.steps import Key


@dataclass(frozen=True)
class Sign:
    """A running step's sign of life, as its owner writes it beside the lock. Times are seconds since 1970.

    The step has done `done` of `total` units, all but `first` of them in the last `spent` seconds, which no jump of the
    clock and no sleep of the machine enters; `seen` is when it said so.
    """

    label: str
    kind: str
    began: float
    seen: float
    first: float = 0.0
    done: float = 0.0
    total: float = 0.0
    note: str = ""
    spent: float = 0.0

    @property
    def left(self) -> float | None:
        """Seconds until it is done, at the speed it has had; None where that is not known yet."""
        done = self.done - self.first
        if done <= 0 or self.total <= 0 or self.spent <= 0:
            return None
        return max(0.0, (self.total - self.done) / done * self.spent)

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Sign | None:
        """The sign in an owner's document; None where there is none."""
        return _made(cls, document)


@dataclass(frozen=True)
class Running:
    """A step that is locked: by whom, and its last sign of life, if it has given one."""

    key: Key
    owner: str
    sign: Sign | None = None


@dataclass(frozen=True)
class FailedStep:
    """Why a step failed the last time it was tried. `time` is in seconds since 1970, `details` a traceback or ""."""

    key: Key
    label: str
    kind: str
    reason: str
    help: str
    details: str
    time: float
    owner: str

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> FailedStep | None:
        """None where it cannot be read: a record that is lost is no reason to stop."""
        return _made(cls, read_document(content))


def read_document(content: bytes) -> dict[str, Any]:
    """A JSON object, or an empty one: what is being written at this moment may be cut."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def here() -> dict[str, Any]:
    """This process, as a lock's document names it."""
    return {"process": os.getpid(), "host": os.uname().nodename}


def owner_in(document: dict[str, Any]) -> str:
    """Whom a lock's document names, for messages: `process 4711 on node3`."""
    if not document.keys() >= {"process", "host"}:
        return "another process"
    return f"process {document['process']} on {document['host']}"


_T = TypeVar("_T", Sign, FailedStep)

_TYPES: dict[Any, Any] = {"str": str, "Key": str, "float": (int, float)}

_MOMENTS = {"began", "seen", "time"}

_YEAR_10000 = 253_402_300_800.0


def _is_possible(name: str, value: Any) -> bool:
    """Whether a number is one that can be shown: a damaged file may hold any."""
    if isinstance(value, str):
        return True
    return 0 <= value < _YEAR_10000 if name in _MOMENTS else math.isfinite(value)


def _made(cls: type[_T], document: dict[str, Any]) -> _T | None:
    """The record that a document holds. What a newer satdsl says besides is left out."""
    types = {field.name: _TYPES[field.type] for field in fields(cls)}
    given = {name: value for name, value in document.items() if name in types}
    if not all(isinstance(value, types[name]) and _is_possible(name, value) for name, value in given.items()):
        return None
    try:
        return cls(**given)
    except TypeError:
        return None
