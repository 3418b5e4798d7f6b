"""Execute steps as jobs of Slurm, through submitit: the steps that can run go to the queue as one array.

A job executes its step like any other process: it locks the step in the store, which all nodes share, and leaves its
artifact there. A job that is pre-empted or runs out of time goes back into the queue and continues from what its step
had saved. What jobs are told to do, their events and their results are files in the folder `slurm` of the store.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from satdsl.engine.events import ArtifactDamaged, StepPrinted, StepProgress, StepStops
from satdsl.engine.execute import (
    Busy,
    ExecutionContext,
    Failed,
    Failure,
    Finished,
    Lost,
    Reused,
    Task,
    TaskEvent,
    TaskResult,
    TaskStarted,
    execute,
)
from satdsl.engine.executors import Executor, NotifyOf, not_visible_here
from satdsl.engine.open_store import absolute_url, open_store
from satdsl.engine.resources import Resources, on_cluster
from satdsl.engine.store import Store
from satdsl.errors import UserError

_POLL = 0.5
"""Seconds between two looks at the files of the jobs."""

_QUEUE = 5.0
"""Seconds between two questions to Slurm about its queue."""

_VISIBLE = 10.0
"""Seconds that a shared folder may take to show here the result of a job that has left the queue."""

_ARRAY = 1000
"""Jobs in one array; Slurm takes 1,001 unless it is configured otherwise."""

_MINUTES = 240
"""The time of a job where `time` is not given."""

_TIMEOUTS = 100
"""How often a job that ran out of time goes back into the queue."""

_OURS = frozenset({"array", "error", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "signal"})
"""The options of sbatch that satdsl sets itself; its user cannot."""

_OVER = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
)
"""The states of a job that will not run again."""

_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


class SlurmExecutor(Executor):
    """Executes every step that can run as a job, `jobs` at most at once; the cluster decides where and when.

    `options` go to sbatch as they are (`{"partition": "gpu", "mem": "32G"}`); `time` is that of one job, not of a
    step. A step takes so many `cpus` and `gpus`; if these are not given, one if the device is a GPU, else none.
    `cluster="local"` works without Slurm, in processes of submitit on this machine.

    Raises:
        UserError: submitit or Slurm is not there, or an option cannot be given.
    """

    def __init__(
        self,
        store: Store,
        context: ExecutionContext,
        *,
        options: Mapping[str, str] | None = None,
        cpus: int = 1,
        gpus: int | None = None,
        jobs: int | None = None,
        cluster: Literal["slurm", "local"] = "slurm",
    ) -> None:
        self._store = store
        gpus = int(context.device.startswith("cuda")) if gpus is None else gpus
        self._context, self._resources = on_cluster(context, cpus, gpus)
        self._folder = store.work_folder[0].absolute() / "slurm"
        self._most = jobs or _ARRAY
        self._queue = _Queue() if cluster == "slurm" else None
        self._submit = _submitter(self._folder, cluster, _checked(options or {}), self._most)
        self._waiting: list[Task] = []
        self._running: list[_RunningJob] = []

    @property
    def free(self) -> int:
        return self._most - len(self._waiting) - len(self._running)

    def start(self, task: Task) -> None:
        self._waiting.append(task)

    def wait(self, notify: NotifyOf, seconds: float | None = None) -> list[tuple[Task, TaskResult]]:
        results = self._submit_waiting()
        end = float("inf") if seconds is None else time.monotonic() + seconds
        while True:
            results += self._results(notify)
            if results or time.monotonic() >= end:
                return results
            time.sleep(min(_POLL, max(end - time.monotonic(), 0)))

    def stop(self) -> None:
        self._waiting.clear()
        for running in self._running:
            running.job.cancel(check=False)

    def _submit_waiting(self) -> list[tuple[Task, TaskResult]]:
        """Put the waiting tasks into the queue, except those that another process has: these are returned as `Busy`."""
        groups: dict[Resources, list[Task]] = defaultdict(list)
        busy: list[tuple[Task, TaskResult]] = []
        for task in self._waiting:
            lock = self._store.lock(task.key)
            if lock is None:
                busy.append((task, Busy(self._store.owner(task.key))))
            else:
                lock.release()
                groups[self._resources.needed_by(task.step)].append(task)
        self._waiting.clear()
        for taken, tasks in groups.items():
            for start in range(0, len(tasks), _ARRAY):
                self._submit_array(tasks[start : start + _ARRAY], taken)
        return busy

    def _submit_array(self, tasks: list[Task], taken: Resources) -> None:
        url, context = absolute_url(self._store), taken.in_context(self._context)
        calls = [JobCall(task, url, context, self._folder / uuid.uuid4().hex) for task in tasks]
        jobs = self._submit(calls, taken)
        self._running += [_RunningJob(call.task, job, call.events) for call, job in zip(calls, jobs, strict=True)]

    def _results(self, notify: NotifyOf) -> list[tuple[Task, TaskResult]]:
        ended = [(running, result) for running in self._running if (result := running.result(self._queue)) is not None]
        for running in self._running:  # after the look at their results, so that no earlier event is missed
            for event in running.events():
                notify(running.task, event)
        for running, result in ended:
            self._running.remove(running)
            if isinstance(result, Finished | Reused | Busy):
                running.delete_files(self._folder)
        return [(running.task, self._if_visible(running.task, result)) for running, result in ended]

    def _if_visible(self, task: Task, result: TaskResult) -> TaskResult:
        if isinstance(result, Finished) and not self._store.recheck(task.key):
            return not_visible_here(task, self._store, "a job")
        return result


@dataclass(frozen=True)
class JobCall:
    """What a job does: it executes `task` and appends its events to the file `events`."""

    task: Task
    store: str
    context: ExecutionContext
    events: Path

    def __call__(self) -> TaskResult:
        with self.events.open("a", encoding="utf-8") as file:
            return execute(
                self.task,
                open_store(self.store),
                self.context,
                lambda event: print(_line(event), file=file, flush=True),
            )

    def checkpoint(self) -> Any:
        """Return what goes back into the queue when the job is pre-empted or runs out of time: the same call."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class _RunningJob:
    """A job, and how far its events have been read."""

    def __init__(self, task: Task, job: Any, events: Path) -> None:
        self.task = task
        self.job = job
        self._events = events
        self._read = 0
        self._over_since: float | None = None

    def events(self) -> Iterator[TaskEvent]:
        """Yield the events of the job since the last time."""
        with contextlib.suppress(FileNotFoundError), self._events.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                yield _event(line)

    def result(self, queue: _Queue | None) -> TaskResult | None:
        """Return the result of the job; None while it is open. Without the queue of Slurm, submitit knows."""
        if self.job.paths.result_pickle.exists():
            return self._pickled_result()
        if queue is None:
            return self._without_result("INTERRUPTED") if self.job.done() else None
        state = queue.state(self.job.job_id)
        if state not in _OVER:
            self._over_since = None
            return None
        # The queue knows at once that a job has ended; its result appears here when the shared folder shows it.
        self._over_since = self._over_since or time.monotonic()
        return self._without_result(state) if time.monotonic() - self._over_since > _VISIBLE else None

    def _pickled_result(self) -> TaskResult:
        try:
            result: TaskResult = self.job.result()
            return result
        except Exception as error:
            return self._failed(f"its job failed: {str(error).strip().splitlines()[-1]}", "all nodes need the packages")

    def _without_result(self, state: str) -> TaskResult:
        if state == "CANCELLED":
            return self._failed("its job was cancelled", "what it had saved is kept")
        if state == "OUT_OF_MEMORY":
            return self._failed("its job ran out of memory", "give jobs more, with --slurm mem=32G")
        return Lost(f"its job {self.job.job_id} is gone ({state.lower()})")

    def _failed(self, reason: str, help: str) -> Failed:
        return Failed(Failure(self.task.label, reason, f"{help}; its log: {self.job.paths.stderr}"))

    def delete_files(self, folder: Path) -> None:
        """Delete the files of a job that went well."""
        for path in (self._events, *folder.glob(f"{self.job.job_id}_*")):
            path.unlink(missing_ok=True)


class _Queue:
    """The states of this user's jobs; Slurm is asked for them every few seconds."""

    def __init__(self) -> None:
        self._states: dict[str, str] | None = None
        self._asked = float("-inf")

    def state(self, job: str) -> str:
        """Return the state of a job as Slurm writes it; UNKNOWN while Slurm does not answer."""
        if time.monotonic() - self._asked > _QUEUE:
            self._asked = time.monotonic()
            command = ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i %T"]
            answer = subprocess.run(command, capture_output=True, text=True)
            lines = answer.stdout.splitlines()
            self._states = None if answer.returncode else dict(line.split() for line in lines)
        # A job that has left the queue is over.
        return "UNKNOWN" if self._states is None else self._states.get(job, "COMPLETED")


def _submitter(
    folder: Path, cluster: str, options: Mapping[str, str], most: int
) -> Callable[[list[JobCall], Resources], list[Any]]:
    """Return what puts calls into the queue as one array, each with these resources; it returns the jobs."""
    try:
        import submitit
    except ImportError:
        raise UserError("submitit is not installed", "pip install 'satdsl[slurm]'") from None
    own = {name: value for name, value in options.items() if name != "time"}

    def submit(calls: list[JobCall], taken: Resources) -> list[Any]:
        folder.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(folder, cluster=cluster, slurm_max_num_timeout=_TIMEOUTS)
        executor.update_parameters(
            name="satdsl",
            timeout_min=minutes(options["time"]) if "time" in options else _MINUTES,
            cpus_per_task=taken.cpus,
            **({"gpus_per_node": taken.gpus} if taken.gpus else {}),
            slurm_array_parallelism=most,
            slurm_additional_parameters=own,
        )
        with _slurm_errors(), executor.batch():
            return [executor.submit(call) for call in calls]

    if cluster == "slurm":
        with _slurm_errors():
            submitit.SlurmExecutor(folder)
    return submit


@contextlib.contextmanager
def _slurm_errors() -> Iterator[None]:
    from submitit.core.utils import FailedJobError

    try:
        yield
    except FailedJobError as error:
        lines = [line for line in str(error).splitlines() if "sbatch: error" in line] or str(error).splitlines()
        reason = "; ".join(line.replace("sbatch: error: ", "") for line in lines)
        raise UserError(f"Slurm does not take the jobs: {reason}", "look at what --slurm says") from error
    except RuntimeError as error:
        raise UserError("Slurm is not on this machine: there is no srun", "run where jobs are submitted") from error


def _checked(options: Mapping[str, str]) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    for name in named.keys() & _OURS:
        raise UserError(f"--slurm {name}=... cannot be given: satdsl says what it is", "leave it out")
    if "time" in named:
        minutes(named["time"])
    return named


def minutes(text: str) -> int:
    """Convert a time as sbatch writes it (`90`, `90:00`, `1:30:00`, `1-12`, `1-12:30`) to minutes, rounded up.

    Raises:
        UserError: it is not such a time.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise UserError(f"--slurm time={text} is not a time", "write minutes, or H:MM:SS, or D-HH:MM:SS")
    days, *parts = match.groups()
    starts_with_hours = days is not None or None not in parts
    units = (3600, 60, 1) if starts_with_hours else (60, 1, 0)
    seconds = int(days or 0) * 86400 + sum(int(part or 0) * unit for part, unit in zip(parts, units, strict=True))
    return max(1, -(-seconds // 60))


_EVENTS = {event.__name__: event for event in (TaskStarted, StepProgress, StepPrinted, StepStops, ArtifactDamaged)}


def _line(event: TaskEvent) -> str:
    return json.dumps({"event": type(event).__name__} | asdict(event))


def _event(line: bytes) -> TaskEvent:
    fields = json.loads(line)
    event: TaskEvent = _EVENTS[fields.pop("event")](**fields)
    return event
