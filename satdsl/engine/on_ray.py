"""Steps as tasks of Ray: on this machine, or on a cluster whose nodes all see the store's folder.

A task is an attempt like any other: it locks its step in the store, and leaves its artifact there. What it tells
meanwhile goes through an actor beside the driver. A task whose node dies is `Lost`; the runner begins it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from satdsl.engine.execute import Ending, Failed, Finished, Lost, Place, StoreFailed, Task, Told, attempt, failure
from satdsl.engine.executors import Tell
from satdsl.engine.resources import Resources, placed
from satdsl.engine.store import Store, address, open_store
from satdsl.errors import UserError

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
"""Bytes of the object store of a cluster started here: nothing but tasks and their endings passes through it."""


class Ray:
    """As many steps at once as the cluster has cores for, `jobs` at most.

    Without `address` a cluster of this machine alone is started with the first step and stopped at the end; it
    listens on the loopback interface only. A Ray that this process has already connected to is used as it is.
    A step takes so many `cpus` and `gpus`; if these are not given, one where the cluster has any.

    Raises:
        UserError: Ray is not installed.
    """

    def __init__(
        self,
        store: Store,
        place: Place,
        *,
        address: str | None = None,
        cpus: int = 1,
        gpus: int | None = None,
        jobs: int | None = None,
    ) -> None:
        self._ray = _imported(local=address is None or _host(address) in _LOOPBACK)
        self._store = store
        self._place = replace(place, data_root=place.data_root.absolute())
        self._address = address
        self._asked = cpus, gpus
        self._jobs = jobs
        self._cluster: _Cluster | None = None
        self._numbers = itertools.count()
        self._running: dict[Any, _Running] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cluster is not None:
            self._cancel(list(self._running))
            self._cluster.leave()

    @property
    def free(self) -> int:
        slots = self._connected().slots
        return (slots if self._jobs is None else min(slots, self._jobs)) - len(self._running)

    def start(self, task: Task) -> None:
        cluster, number = self._connected(), next(self._numbers)
        taken = cluster.resources.of(task.step)
        remote = cluster.remote.options(num_cpus=taken.cpus, num_gpus=taken.gpus, name=task.label)
        place = placed(cluster.place, taken)
        ref = remote.remote(task, number, address(self._store), place, cluster.mailbox)
        self._running[ref] = _Running(number, task)

    def wait(self, tell: Tell, seconds: float | None = None) -> list[tuple[Task, Ending]]:
        mail = self._connected().mail
        with self._reachable():
            ready, _ = self._ray.wait([*self._running, mail.ref], num_returns=1, timeout=seconds)
            if ready == [mail.ref]:
                self._deliver(mail.read(), tell)
            ended, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
            if ended:
                self._deliver(mail.read_all(), tell)
            return [self._ending(ref) for ref in ended]

    def _deliver(self, letters: Sequence[_Letter], tell: Tell) -> None:
        tasks = {running.number: running.task for running in self._running.values()}
        for letter in letters:
            # A worker that was given up for lost with its node may still be talking.
            if letter.number in tasks:
                tell(tasks[letter.number], letter.told)

    def _ending(self, ref: Any) -> tuple[Task, Ending]:
        task = self._running.pop(ref).task
        ending = self._came_of(ref, task)
        if isinstance(ending, Finished) and not self._sees(task):
            return task, StoreFailed(
                f"{task.label} was stored by a node of the cluster, but {self._store.url} does not show it here",
                "--store has to be a folder that this machine and all nodes share, at the same path",
            )
        return task, ending

    def _came_of(self, ref: Any, task: Task) -> Ending:
        errors = self._ray.exceptions
        try:
            ending: Ending = self._ray.get(ref)
            return ending
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

    def _sees(self, task: Task) -> bool:
        end = time.monotonic() + _VISIBLE
        while not self._store.look(task.key):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def _cancel(self, refs: list[Any]) -> None:
        """Stop what runs: by an interrupt in its worker, then by the worker's end."""
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
                self._cluster = _Cluster(self._ray, self._address, self._place, *self._asked)
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
class _Running:
    number: int
    task: Task


@dataclass(frozen=True)
class _Letter:
    """What the `number`-th task told."""

    number: int
    told: Told


class _Mailbox:
    """An actor that keeps what tasks tell until the driver takes it."""

    def __init__(self) -> None:
        self._letters: list[_Letter] = []
        self._something = asyncio.Event()

    async def post(self, letter: _Letter) -> None:
        self._letters.append(letter)
        self._something.set()

    async def take(self) -> list[_Letter]:
        """What has come; waits until something has, or until `drain`."""
        await self._something.wait()
        self._something.clear()
        return self._emptied()

    async def drain(self) -> list[_Letter]:
        """What has come, at once; ends a `take` that waits."""
        self._something.set()
        return self._emptied()

    def _emptied(self) -> list[_Letter]:
        letters, self._letters = self._letters, []
        return letters


class _Mail:
    """The driver's side of the mailbox: `ref` is ready when there is something to read."""

    def __init__(self, ray: Any, mailbox: Any) -> None:
        self._ray = ray
        self._mailbox = mailbox
        self.ref = mailbox.take.remote()

    def read(self) -> list[_Letter]:
        letters: list[_Letter] = self._ray.get(self.ref)
        self.ref = self._mailbox.take.remote()
        return letters

    def read_all(self) -> list[_Letter]:
        """All that was posted before now."""
        drained = self._mailbox.drain.remote()
        return [*self.read(), *self._ray.get(drained)]


class _Cluster:
    """A connection to Ray: what it has, and what is needed there to do a step."""

    def __init__(self, ray: Any, address: str | None, place: Place, cpus: int, gpus: int | None) -> None:
        self._ray = ray
        self._own = not ray.is_initialized()
        self._slots, self._counted = 1, float("-inf")
        if self._own:
            _connect(ray, address)
        try:
            self._prepare(place, cpus, _gpus(ray, place.device) if gpus is None else gpus)
        except BaseException:
            self._disconnect()
            raise

    def _prepare(self, place: Place, cpus: int, gpus: int) -> None:
        self.resources = Resources(cpus, 0 if place.device == "cpu" else gpus)
        self.place = replace(place, device=("cuda" if gpus else "cpu") if place.device == "auto" else place.device)
        self.remote = self._ray.remote(max_retries=0)(_attempt_there)
        mailbox = self._ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=_here(self._ray))
        self.mailbox = mailbox.remote()
        self.mail = _Mail(self._ray, self.mailbox)

    @property
    def slots(self) -> int:
        """How many steps the cluster has cores for now; one at least, for nodes that are yet to come."""
        if time.monotonic() - self._counted > _COUNTED:
            self._slots = max(1, int(self._ray.cluster_resources().get("CPU", 0)) // self.resources.cpus)
            self._counted = time.monotonic()
        return self._slots

    def leave(self) -> None:
        if not self._own:
            self._ray.kill(self.mailbox)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._own:
            self._ray.shutdown()


@contextlib.contextmanager
def started() -> Iterator[None]:
    """Ray on this machine for all the runs inside, each of which would start and stop one of its own."""
    ray = _imported(local=True)
    _connect(ray, None)
    try:
        yield
    finally:
        ray.shutdown()


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _imported(*, local: bool) -> Any:
    """The module. What Ray reads from the environment is set before: no statistics are sent, and where all is
    `local`, this machine has the loopback interface's address, as it has on systems where Ray knows no other."""
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
        _knock(address)
        ray.init(address, **quiet)


def _knock(address: str) -> None:
    """OSError where nobody listens at `HOST:PORT`. Of other addresses (`auto`) Ray knows what they mean."""
    port = address.rpartition(":")[2]
    if port.isdigit():
        socket.create_connection((_host(address), int(port)), _ANSWER).close()


def _host(address: str) -> str:
    """Of `HOST:PORT` or `ray://HOST:PORT`."""
    return address.rpartition("//")[2].rpartition(":")[0]


def _gpus(ray: Any, device: str) -> int:
    """How many a step takes if nobody said."""
    there = int(ray.cluster_resources().get("GPU", 0))
    if device.startswith("cuda") and not there:
        raise UserError(
            f"--device {device}: the Ray cluster has no GPU at present",
            "take --device cpu, or say --gpus-per-step 1 if it gets some when they are asked for",
        )
    return min(there, 1)


def _here(ray: Any) -> Any:
    """The driver's node, which is lost only with the driver."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _attempt_there(task: Task, number: int, root: str, place: Place, mailbox: Any) -> Ending:
    """What a worker does with a task; its letters have arrived before it ends."""
    import ray

    def tell(told: Told) -> None:
        # One at a time: an actor of coroutines may take two that are under way in either order.
        with contextlib.suppress(ray.exceptions.RayError):
            ray.get(mailbox.post.remote(_Letter(number, told)))

    return attempt(task, _store(root), place, tell)


@functools.cache
def _store(root: str) -> Store:
    """One store in a worker's life: inputs that it has verified are not read again for each step."""
    return open_store(root)
