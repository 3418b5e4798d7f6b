"""Execute one step, in any process: lock it, fetch its inputs, perform it and store what it left."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from satdsl.engine.disk import is_full
from satdsl.engine.errors import Damaged, StoreError
from satdsl.engine.events import ArtifactDamaged, StepPrinted, StepProgress, StepStops
from satdsl.engine.heartbeat import Heartbeat
from satdsl.engine.staleness import Reason
from satdsl.engine.store import Lock, Store
from satdsl.ir.steps import Key, Step
from satdsl.ir.work import Computation, Progress, StepError, Work

Perform = Callable[[Step, Work], None]
"""Performs one step: reads `work.inputs` and leaves files in `work.out`; raises `StepError` where it cannot."""


@dataclass(frozen=True)
class Task:
    """A step to execute, what the specification calls it, and why it is to run."""

    step: Step
    label: str
    reason: Reason

    @property
    def key(self) -> Key:
        return self.step.key


@dataclass(frozen=True)
class ExecutionContext:
    """What a process executes steps with: the code, the folder of data sets, the torch device, leave to download.

    A training uses `devices` devices. A step may use `cores` cores; None stands for all that the process may use.
    """

    perform: Perform
    data_root: Path = Path("data")
    device: str = "cpu"
    download: bool = False
    devices: int = 1
    cores: int | None = None


@dataclass(frozen=True)
class Failure:
    """Why a step could not be executed. `details` is the traceback of an unexpected error, or of a plug-in's."""

    label: str
    reason: str
    help: str = ""
    details: str = ""


@dataclass(frozen=True)
class TaskStarted:
    """The step is locked and its inputs are sound."""


TaskEvent = TaskStarted | StepProgress | StepPrinted | StepStops | ArtifactDamaged
"""What a task reports before its result."""

Notify = Callable[[TaskEvent], None]


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
    """The step cannot be executed."""

    failure: Failure


@dataclass(frozen=True)
class StoreFailed:
    """The store cannot be used, so that no step can run. The fields are those of `StoreError`."""

    reason: str
    help: str


@dataclass(frozen=True)
class Lost:
    """The process or machine that executed the step is gone, for `reason`; another can continue from what was saved."""

    reason: str


TaskResult = Finished | Reused | Busy | BadInput | Failed | StoreFailed | Lost


def execute(task: Task, store: Store, context: ExecutionContext, notify: Notify) -> TaskResult:
    """Execute the step unless another process does or has.

    A keyboard interrupt passes through; what the step saved is kept.
    """
    try:
        lock = store.lock(task.key)
        if lock is None:
            return Busy(store.owner(task.key))
        with lock:
            if _is_stored(task, store, notify):
                return Reused()
            return _execute_locked(task, store, context, notify, lock)
    except StoreError as error:
        return StoreFailed(error.reason, error.help)


def _is_stored(task: Task, store: Store, notify: Notify) -> bool:
    """Return whether the artifact is there although the step was to run. The lock of the step is held."""
    if not store.recheck(task.key):
        return False
    fault = store.check_sizes(task.key)
    if fault is not None:
        notify(ArtifactDamaged(task.key, task.label, fault, store.quarantine(task.key, fault)))
        return False
    return task.reason != "forced"


class _LockLost(Exception):
    """Another process has taken the step over because it believed this one dead."""


def _execute_locked(task: Task, store: Store, context: ExecutionContext, notify: Notify, lock: Lock) -> TaskResult:
    try:
        inputs = {role: store.fetch(source) for role, source in task.step.inputs}
    except Damaged as damaged:
        return BadInput(damaged.key)
    notify(TaskStarted())
    reporter = _Reporter(task, store, lock, notify)
    try:
        return Finished(_perform_and_commit(task, store, context, inputs, reporter))
    except KeyboardInterrupt:
        reporter.interrupted()
        raise
    except _LockLost:
        return Busy(store.owner(task.key))
    except StoreError:
        raise
    except Exception as error:
        if is_full(error):
            raise _disk_full(task, store) from error
        return Failed(failure(task.label, error))
    finally:
        store.discard(task.key)


def _perform_and_commit(
    task: Task, store: Store, context: ExecutionContext, inputs: Mapping[str, Path], report: _Reporter
) -> float:
    """Perform the step and store what it left; return the seconds it took."""
    started = time.monotonic()
    continued = store.has_scratch(task.key)
    report.start(continued=continued)
    computed: list[Computation] = []
    work = Work(
        inputs=inputs,
        out=store.begin(task.key),
        scratch=store.scratch(task.key),
        data_root=context.data_root,
        device=context.device,
        download=context.download,
        devices=context.devices,
        cores=context.cores,
        report=report,
        printed=report.printed,
        computed=computed.append,
        stops=report.stops,
    )
    context.perform(task.step, work)
    seconds = time.monotonic() - started
    return store.commit(
        task.step,
        task.label,
        seconds=seconds,
        continued=continued,
        device=context.device,
        computed=computed[-1] if computed else None,
    ).seconds


class _Reporter:
    """Passes the progress of a step on, to the lock as heartbeats and to the runner as events.

    The thread of the step itself calls it, so that the scratch folder is whole at that moment and can be saved.
    """

    def __init__(self, task: Task, store: Store, lock: Lock, notify: Notify) -> None:
        self._key = task.key
        self._store = store
        self._lock = lock
        self._notify = notify
        now = time.time()
        self._heartbeat = Heartbeat(task.label, task.step.kind, began=now, seen=now)
        self._measured_since: float | None = None
        self._told = False

    def start(self, *, continued: bool) -> None:
        """Send the first heartbeat. A `continued` step reports first what an earlier run had done."""
        self._measured_since = None if continued else time.monotonic()
        self._lock.beat(self._heartbeat)

    def __call__(self, progress: Progress) -> None:
        if not self._lock.held:
            raise _LockLost
        self._store.save(self._key)
        now, last, total = time.monotonic(), self._heartbeat, float(progress.total)
        first = last.first
        # What an earlier run had done, or what was counted in another unit, says nothing about the speed of this run.
        if self._measured_since is None or (last.total and last.total != total) or progress.done < first:
            self._measured_since, first = now, float(progress.done)
        self._heartbeat = replace(
            last,
            seen=time.time(),
            first=first,
            done=float(progress.done),
            total=total,
            note=progress.note,
            spent=now - self._measured_since,
        )
        self._lock.beat(self._heartbeat)
        self._notify(StepProgress(self._key, progress.done, progress.total, progress.note))

    def printed(self, line: str) -> None:
        """Pass on a line that a plug-in prints."""
        self._notify(StepPrinted(self._key, self._heartbeat.label, line))

    def interrupted(self) -> None:
        """Say how far an interrupted step is, unless it has said so itself."""
        if self._told:
            return
        now = self._heartbeat
        if not self._store.has_scratch(self._key):
            self.stops("nothing of it is saved, and it begins anew")
        elif now.total:
            self.stops(f"what it has saved is kept; it was at {now.done:,.0f} of {now.total:,.0f} ({now.note})")
        else:
            self.stops("what it has saved is kept")

    def stops(self, text: str) -> None:
        """Pass on what the interrupted step still does, or keeps."""
        self._told = True
        self._notify(StepStops(self._key, self._heartbeat.label, text))


def failure(label: str, error: Exception) -> Failure:
    """Return what to tell the user of an error: reason and way out if it was foreseen, else its traceback."""
    if isinstance(error, StepError):
        return Failure(label, error.reason, error.help, error.details)
    return Failure(label, f"{type(error).__name__}: {error}", details="".join(traceback.format_exception(error)))


def _disk_full(task: Task, store: Store) -> StoreError:
    folder, setting = store.work_folder
    return StoreError(
        f"no room was left on the disk while {task.label} ran (in {folder})",
        f"make room or choose another place with {setting}; everything finished so far is kept",
    )
