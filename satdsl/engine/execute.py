"""One step at its place: locked, done with its inputs, and stored. The part of a run that any process can take."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from satdsl.engine.disk import is_full
from satdsl.engine.events import ArtifactDamaged, StepProgress
from satdsl.engine.heartbeat import Sign
from satdsl.engine.staleness import Reason
from satdsl.engine.store import Damaged, Lock, Store, StoreError
from satdsl.ir.steps import Key, Step
from satdsl.ir.work import Progress, StepError, Work

Perform = Callable[[Step, Work], None]
"""Does one step: reads `work.inputs`, leaves files in `work.out`; raises `StepError` where it cannot."""


@dataclass(frozen=True)
class Task:
    """A step to do, what the file calls it, and why it is to run."""

    step: Step
    label: str
    reason: Reason

    @property
    def key(self) -> Key:
        return self.step.key


@dataclass(frozen=True)
class Place:
    """What a process does steps with: code, data sets' folder, torch device, leave to download.

    A training takes `devices` of them.
    """

    perform: Perform
    data_root: Path = Path("data")
    device: str = "cpu"
    download: bool = False
    devices: int = 1


@dataclass(frozen=True)
class Failure:
    """Why a step could not be done. `details` is the traceback of an error that nobody foresaw."""

    label: str
    reason: str
    help: str = ""
    details: str = ""


@dataclass(frozen=True)
class Began:
    """The step is locked and its inputs are sound."""


@dataclass(frozen=True)
class Finished:
    """The artifact is stored; `seconds` of wall time."""

    seconds: float


@dataclass(frozen=True)
class Reused:
    """Another process has stored the artifact in the meantime."""


@dataclass(frozen=True)
class Busy:
    """Another process (`owner`) has the step."""

    owner: str


@dataclass(frozen=True)
class BadInput:
    """The artifact `key`, which the step is made from, is missing or damaged."""

    key: Key


@dataclass(frozen=True)
class Failed:
    failure: Failure


@dataclass(frozen=True)
class StoreFailed:
    """The store cannot be used: `StoreError`'s reason and help. No step can run."""

    reason: str
    help: str


@dataclass(frozen=True)
class Lost:
    """The process or machine that did the step is gone, for `reason`; another can go on from what was saved."""

    reason: str


Ending = Finished | Reused | Busy | BadInput | Failed | StoreFailed | Lost
"""What came of an attempt."""

Told = Began | StepProgress | ArtifactDamaged
"""What an attempt tells before it ends."""


def attempt(task: Task, store: Store, place: Place, tell: Callable[[Told], None]) -> Ending:
    """Do the step unless another process does or has. A keyboard interrupt passes; what the step saved is kept."""
    try:
        lock = store.lock(task.key)
        if lock is None:
            return Busy(store.owner(task.key))
        with lock:
            return Reused() if _is_done(task, store, tell) else _do(task, store, place, tell, lock)
    except StoreError as error:
        return StoreFailed(error.reason, error.help)


def _is_done(task: Task, store: Store, tell: Callable[[Told], None]) -> bool:
    """Whether the artifact is there although the step was to run. The step's lock is held."""
    if not store.look(task.key):
        return False
    fault = store.inspect(task.key)
    if fault is not None:
        tell(ArtifactDamaged(task.key, task.label, fault, store.set_aside(task.key, fault)))
        return False
    return task.reason != "forced"


class _Taken(Exception):
    """Another process has taken the step over, believing this one dead."""


def _do(task: Task, store: Store, place: Place, tell: Callable[[Told], None], lock: Lock) -> Ending:
    try:
        inputs = {role: store.input(source) for role, source in task.step.inputs}
    except Damaged as damaged:
        return BadInput(damaged.key)
    tell(Began())
    try:
        return Finished(_made(task, store, place, inputs, lock, tell))
    except _Taken:
        return Busy(store.owner(task.key))
    except StoreError:
        raise
    except Exception as error:
        if is_full(error):
            raise _full(task, store) from error
        return Failed(failure(task.label, error))
    finally:
        store.discard(task.key)


def _made(
    task: Task, store: Store, place: Place, inputs: Mapping[str, Path], lock: Lock, tell: Callable[[Told], None]
) -> float:
    """Perform the step and store what it left; the seconds it took."""
    started = time.monotonic()
    continued = store.is_begun(task.key)
    work = Work(
        inputs=inputs,
        out=store.begin(task.key),
        scratch=store.scratch(task.key),
        data_root=place.data_root,
        device=place.device,
        download=place.download,
        devices=place.devices,
        report=_Reporter(task, store, lock, tell, continued=continued),
    )
    place.perform(task.step, work)
    seconds = time.monotonic() - started
    return store.commit(task.step, task.label, seconds=seconds, continued=continued, device=place.device).seconds


class _Reporter:
    """Passes signs of life on. They come from the step's own thread: what it has saved is whole at that moment."""

    def __init__(self, task: Task, store: Store, lock: Lock, tell: Callable[[Told], None], *, continued: bool) -> None:
        self._key = task.key
        self._store = store
        self._lock = lock
        self._tell = tell
        self._since = None if continued else time.monotonic()
        now = time.time()
        self._sign = Sign(task.label, task.step.kind, began=now, seen=now)
        lock.tell(self._sign)

    def __call__(self, progress: Progress) -> None:
        if not self._lock.held:
            raise _Taken
        self._store.save(self._key)
        now, sign, total = time.monotonic(), self._sign, float(progress.total)
        first = sign.first
        # What an earlier run had done, or what was counted in another unit, is no measure of this run's speed.
        if self._since is None or (sign.total and sign.total != total) or progress.done < first:
            self._since, first = now, float(progress.done)
        self._sign = replace(
            sign,
            seen=time.time(),
            first=first,
            done=float(progress.done),
            total=total,
            note=progress.note,
            spent=now - self._since,
        )
        self._lock.tell(self._sign)
        self._tell(StepProgress(self._key, progress.done, progress.total, progress.note))


def failure(label: str, error: Exception) -> Failure:
    """What an error is to the user: the reason and the way out where it was foreseen, else with its traceback."""
    if isinstance(error, StepError):
        return Failure(label, error.reason, error.help)
    return Failure(label, f"{type(error).__name__}: {error}", details="".join(traceback.format_exception(error)))


def _full(task: Task, store: Store) -> StoreError:
    folder, setting = store.workplace
    return StoreError(
        f"no room was left on the disk while {task.label} ran (in {folder})",
        f"make room or choose another place with {setting}; everything finished so far is kept",
    )
