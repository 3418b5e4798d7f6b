"""Steps on Ray: a real cluster of several nodes makes the same artifacts, also when it loses a node in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from satdsl.engine.errors import StoreError
from satdsl.engine.events import Event, StepFailed, StepFinished, StepLost, StepProgress, StepStarted
from satdsl.engine.execute import ExecutionContext
from satdsl.engine.local_store import LocalStore
from satdsl.engine.ray_executor import RayExecutor
from satdsl.engine.run import Outcome
from satdsl.engine.run import run as run_plan
from satdsl.engine.store import Store
from satdsl.errors import UserError
from satdsl.ir.steps import Key
from tests.engine.fake_steps import Performer, make, run, same_artifacts
from tests.engine.ray_steps import hanging, killing, noted, refusing

# Read by Ray when it is loaded: a cluster of this machine alone, that sends no statistics.
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'satdsl[ray]'")

PYTHONPATH = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same as an IPv6 address, and ::1, as /proc/net/tcp and tcp6 write them."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node for the driver, which takes no step, and two that take one each."""
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = PYTHONPATH
    node = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 * 1024**2, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **node})
    for _ in range(2):
        found.add_node(num_cpus=1, **node)
    yield found
    found.shutdown()


def on(cluster: Any, store: Store, perform: Any, folder: Path, listen: Any, draws: int = 3) -> Outcome:
    executor = RayExecutor(store, ExecutionContext(perform, folder, device="auto"), address=cluster.address)
    return run_plan(make(draws).plan, store, executor, listen=listen)


def test_a_cluster_makes_what_one_process_makes_on_all_its_nodes(cluster: Any, tmp_path: Path) -> None:
    made, store, alone = make(6), LocalStore(tmp_path / "store"), LocalStore(tmp_path / "alone")
    events: list[Event] = []
    outcome = on(cluster, store, noted, tmp_path, events.append, draws=6)
    assert outcome.complete, outcome.failed
    assert run(made.plan, alone, Performer()).complete
    assert same_artifacts(store, alone, made.plan.steps)
    where = [(tmp_path / key).read_text().split() for key in made.plan.steps]
    assert len({node for node, _, _ in where}) == 2
    assert str(os.getpid()) not in {process for _, process, _ in where}
    assert {device for _, _, device in where} == {"cpu"}


def test_what_a_step_tells_arrives_between_its_start_and_its_end(cluster: Any, tmp_path: Path) -> None:
    events: list[Event] = []
    on(cluster, LocalStore(tmp_path / "store"), noted, tmp_path, events.append)
    for key in make(3).plan.steps:
        mine = [type(event) for event in events if getattr(event, "key", None) == key]
        assert mine == [StepStarted, StepProgress, StepFinished]


def test_an_interrupt_stops_the_steps_and_keeps_what_they_saved(cluster: Any, tmp_path: Path) -> None:
    store, key = LocalStore(tmp_path / "store"), make(3).chains[1].train.key

    def interrupt(event: Event) -> None:
        if isinstance(event, StepStarted) and event.key == key:
            until_saved(store, key)
            raise KeyboardInterrupt

    assert on(cluster, store, hanging, tmp_path, interrupt).interrupted
    lock = store.lock(key)
    assert lock is not None, "the step still runs"
    lock.release()
    assert store.has_scratch(key)
    assert run(make(3).plan, store, Performer()).complete


def test_a_step_that_always_kills_its_process_fails_after_some_tries(cluster: Any, tmp_path: Path) -> None:
    events: list[Event] = []
    outcome = on(cluster, LocalStore(tmp_path / "store"), killing, tmp_path, events.append, draws=1)
    ((key, failure),) = outcome.failed.items()
    assert key == make(1).chains[0].train.key
    assert failure.reason == "the process it ran in is gone, or its whole node, for the 4th time"
    assert sum(isinstance(event, StepLost) for event in events) == 3


def test_a_foreseen_error_on_a_node_is_told_as_it_is_here(cluster: Any, tmp_path: Path) -> None:
    events: list[Event] = []
    on(cluster, LocalStore(tmp_path / "store"), refusing, tmp_path, events.append, draws=1)
    (failed,) = [event for event in events if isinstance(event, StepFailed)]
    assert (failed.reason, failed.help) == ("no such thing", "look elsewhere")


def test_a_store_that_the_nodes_do_not_share_is_named(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("satdsl.engine.ray_executor._VISIBLE", 0.2)
    here = LocalStore(tmp_path / "here")
    executor = RayExecutor(here, ExecutionContext(noted, tmp_path), address=cluster.address)
    # The nodes write to another folder, as they do where each has a disk of its own at the store's path.
    executor._store = Elsewhere(tmp_path / "here", tmp_path / "there")
    with pytest.raises(StoreError, match="does not show it here") as raised:
        run_plan(make(1).plan, here, executor)
    assert "share" in raised.value.help


class Elsewhere(LocalStore):
    """A store whose path leads to another folder on the nodes."""

    def __init__(self, here: Path, there: Path) -> None:
        super().__init__(here)
        self.root = there

    def folder(self, key: Key) -> Path:
        return self.root.with_name("here") / "artifacts" / key[:2] / key


def test_a_run_survives_the_loss_of_a_node_and_goes_on_from_what_was_saved(cluster: Any, tmp_path: Path) -> None:
    made, store, alone = make(4), LocalStore(tmp_path / "store"), LocalStore(tmp_path / "alone")
    key = made.chains[1].train.key
    events: list[Event] = []

    def lose_the_node(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepStarted) and event.key == key and len(cluster.worker_nodes) == 2:
            saved = until_saved(store, key)
            (node,) = [node for node in cluster.worker_nodes if node.node_id == saved]
            cluster.remove_node(node, allow_graceful=False)

    outcome = on(cluster, store, hanging, tmp_path, lose_the_node, draws=4)
    assert outcome.complete
    assert len(cluster.worker_nodes) == 1
    assert [event.key for event in events if isinstance(event, StepLost)] == [key]
    assert store.manifest(key).continued
    assert run(made.plan, alone, Performer()).complete
    assert same_artifacts(store, alone, made.plan.steps)


def until_saved(store: Store, key: Key) -> str:
    """What the step has saved, as soon as it has."""
    path, end = store.scratch(key) / "saved", time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return path.read_text()


def test_ray_on_this_machine_listens_on_the_loopback_interface_only(tmp_path: Path) -> None:
    program = """
import json, sys
from pathlib import Path
from satdsl.engine.execute import ExecutionContext
from satdsl.engine.events import StepFinished
from satdsl.engine.ray_executor import RayExecutor
from satdsl.engine.run import run
from satdsl.engine.local_store import LocalStore
from satdsl.engine.store import Store
from tests.engine.fake_steps import make
from tests.engine.ray_steps import listening, noted
folder, found = Path(sys.argv[1]), set()
def look(event):
    if isinstance(event, StepFinished):
        found.update(listening())
store = LocalStore(folder / "store")
outcome = run(make(1).plan, store, RayExecutor(store, ExecutionContext(noted, folder), jobs=1), listen=look)
print(json.dumps([outcome.complete, sorted(found)]))
"""
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], env=environment, capture_output=True, text=True, check=True
    )
    complete, addresses = json.loads(done.stdout)
    assert complete
    assert addresses
    assert set(addresses) <= LOOPBACK
    assert done.stderr == ""


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    executor = RayExecutor(store, ExecutionContext(noted, tmp_path), address="127.0.0.1:1")
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1 cannot be reached"):
        run_plan(make(1).plan, store, executor)


def test_a_gpu_that_the_cluster_does_not_have_is_named(cluster: Any, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    executor = RayExecutor(store, ExecutionContext(noted, tmp_path, device="cuda"), address=cluster.address)
    with pytest.raises(UserError, match="the Ray cluster has no GPU at present"):
        run_plan(make(1).plan, store, executor)
