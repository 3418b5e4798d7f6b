"""Steps as jobs: of a real Slurm where one can be started, and of submitit's own processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from satdsl.engine.events import Event, StepFinished, StepLost, StepProgress, StepStarted
from satdsl.engine.execute import ExecutionContext
from satdsl.engine.local_store import LocalStore
from satdsl.engine.run import Outcome
from satdsl.engine.run import run as run_plan
from satdsl.engine.slurm_executor import SlurmExecutor, minutes
from satdsl.engine.store import Store
from satdsl.errors import UserError
from satdsl.ir.steps import Key
from tests.engine.fake_steps import Performer, make, run, same_artifacts
from tests.engine.slurm_steps import answer, missing, performed, slurm

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'satdsl[slurm]'")

Cluster = Literal["slurm", "local"]
MADE = make(3)
HANGS = MADE.chains[1].train.key


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """Jobs find the steps of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
        yield


@pytest.fixture(scope="module")
def a_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if reason := missing():
        pytest.skip(f"no Slurm can be started: {reason}")
    with slurm(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(params=["slurm", "local"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    if request.param == "slurm":
        request.getfixturevalue("a_slurm")
    found: Cluster = request.param
    return found


def on(cluster: Cluster, store: Store, folder: Path, listen: Callable[[Event], None], **options: Any) -> Outcome:
    executor = SlurmExecutor(store, ExecutionContext(performed, folder), cluster=cluster, **options)
    return run_plan(MADE.plan, store, executor, listen=listen)


def attempts(folder: Path) -> dict[Key, list[tuple[str, str]]]:
    """For each step the process and the array of each time it was begun."""
    found: dict[Key, list[tuple[str, str]]] = {}
    for line in (folder / "log").read_text().splitlines():
        key, process, array = line.split()
        found.setdefault(key, []).append((process, array))
    return found


def when_hanging(store: Store, then: Callable[[int], None]) -> Callable[[Event], None]:
    """Once the step that hangs has saved something, do this with its process."""
    done = []

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted) and event.key == HANGS and not done:
            done.append(event)
            saved, end = store.scratch(HANGS) / "saved", time.monotonic() + 30
            while not (saved.exists() and saved.read_text()):
                assert time.monotonic() < end, "it did not happen in time"
                time.sleep(0.05)
            then(int(saved.read_text()))

    return listen


def test_a_preempted_job_goes_back_into_the_queue_and_its_step_continues(cluster: Cluster, tmp_path: Path) -> None:
    store, alone = LocalStore(tmp_path / "store"), LocalStore(tmp_path / "alone")
    events: list[Event] = []
    # What Slurm sends before it takes a job's node away; submitit answers with a request to queue the job again.
    preempt = when_hanging(store, lambda process: os.kill(process, signal.SIGUSR2))

    def listen(event: Event) -> None:
        events.append(event)
        preempt(event)

    assert on(cluster, store, tmp_path, listen).complete
    assert run(MADE.plan, alone, Performer()).complete
    assert same_artifacts(store, alone, MADE.plan.steps)
    begun = attempts(tmp_path)
    assert {key: len(tries) for key, tries in begun.items() if len(tries) != 1} == {HANGS: 2}
    assert store.manifest(HANGS).continued
    assert not [event for event in events if isinstance(event, StepLost)]
    for key in set(MADE.plan.steps) - {HANGS}:
        mine = [type(event) for event in events if getattr(event, "key", None) == key]
        assert mine == [StepStarted, StepProgress, StepFinished]
    if cluster == "slurm":
        arrays = {begun[chain.train.key][0][1] for chain in MADE.chains}
        assert len(arrays) == 1
        assert "-" not in arrays, "the trainings were no array"
    assert not list((tmp_path / "store" / "slurm").glob("*_result.pkl"))


def test_a_job_that_is_killed_is_begun_again(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satdsl.engine.slurm_executor._VISIBLE", 1.0)
    monkeypatch.setattr("satdsl.engine.slurm_executor._QUEUE", 0.5)
    store, events = LocalStore(tmp_path / "store"), list[Event]()
    kill = when_hanging(store, lambda process: os.kill(process, signal.SIGKILL))

    def listen(event: Event) -> None:
        events.append(event)
        kill(event)

    assert on(cluster, store, tmp_path, listen).complete
    assert [event.key for event in events if isinstance(event, StepLost)] == [HANGS]
    assert len(attempts(tmp_path)[HANGS]) == 2


def test_an_interrupt_cancels_the_jobs(cluster: Cluster, tmp_path: Path) -> None:
    def interrupt(process: int) -> None:
        raise KeyboardInterrupt

    store = LocalStore(tmp_path / "store")
    assert on(cluster, store, tmp_path, when_hanging(store, interrupt)).interrupted
    end = time.monotonic() + 30
    while (lock := store.lock(HANGS)) is None:
        assert time.monotonic() < end, "the job still runs"
        time.sleep(0.1)
    lock.release()
    assert store.has_scratch(HANGS)


def test_what_sbatch_refuses_is_told(a_slurm: None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="invalid partition specified: nowhere"):
        on("slurm", LocalStore(tmp_path / "store"), tmp_path, lambda event: None, options={"partition": "nowhere"})


def test_options_reach_sbatch(a_slurm: None, tmp_path: Path) -> None:
    told: list[str] = []

    def look(process: int) -> None:
        told.append(answer("squeue", "--noheader", "--array", "--format=%P %l %k"))
        raise KeyboardInterrupt

    store = LocalStore(tmp_path / "store")
    options = {"partition": "debug", "time": "1:30:00", "comment": "mine"}
    on("slurm", store, tmp_path, when_hanging(store, look), options=options)
    assert "debug 1:30:00 mine" in told[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90:30", 91), ("1:30:00", 90), ("2-0", 2880), ("1-12:30", 2190), ("0:10", 1)],
)
def test_times_are_read_as_sbatch_reads_them(text: str, expected: int) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "1:2:3:4", "-3"])
def test_what_is_no_time_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a time"):
        SlurmExecutor(LocalStore(tmp_path), ExecutionContext(performed), options={"time": text}, cluster="local")


def test_what_satdsl_tells_sbatch_cannot_be_given(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--slurm array=\.\.\. cannot be given"):
        SlurmExecutor(LocalStore(tmp_path), ExecutionContext(performed), options={"array": "1-3"}, cluster="local")
