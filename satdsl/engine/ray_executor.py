"""Execute steps as tasks of Ray: on this machine, or on a cluster whose nodes all see the folder of the store.

A Ray task executes its step like any other process: it locks the step in the store and leaves its artifact there. Its
events go through a queue beside the driver. A task whose node dies is `Lost`, and the runner begins it again.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from satdsl.engine.execute import (
    ExecutionContext,
    Failed,
    Finished,
    Lost,
    Task,
    TaskEvent,
    TaskResult,
    execute,
    failure,
)
from satdsl.engine.executors import Executor, NotifyOf, not_visible_here
from satdsl.engine.open_store import absolute_url, open_store
from satdsl.engine.resources import on_cluster
from satdsl.engine.store import Store
from satdsl.errors import UserError

_POLL = 0.1
"""Seconds between two looks at the events of the running tasks."""

_GRACE = 5.0
"""Seconds that a cancelled task has to end before its worker is killed."""

_VISIBLE = 10.0
"""Seconds that a shared folder may take to show here what was stored elsewhere."""

_COUNTED = 1.0
"""Seconds for which the number of cores in the cluster is taken as known."""

_ANSWER = 5.0
"""Seconds that a cluster has to take a connection. Ray itself would try for many minutes."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_OBJECTS = 80 * 1024**2
"""Bytes of the object store of a cluster started here: nothing but tasks, events and results passes through it."""


class RayExecutor(Executor):
    """Executes as many steps at once as the cluster has cores for, `jobs` at most.

    Without `address` a cluster of this machine alone is started with the first step and stopped at the end; it
    listens on the loopback interface only. A Ray that this process has already connected to is used as it is.
    A step takes so many `cpus` and `gpus`; if these are not given, one where the cluster has any.

    Raises:
        UserError: Ray is not installed.
    """

    def __init__(
        self,
        store: Store,
        context: ExecutionContext,
        *,
        address: str | None = None,
        cpus: int = 1,
        gpus: int | None = None,
        jobs: int | None = None,
    ) -> None:
        self._ray = _imported(local=address is None or _host(address) in _LOOPBACK)
        self._store = store
        self._context = context
        self._address = address
        self._asked = cpus, gpus
        self._jobs = jobs
        self._cluster: _Cluster | None = None
        self._numbers = itertools.count()
        self._running: dict[Any, _RunningTask] = {}

    @property
    def free(self) -> int:
        slots = self._connected().slots
        return (slots if self._jobs is None else min(slots, self._jobs)) - len(self._running)

    def start(self, task: Task) -> None:
        cluster, number = self._connected(), next(self._numbers)
        taken = cluster.resources.needed_by(task.step)
        remote = cluster.remote.options(num_cpus=taken.cpus, num_gpus=taken.gpus, name=task.label)
        context = taken.in_context(cluster.context)
        ref = remote.remote(task, number, absolute_url(self._store), context, cluster.events)
        self._running[ref] = _RunningTask(number, task)

    def wait(self, notify: NotifyOf, seconds: float | None = None) -> list[tuple[Task, TaskResult]]:
        end = float("inf") if seconds is None else time.monotonic() + seconds
        with self._reachable():
            while True:
                self._ray.wait(list(self._running), timeout=min(_POLL, max(end - time.monotonic(), 0)))
                ended, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
                self._notify(notify)  # a task ends only when its events are in the queue
                if ended or time.monotonic() >= end:
                    return [self._result(ref) for ref in ended]

    def stop(self) -> None:
        if self._cluster is not None:
            self._cancel(list(self._running))
            self._cluster.leave()

    def _notify(self, notify: NotifyOf) -> None:
        tasks = {running.number: running.task for running in self._running.values()}
        events = self._connected().events
        for number, event in events.get_nowait_batch(events.qsize()):
            # A worker that was taken for lost with its node may still send events.
            if number in tasks:
                notify(tasks[number], event)

    def _result(self, ref: Any) -> tuple[Task, TaskResult]:
        task = self._running.pop(ref).task
        result = self._result_or_loss(ref, task)
        if isinstance(result, Finished) and not self._is_visible(task):
            return task, not_visible_here(task, self._store, "a node of the cluster")
        return task, result

    def _result_or_loss(self, ref: Any, task: Task) -> TaskResult:
        errors = self._ray.exceptions
        try:
            result: TaskResult = self._ray.get(ref)
            return result
        except errors.RayTaskError as error:
            found = failure(task.label, error.cause or error)
            help = found.help or "all nodes need the same packages as this machine"
            return Failed(replace(found, reason=_first_line(found.reason), help=help))
        except errors.OutOfMemoryError as error:
            found = failure(task.label, error)
            return Failed(replace(found, reason="its node ran out of memory", help="give a step more --cpus-per-step"))
        except (errors.NodeDiedError, errors.LocalRayletDiedError):
            return Lost("the node it ran on is gone")
        except (errors.WorkerCrashedError, errors.TaskCancelledError, errors.ObjectLostError):
            return Lost("the process it ran in is gone, or its whole node")
        except errors.TaskUnschedulableError as error:
            return Failed(failure(task.label, error))

    def _is_visible(self, task: Task) -> bool:
        end = time.monotonic() + _VISIBLE
        while not self._store.recheck(task.key):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def _cancel(self, refs: list[Any]) -> None:
        """Stop these tasks: first by an interrupt in the worker, then by the end of the worker."""
        with contextlib.suppress(self._ray.exceptions.RayError, ConnectionError):
            for ref in refs:
                self._ray.cancel(ref)
            if refs:
                _, stubborn = self._ray.wait(refs, num_returns=len(refs), timeout=_GRACE)
                for ref in stubborn:
                    self._ray.cancel(ref, force=True)

    def _connected(self) -> _Cluster:
        if self._cluster is None:
            with self._reachable():
                self._cluster = _Cluster(self._ray, self._address, self._context, *self._asked)
        return self._cluster

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, self._ray.exceptions.RaySystemError, self._ray.exceptions.ActorDiedError) as error:
            where = f"the Ray cluster at {self._address}" if self._address else "Ray on this machine"
            reason = _first_line(str(error))
            help = "look whether it runs (`ray status`), or leave --address out; everything finished so far is kept"
            raise UserError(f"{where} cannot be reached: {reason}", help) from error


@dataclass(frozen=True)
class _RunningTask:
    number: int
    task: Task


class _Cluster:
    """A connection to Ray: what the cluster has, and what is needed there to execute a step."""

    def __init__(self, ray: Any, address: str | None, context: ExecutionContext, cpus: int, gpus: int | None) -> None:
        self._ray = ray
        self._own = not ray.is_initialized()
        self._slots, self._counted = 1, float("-inf")
        if self._own:
            _connect(ray, address)
        try:
            gpus = _gpus(ray, context.device) if gpus is None else gpus
            self.context, self.resources = on_cluster(context, cpus, gpus)
            self.remote = ray.remote(max_retries=0)(_execute_there)
            self.events = _queue_beside_driver(ray)
        except BaseException:
            self._disconnect()
            raise

    @property
    def slots(self) -> int:
        """How many steps the cluster has cores for now; one at least, for nodes that are yet to come."""
        if time.monotonic() - self._counted > _COUNTED:
            self._slots = max(1, int(self._ray.cluster_resources().get("CPU", 0)) // self.resources.cpus)
            self._counted = time.monotonic()
        return self._slots

    def leave(self) -> None:
        if not self._own:
            self.events.shutdown(force=True)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._own:
            self._ray.shutdown()


@contextlib.contextmanager
def started() -> Iterator[None]:
    """Start Ray on this machine for all the runs in the block. Otherwise each of them starts and stops its own."""
    ray = _imported(local=True)
    _connect(ray, None)
    try:
        yield
    finally:
        ray.shutdown()


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _imported(*, local: bool) -> Any:
    """Import Ray, after the environment is set that it reads then.

    No statistics are sent. If everything is `local`, this machine has the address of the loopback interface, as it has
    on systems where Ray knows no other.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if local:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError:
        raise UserError("Ray is not installed", "pip install 'satdsl[ray]', or leave --executor out") from None
    return ray


def _connect(ray: Any, address: str | None) -> None:
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        ray.init("local", include_dashboard=False, object_store_memory=_OBJECTS, **quiet)
    else:
        _check_listening(address)
        ray.init(address, **quiet)


def _check_listening(address: str) -> None:
    """Raise OSError if nobody listens at `HOST:PORT`. What other addresses (`auto`) mean only Ray knows."""
    port = address.rpartition(":")[2]
    if port.isdigit():
        socket.create_connection((_host(address), int(port)), _ANSWER).close()


def _host(address: str) -> str:
    """Return HOST of `HOST:PORT` or `ray://HOST:PORT`."""
    return address.rpartition("//")[2].rpartition(":")[0]


def _gpus(ray: Any, device: str) -> int:
    """Return how many GPUs a step takes if the user does not say."""
    there = int(ray.cluster_resources().get("GPU", 0))
    if device.startswith("cuda") and not there:
        raise UserError(
            f"--device {device}: the Ray cluster has no GPU at present",
            "take --device cpu, or say --gpus-per-step 1 if it gets some when they are asked for",
        )
    return min(there, 1)


def _queue_beside_driver(ray: Any) -> Any:
    """Return a queue on the node of the driver, which is lost only together with the driver."""
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})


def _execute_there(task: Task, number: int, url: str, context: ExecutionContext, events: Any) -> TaskResult:
    """Execute a task in a worker. All its events are in the queue before it ends."""
    import ray

    def notify(event: TaskEvent) -> None:
        with contextlib.suppress(ray.exceptions.RayError):
            events.put((number, event))

    return execute(task, _store(url), context, notify)


@functools.cache
def _store(url: str) -> Store:
    """Open the store once in the life of a worker, so that inputs it has verified are not read again for each step."""
    return open_store(url)
