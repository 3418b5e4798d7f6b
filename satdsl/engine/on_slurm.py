"""Steps as jobs of Slurm, through submitit: those that can run go to the queue as one array.

A job is an attempt like any other: it locks its step in the store, which all nodes share, and leaves its artifact
there. One that is pre-empted or runs out of time goes back into the queue and continues from what its step had
saved. What jobs are told to do, what they tell and how they end are files in the store's folder `slurm`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from satdsl.engine.events import ArtifactDamaged, StepProgress
from satdsl.engine.execute import (
    Began,
    Busy,
    Ending,
    Failed,
    Failure,
    Finished,
    Lost,
    Place,
    Reused,
    StoreFailed,
    Task,
    Told,
    attempt,
)
from satdsl.engine.executors import Tell
from satdsl.engine.resources import Resources, placed
from satdsl.engine.store import Store, address, open_store
from satdsl.errors import UserError

_POLL = 0.5
"""Seconds between two looks at the jobs' files."""

_QUEUE = 5.0
"""Seconds between two questions to Slurm about its queue."""

_VISIBLE = 10.0
"""Seconds that a shared folder may take to show here the result of a job that has left the queue."""

_ARRAY = 1000
"""Jobs in one array; Slurm takes 1,001 if it is not told otherwise."""

_MINUTES = 240
"""A job's time where `time` is not given."""

_TIMEOUTS = 100
"""How often a job that ran out of time goes back into the queue."""

_OURS = frozenset({"array", "error", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "signal"})
"""What sbatch is told by satdsl and cannot be told by its user."""

_OVER = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
)
"""The states of a job that will not run again."""


class Slurm:
    """Every step that can run as a job, `jobs` at most at once; the cluster decides where and when.

    `options` go to sbatch as they are (`{"partition": "gpu", "mem": "32G"}`); `time` is that of one job, not of a
    step. A step takes so many `cpus` and `gpus`; if these are not given, one if the device is a GPU, else none.
    `cluster="local"` does without Slurm: submitit's own processes on this machine.

    Raises:
        UserError: submitit or Slurm is not there, or an option cannot be given.
    """

    def __init__(
        self,
        store: Store,
        place: Place,
        *,
        options: Mapping[str, str] | None = None,
        cpus: int = 1,
        gpus: int | None = None,
        jobs: int | None = None,
        cluster: Literal["slurm", "local"] = "slurm",
    ) -> None:
        self._store = store
        gpus = int(place.device.startswith("cuda")) if gpus is None else gpus
        self._resources = Resources(cpus, 0 if place.device == "cpu" else gpus)
        device = ("cuda" if gpus else "cpu") if place.device == "auto" else place.device
        self._place = replace(place, device=device, data_root=place.data_root.absolute())
        self._folder = store.workplace[0].absolute() / "slurm"
        self._most = jobs or _ARRAY
        self._queue = _Queue() if cluster == "slurm" else None
        self._submit = _submitter(self._folder, cluster, _checked(options or {}), self._most)
        self._waiting: list[Task] = []
        self._running: list[_Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.clear()
        for running in self._running:
            running.job.cancel(check=False)

    @property
    def free(self) -> int:
        return self._most - len(self._waiting) - len(self._running)

    def start(self, task: Task) -> None:
        self._waiting.append(task)

    def wait(self, tell: Tell, seconds: float | None = None) -> list[tuple[Task, Ending]]:
        ended = self._begin()
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            ended += self._ended(tell)
            if ended or (end is not None and time.monotonic() >= end):
                return ended
            time.sleep(_POLL if end is None else min(_POLL, max(end - time.monotonic(), 0)))

    def _begin(self) -> list[tuple[Task, Ending]]:
        """Put the waiting tasks into the queue, except those that another process has."""
        groups: dict[Resources, list[Task]] = defaultdict(list)
        busy: list[tuple[Task, Ending]] = []
        for task in self._waiting:
            lock = self._store.lock(task.key)
            if lock is None:
                busy.append((task, Busy(self._store.owner(task.key))))
            else:
                lock.release()
                groups[self._resources.of(task.step)].append(task)
        self._waiting.clear()
        for taken, tasks in groups.items():
            for start in range(0, len(tasks), _ARRAY):
                self._send(tasks[start : start + _ARRAY], taken)
        return busy

    def _send(self, tasks: list[Task], taken: Resources) -> None:
        place = placed(self._place, taken)
        errands = [Errand(t, address(self._store), place, self._folder / uuid.uuid4().hex) for t in tasks]
        jobs = self._submit(errands, taken)
        self._running += [_Running(e.task, job, e.news) for e, job in zip(errands, jobs, strict=True)]

    def _ended(self, tell: Tell) -> list[tuple[Task, Ending]]:
        states = self._queue.states() if self._queue is not None else None
        ended = [(running, ending) for running in self._running if (ending := running.ending(states)) is not None]
        for running in self._running:  # after the look at their ends, so that nothing told before is missed
            for told in running.news():
                tell(running.task, told)
        for running, ending in ended:
            self._running.remove(running)
            if isinstance(ending, Finished | Reused | Busy):
                running.clear(self._folder)
        return [(running.task, self._seen(running, ending)) for running, ending in ended]

    def _seen(self, running: _Running, ending: Ending) -> Ending:
        if isinstance(ending, Finished) and not self._store.look(running.task.key):
            return StoreFailed(
                f"{running.task.label} was stored by a job, but {self._store.url} does not show it here",
                "--store has to be a folder that this machine and all nodes share, at the same path",
            )
        return ending


@dataclass(frozen=True)
class Errand:
    """What a job does: the attempt at `task`. What it tells is appended to the file `news`."""

    task: Task
    store: str
    place: Place
    news: Path

    def __call__(self) -> Ending:
        with self.news.open("a", encoding="utf-8") as file:
            return attempt(
                self.task, open_store(self.store), self.place, lambda told: print(_written(told), file=file, flush=True)
            )

    def checkpoint(self) -> Any:
        """What goes back into the queue when the job is pre-empted or runs out of time: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class _Running:
    """A job, and how far its news are read."""

    def __init__(self, task: Task, job: Any, news: Path) -> None:
        self.task = task
        self.job = job
        self._news = news
        self._read = 0
        self._over: float | None = None

    def news(self) -> Iterator[Told]:
        """What the job has told since the last time."""
        with contextlib.suppress(FileNotFoundError), self._news.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                yield _read(self.task, json.loads(line))

    def ending(self, states: Mapping[str, str] | None) -> Ending | None:
        """What came of the job, None while that is open. `states` is Slurm's queue; without it the job knows."""
        if self.job.paths.result_pickle.exists():
            return self._result()
        if states is None:
            return self._without_result("INTERRUPTED") if self.job.done() else None
        state = states.get(self.job.job_id, "COMPLETED")
        if state not in _OVER:
            self._over = None
            return None
        self._over = self._over or time.monotonic()
        return self._without_result(state) if time.monotonic() - self._over > _VISIBLE else None

    def _result(self) -> Ending:
        try:
            ending: Ending = self.job.result()
            return ending
        except Exception as error:
            return self._failed(f"its job failed: {str(error).strip().splitlines()[-1]}", "all nodes need the packages")

    def _without_result(self, state: str) -> Ending:
        if state == "CANCELLED":
            return self._failed("its job was cancelled", "what it had saved is kept")
        if state == "OUT_OF_MEMORY":
            return self._failed("its job ran out of memory", "give jobs more, with --slurm mem=32G")
        return Lost(f"its job {self.job.job_id} is gone ({state.lower()})")

    def _failed(self, reason: str, help: str) -> Failed:
        return Failed(Failure(self.task.label, reason, f"{help}; its log: {self.job.paths.stderr}"))

    def clear(self, folder: Path) -> None:
        """Remove the files of a job that went well."""
        for path in (self._news, *folder.glob(f"{self.job.job_id}_*")):
            path.unlink(missing_ok=True)


class _Queue:
    """The states of this user's jobs, asked for every few seconds."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._asked = float("-inf")

    def states(self) -> Mapping[str, str] | None:
        """By job, as Slurm writes them; jobs that have left the queue are not there."""
        if time.monotonic() - self._asked > _QUEUE:
            self._asked = time.monotonic()
            command = ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i %T"]
            answer = subprocess.run(command, capture_output=True, text=True)
            if answer.returncode:  # the controller rests: what has ended shows by its files
                return _Unknown()
            self._states = dict(line.split() for line in answer.stdout.splitlines())
        return self._states


class _Unknown(dict[str, str]):
    """The states while Slurm does not answer: nothing is known to have ended."""

    def get(self, key: str, default: Any = None) -> Any:
        return "UNKNOWN"


def _submitter(
    folder: Path, cluster: str, options: Mapping[str, str], most: int
) -> Callable[[list[Errand], Resources], list[Any]]:
    """What puts errands into the queue as one array, each with these resources: their jobs."""
    try:
        import submitit
    except ImportError:
        raise UserError("submitit is not installed", "pip install 'satdsl[slurm]'") from None
    own = {name: value for name, value in options.items() if name != "time"}

    def submit(errands: list[Errand], taken: Resources) -> list[Any]:
        folder.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(folder, cluster=cluster, slurm_max_num_timeout=_TIMEOUTS)
        executor.update_parameters(
            name="satdsl",
            timeout_min=minutes(options["time"]) if "time" in options else _MINUTES,
            cpus_per_task=taken.cpus,
            **({"gpus_per_node": taken.gpus} if taken.gpus else {}),
            slurm_array_parallelism=most,
            slurm_setup=[f"export OMP_NUM_THREADS={taken.cpus}"],
            slurm_additional_parameters=own,
        )
        with _refusals(), executor.batch():
            return [executor.submit(errand) for errand in errands]

    if cluster == "slurm":
        with _refusals():
            submitit.SlurmExecutor(folder)
    return submit


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
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
    """sbatch's ways to write a time (`90`, `90:00`, `1:30:00`, `1-12`, `1-12:30`) as minutes, rounded up.

    Raises:
        UserError: it is none of them.
    """
    days, dash, rest = text.rpartition("-")
    try:
        parts = [int(part) for part in rest.split(":")]
        whole = int(days) if dash else 0
    except ValueError:
        parts, whole = [], 0
    if not 1 <= len(parts) <= 3:
        raise UserError(f"--slurm time={text} is not a time", "write minutes, or H:MM:SS, or D-HH:MM:SS")
    if dash:
        seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    else:
        seconds = sum(
            part * unit for part, unit in zip(parts, (3600, 60, 1) if len(parts) == 3 else (60, 1), strict=False)
        )
    return max(1, -(-(whole * 86400 + seconds) // 60))


def _written(told: Told) -> str:
    match told:
        case Began():
            return json.dumps({"began": True})
        case StepProgress(done=done, total=total, note=note):
            return json.dumps({"done": done, "total": total, "note": note})
        case ArtifactDamaged(fault=fault, place=place):
            return json.dumps({"fault": fault, "place": place})


def _read(task: Task, line: Mapping[str, Any]) -> Told:
    if "done" in line:
        return StepProgress(task.key, line["done"], line["total"], line["note"])
    if "fault" in line:
        return ArtifactDamaged(task.key, task.label, line["fault"], line["place"])
    return Began()
