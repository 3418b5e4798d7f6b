"""Where the steps of a run are done: in this process, one after the other, or in several at once.

An executor takes tasks while it has a free slot and gives back what came of each. What a step is, which may run
and what follows from its end is the runner's; an executor knows none of it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Protocol, Self

from satdsl.engine.execute import Ending, Failed, Failure, Place, Task, Told, attempt
from satdsl.engine.store import Store, StoreError, open_store

_GRACE = 5.0
"""Seconds that a worker has to end once it is told to."""

Tell = Callable[[Task, Told], None]


class Executor(Protocol):
    """A context manager, whose end stops what still runs; what a stopped step had saved is kept."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def free(self) -> int:
        """Tasks that can be given now."""

    def start(self, task: Task) -> None:
        """Take a task; only while one is `free`."""

    def wait(self, tell: Tell, seconds: float | None = None) -> list[tuple[Task, Ending]]:
        """What has come of tasks, after at most so many seconds; until one ends if None. Meanwhile `tell` hears."""


class Local:
    """One step after the other, in this process."""

    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place
        self._waiting: deque[Task] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.clear()

    @property
    def free(self) -> int:
        return 1 - len(self._waiting)

    def start(self, task: Task) -> None:
        self._waiting.append(task)

    def wait(self, tell: Tell, seconds: float | None = None) -> list[tuple[Task, Ending]]:
        task = self._waiting.popleft()
        return [(task, attempt(task, self._store, self._place, lambda told: tell(task, told)))]


class Processes:
    """`len(devices)` steps at once, each in a worker process of its own, which stays for the next one.

    A worker computes with its share of the cores. One that dies (memory, a fault in a library) fails its step
    alone and is replaced. Workers die with this process, however that ends.
    """

    def __init__(self, store: Store, place: Place, devices: Sequence[str]) -> None:
        if store.url.startswith("memory://"):
            raise StoreError(f"the store {store.url} is in this process's memory", "take --jobs 1, or another --store")
        threads = max(1, (os.cpu_count() or 1) // len(devices))
        self._workers = [_Worker(store.url, replace(place, device=device), threads) for device in devices]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.end()

    @property
    def free(self) -> int:
        return sum(worker.task is None for worker in self._workers)

    def start(self, task: Task) -> None:
        next(worker for worker in self._workers if worker.task is None).start(task)

    def wait(self, tell: Tell, seconds: float | None = None) -> list[tuple[Task, Ending]]:
        busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
        ended: list[tuple[Task, Ending]] = []
        while not ended:
            ready = connection.wait(list(busy), seconds)
            for pipe in ready:
                worker = busy[pipe]  # type: ignore[index]
                task, said = worker.hear()
                if isinstance(said, Ending):
                    ended.append((task, said))
                else:
                    tell(task, said)
            if not ready:
                break
        return ended


class _Worker:
    """A process that does one task at a time; started with its first."""

    def __init__(self, url: str, place: Place, threads: int) -> None:
        self._arguments = url, place, threads
        self._threads = threads
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self.task: Task | None = None

    @property
    def pipe(self) -> Connection:
        assert self._pipe is not None
        return self._pipe

    def start(self, task: Task) -> None:
        if self._process is None:
            self._spawn()
        self.task = task
        # A worker that died idle is noticed when its answer is read.
        with contextlib.suppress(OSError):
            self.pipe.send(task)

    def hear(self) -> tuple[Task, Told | Ending]:
        """The next thing that the worker says of its task, or that it is dead."""
        task = self.task
        assert task is not None
        try:
            said: Told | Ending = self.pipe.recv()
        except (EOFError, OSError):
            said = Failed(self._bury(task))
        if isinstance(said, Ending):
            self.task = None
        return task, said

    def stop(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.terminate()

    def end(self) -> None:
        if self._process is None:
            return
        self._process.join(_GRACE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process = None

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, *self._arguments), daemon=True)
        with _environment(_threads(self._threads)):
            self._process.start()
        theirs.close()

    def _bury(self, task: Task) -> Failure:
        assert self._process is not None
        self._process.join(_GRACE)
        code = self._process.exitcode
        self._process = None
        died = f"by signal {-code} ({signal.Signals(-code).name})" if code is not None and code < 0 else f"with {code}"
        return Failure(
            task.label,
            f"its process ended {died}",
            "if memory ran out, take fewer --jobs; what the step had saved is kept",
        )


def _work(pipe: Connection, url: str, place: Place, threads: int) -> None:
    """What a worker process does: tasks from `pipe`, until nobody is at its other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it too, and says what is to be done
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        store = open_store(url)
        while True:
            task: Task = pipe.recv()
            pipe.send(attempt(task, store, place, pipe.send))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _threads(count: int) -> dict[str, str]:
    """What torch and NumPy read, when they are loaded, on how many threads to compute with."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(count))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
