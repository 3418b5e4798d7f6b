"""Define what a store knows of unfinished steps: who runs them and how far they are, and why some failed."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from satdsl.ir.steps import Key


@dataclass(frozen=True)
class Heartbeat:
    """How far a running step is, as its owner writes it beside the lock. Times are seconds since 1970.

    The step has done `done` of `total` units. `first` of them were done before; the others took the last `spent`
    seconds, measured by a clock that neither jumps nor counts the sleep of the machine. `seen` is when it said so.
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
    def seconds_left(self) -> float | None:
        """Seconds until the step is done at the speed it has had; None where that is not known yet."""
        done = self.done - self.first
        if done <= 0 or self.total <= 0 or self.spent <= 0:
            return None
        return max(0.0, (self.total - self.done) / done * self.spent)


@dataclass(frozen=True)
class RunningStep:
    """A step that is locked: by whom, and its last heartbeat, if there was one."""

    key: Key
    owner: str
    heartbeat: Heartbeat | None = None


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
        """Read such a record; None where it cannot be read, because a lost record is no reason to stop."""
        return _record(cls, read_json_object(content))


# --- the document that an owner writes into its lock -----------------------------------------------


def this_process() -> dict[str, Any]:
    """Describe this process as the owner of a lock."""
    return {"process": os.getpid(), "host": os.uname().nodename}


def with_heartbeat(document: dict[str, Any], heartbeat: Heartbeat) -> dict[str, Any]:
    """Return the document of a lock with a heartbeat in it."""
    return document | {"heartbeat": asdict(heartbeat)}


def owner_name(document: dict[str, Any]) -> str:
    """Return who owns the lock with this document, for messages: `process 4711 on node3`."""
    if not document.keys() >= {"process", "host"}:
        return "another process"
    return f"process {document['process']} on {document['host']}"


def running_step(key: Key, document: dict[str, Any]) -> RunningStep:
    """Return what the document of a lock says of its step."""
    heartbeat = document.get("heartbeat")
    return RunningStep(
        key, owner_name(document), _record(Heartbeat, heartbeat) if isinstance(heartbeat, dict) else None
    )


def read_json_object(content: bytes) -> dict[str, Any]:
    """Parse a JSON object; return an empty one where that fails: a file that is being written may be cut."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_T = TypeVar("_T", Heartbeat, FailedStep)

_TYPES: dict[Any, Any] = {"str": str, "Key": str, "float": (int, float)}

_MOMENTS = {"began", "seen", "time"}

_YEAR_10000 = 253_402_300_800.0


def _is_possible(name: str, value: Any) -> bool:
    """Return whether a value can be shown: a damaged file may hold any number."""
    if isinstance(value, str):
        return True
    return 0 <= value < _YEAR_10000 if name in _MOMENTS else math.isfinite(value)


def _record(cls: type[_T], document: dict[str, Any]) -> _T | None:
    """Return the record in a document, None if it is none. Fields that only a newer satdsl knows are left out."""
    types = {field.name: _TYPES[field.type] for field in fields(cls)}
    given = {name: value for name, value in document.items() if name in types}
    if not all(isinstance(value, types[name]) and _is_possible(name, value) for name, value in given.items()):
        return None
    try:
        return cls(**given)
    except TypeError:
        return None
