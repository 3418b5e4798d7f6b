"""Execute the steps of a run in this process, one after the other, or several at once in processes of this machine.

An executor takes tasks while it has a free slot and gives back the result of each. It does not know which steps may run
and what follows from a result: that is the business of the runner.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import MappingProxyType, TracebackType
from typing import Self

from satdsl.engine.errors import StoreError
from satdsl.engine.events import StepsAtOnce
from satdsl.engine.execute import (
    ExecutionContext,
    Failed,
    Failure,
    StoreFailed,
    Task,
    TaskEvent,
    TaskResult,
    execute,
)
from satdsl.engine.open_store import open_store
from satdsl.engine.store import Store
from satdsl.ir.interrupts import raise_interrupt
from satdsl.ir.steps import Key, Step
from satdsl.ir.work import Load, Room

_GRACE = 5.0
"""Seconds that a worker has to end once it has nothing more to do."""

_SAVING = 25.0
"""Seconds that it has to save what it does; Slurm gives 30 before it kills."""

NotifyOf = Callable[[Task, TaskEvent], None]


class Executor(ABC):
    """A context manager. When its block ends, it stops what still runs; what a stopped step had saved is kept."""

    announcement: StepsAtOnce | None = None
    """What a run says of how many steps this executor was made for, where that was chosen."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    @abstractmethod
    def free(self) -> int:
        """How many tasks can be given now."""

    def fits(self, step: Step) -> bool:
        """Return whether there is room for this step beside those that run; if none runs, there always is."""
        return True

    @abstractmethod
    def start(self, task: Task) -> None:
        """Take a task that fits; only while one is `free`."""

    @abstractmethod
    def wait(self, notify: NotifyOf, seconds: float | None = None) -> list[tuple[Task, TaskResult]]:
        """Return the results that have come, after at most so many seconds; None waits until one has come.

        Meanwhile `notify` hears the events of the running tasks.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop what still runs, and give up what has not begun."""


def not_visible_here(task: Task, store: Store, where: str) -> StoreFailed:
    """Return the result of a task whose artifact was stored on another machine and does not appear on this one."""
    return StoreFailed(
        f"{task.label} was stored by {where}, but {store.url} does not show it here",
        "--store has to be a folder that this machine and all nodes share, at the same path",
    )


class LocalExecutor(Executor):
    """Executes one step after the other in this process."""

    def __init__(self, store: Store, context: ExecutionContext) -> None:
        self._store = store
        self._context = context
        self._waiting: deque[Task] = deque()

    @property
    def free(self) -> int:
        return 1 - len(self._waiting)

    def start(self, task: Task) -> None:
        self._waiting.append(task)

    def wait(self, notify: NotifyOf, seconds: float | None = None) -> list[tuple[Task, TaskResult]]:
        task = self._waiting.popleft()
        return [(task, execute(task, self._store, self._context, lambda event: notify(task, event)))]

    def stop(self) -> None:
        self._waiting.clear()


class ProcessExecutor(Executor):
    """Executes at most `len(devices)` steps at once, each in a worker process, which stays for the next one.

    Those that run have room together, by what each takes (`loads`; what is not in there, next to nothing).

    A worker that dies (memory, a fault in a library) fails its step alone and is replaced. Workers die with this
    process, however that ends.
    """

    def __init__(
        self,
        store: Store,
        context: ExecutionContext,
        devices: Sequence[str],
        loads: Mapping[Key, Load] = MappingProxyType({}),
        room: Room | None = None,
    ) -> None:
        if store.url.startswith("memory://"):
            raise StoreError(f"the store {store.url} is in this process's memory", "take --jobs 1, or another --store")
        self._loads, self._room = loads, room or Room()
        self._workers = [_Worker(store.url, replace(context, device=device)) for device in devices]
        self._notify: NotifyOf = lambda task, event: None

    @property
    def free(self) -> int:
        return sum(worker.task is None for worker in self._workers)

    def fits(self, step: Step) -> bool:
        keys = [*(worker.task.key for worker in self._workers if worker.task is not None), step.key]
        return self._room.holds(self._loads.get(key, Load()) for key in keys)

    def start(self, task: Task) -> None:
        next(worker for worker in self._workers if worker.task is None).start(task)

    def wait(self, notify: NotifyOf, seconds: float | None = None) -> list[tuple[Task, TaskResult]]:
        self._notify = notify
        busy = self._busy
        results: list[tuple[Task, TaskResult]] = []
        while not results:
            ready = _speaking(busy, seconds)
            for worker in ready:
                task, message = worker.receive()
                if isinstance(message, TaskResult):
                    results.append((task, message))
                else:
                    notify(task, message)
            if not ready:
                break
        return results

    def stop(self) -> None:
        for worker in self._workers:
            worker.terminate()
        try:
            self._hear_last_words()
            for worker in self._workers:
                worker.join()
        finally:  # a second interrupt waits for nothing
            for worker in self._workers:
                worker.kill()

    def _hear_last_words(self) -> None:
        """Notify of what the stopped steps say until they have ended, or their time is over."""
        ends = time.monotonic() + _SAVING
        busy = self._busy
        while busy and (left := ends - time.monotonic()) > 0:
            for worker in _speaking(busy, left):
                task, message = worker.receive()
                if isinstance(message, TaskResult):
                    busy.remove(worker)
                else:
                    self._notify(task, message)

    @property
    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.task is not None]


def _speaking(workers: Sequence[_Worker], seconds: float | None) -> list[_Worker]:
    """Return those that have something to say, or have died, as soon as one does; none if the seconds pass before."""
    ready = connection.wait([worker.pipe for worker in workers], seconds)
    return [worker for worker in workers if worker.pipe in ready]


class _Worker:
    """A process that executes one task at a time; it is started with its first one."""

    def __init__(self, url: str, context: ExecutionContext) -> None:
        self._arguments = url, context
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

    def receive(self) -> tuple[Task, TaskEvent | TaskResult]:
        """Return the next event or result of the worker's task, or that the worker is dead."""
        task = self.task
        assert task is not None
        try:
            message: TaskEvent | TaskResult = self.pipe.recv()
        except (EOFError, OSError):
            message = Failed(self._death(task))
        if isinstance(message, TaskResult):
            self.task = None
        return task, message

    def terminate(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.terminate()

    def join(self) -> None:
        if self._process is None:
            return
        self._process.join(_GRACE)
        self.kill()

    def kill(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process = None

    def _spawn(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_work, args=(theirs, *self._arguments), daemon=True)
        # An interrupt is this process's business, also while the worker does not ignore it yet.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def _death(self, task: Task) -> Failure:
        """Say how the process ended, and forget it."""
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


def _work(pipe: Connection, url: str, context: ExecutionContext) -> None:
    """Run a worker process: execute the tasks that come through `pipe`, until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and decides what happens
    signal.signal(signal.SIGTERM, raise_interrupt)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        store = open_store(url)
        while True:
            task: Task = pipe.recv()
            pipe.send(execute(task, store, context, pipe.send))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
