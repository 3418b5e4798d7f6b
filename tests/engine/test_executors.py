"""Steps in several processes: the same artifacts, nothing twice, and a dead worker costs its step alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from satdsl.engine.events import Event, StepFailed, StepProgress, StepStarted, StepStops
from satdsl.engine.execute import ExecutionContext
from satdsl.engine.executors import ProcessExecutor
from satdsl.engine.local_store import LocalStore
from satdsl.engine.run import Outcome
from satdsl.engine.run import run as run_plan
from satdsl.ir.interrupts import saved_first
from satdsl.ir.plan import Passes, Plan
from satdsl.ir.steps import Step, Train
from satdsl.ir.work import Progress, StepError, Work
from tests.engine.fake_steps import Performer, make, run, same_artifacts, write_artifact


def logged(step: Step, work: Work) -> None:
    """Notes who performs which step, and where."""
    with open(work.data_root / "log", "a") as file:
        file.write(f"{step.key} {os.getpid()} {work.device}\n")
    time.sleep(0.2 if step.kind == "train" else 0)
    write_artifact(step, work.out)


def dying(step: Step, work: Work) -> None:
    if isinstance(step.settings, Train) and step.settings.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    write_artifact(step, work.out)


def refusing(step: Step, work: Work) -> None:
    if isinstance(step.settings, Train) and step.settings.seed == 0:
        raise StepError("no such thing", "look elsewhere")
    time.sleep(0.1)
    write_artifact(step, work.out)


def slow(step: Step, work: Work) -> None:
    if step.kind == "train":
        (work.scratch / "saved").write_text("half")
        time.sleep(60)
    write_artifact(step, work.out)


def saving_first(step: Step, work: Work) -> None:
    """Saves when it is to stop, which takes a moment."""
    if step.kind == "train":
        with saved_first() as stop:
            work.report(Progress(0, 1))
            while not stop.asked:
                time.sleep(0.01)
            time.sleep(0.1)
            (work.scratch / "saved").write_text("all")
            work.stops("it is saved")
            return
    write_artifact(step, work.out)


def in_processes(
    plan: Plan, store: LocalStore, perform: object, folder: Path, jobs: int = 2, **options: object
) -> Outcome:
    place = ExecutionContext(perform, folder)  # type: ignore[arg-type]
    executor = ProcessExecutor(store, place, ["cpu"] * jobs)
    return run_plan(plan, store, executor, **options)  # type: ignore[arg-type]


def test_two_workers_make_what_one_process_makes_and_nothing_twice(tmp_path: Path) -> None:
    made, store, alone = make(6), LocalStore(tmp_path / "store"), LocalStore(tmp_path / "alone")
    assert in_processes(made.plan, store, logged, tmp_path).complete
    assert run(made.plan, alone, Performer()).complete
    assert same_artifacts(store, alone, made.plan.steps)
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(line[0] for line in lines) == sorted(made.plan.steps)
    assert len({line[1] for line in lines}) == 2
    assert str(os.getpid()) not in {line[1] for line in lines}
    assert {line[2] for line in lines} == {"cpu"}


def test_workers_save_before_an_interrupt_ends_them_and_what_they_say_is_heard(tmp_path: Path) -> None:
    made, store = make(2), LocalStore(tmp_path / "store")
    events: list[Event] = []

    def interrupt(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepProgress) and sum(isinstance(one, StepProgress) for one in events) == 2:
            raise KeyboardInterrupt

    outcome = in_processes(made.plan, store, saving_first, tmp_path, listen=interrupt)
    assert outcome.interrupted
    stops = [event for event in events if isinstance(event, StepStops)]
    assert [event.text for event in stops] == ["it is saved"] * 2
    assert all((store.root / "scratch" / event.key / "saved").read_text() == "all" for event in stops)


def interruptible(step: Step, work: Work) -> None:
    """Notes whether an interrupt would have ended this process before it could ignore it."""
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    (work.data_root / "blocked").write_text(str(blocked))
    write_artifact(step, work.out)


def test_an_interrupt_does_not_reach_a_worker_that_is_being_started(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert in_processes(make(0).plan, LocalStore(tmp_path / "store"), interruptible, tmp_path, 1).complete
    assert (tmp_path / "blocked").read_text() == "True"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_worker_that_dies_fails_its_step_alone_and_is_replaced(tmp_path: Path) -> None:
    made, store = make(4), LocalStore(tmp_path / "store")
    outcome = in_processes(made.plan, store, dying, tmp_path)
    ((key, failure),) = outcome.failed.items()
    assert key == made.chains[1].train.key
    assert "signal 9 (SIGKILL)" in failure.reason
    assert list(outcome.skipped) == [made.chains[1].evaluate.key]
    assert len(outcome.finished) == len(made.plan.steps) - 2
    assert run(made.plan, store, Performer()).complete


def test_a_foreseen_error_in_a_worker_is_told_as_it_is_here(tmp_path: Path) -> None:
    made = make(2)
    events: list[Event] = []
    in_processes(made.plan, LocalStore(tmp_path / "store"), refusing, tmp_path, listen=events.append)
    (failed,) = [event for event in events if isinstance(event, StepFailed)]
    assert (failed.reason, failed.help) == ("no such thing", "look elsewhere")


@pytest.mark.parametrize("jobs", [1, 2])
def test_fail_fast_starts_nothing_after_the_first_failure(tmp_path: Path, jobs: int) -> None:
    made, store = make(8), LocalStore(tmp_path / "store")
    outcome = in_processes(made.plan, store, refusing, tmp_path, jobs, fail_fast=True)
    assert list(outcome.failed) == [made.chains[0].train.key]
    assert len(outcome.finished) <= 3
    assert outcome.left
    assert not outcome.complete


def test_the_longest_chain_starts_first(tmp_path: Path) -> None:
    made = make(4)
    costs = {chain.evaluate.key: Passes(forward=cost) for chain, cost in zip(made.chains, (1, 30, 2, 20), strict=True)}
    plan = Plan(
        **{**{name: getattr(made.plan, name) for name in ("title", "steps", "labels", "results")}, "passes": costs}
    )
    events: list[Event] = []
    run(plan, LocalStore(tmp_path / "store"), Performer(), listen=events.append)
    started = [event.key for event in events if isinstance(event, StepStarted)]
    trains = [key for key in started if plan.steps[key].kind == "train"]
    assert trains == [made.chains[draw].train.key for draw in (1, 3, 2, 0)]


def test_workers_die_with_their_parent_and_what_they_saved_is_kept(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from satdsl.engine.local_store import LocalStore

from tests.engine.fake_steps import make
from tests.engine.test_executors import in_processes, slow
if __name__ == "__main__":
    in_processes(make(2).plan, LocalStore(Path(sys.argv[1]) / "store"), slow, Path(sys.argv[1]))
"""
    (tmp_path / "main.py").write_text(program)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    parent = subprocess.Popen([sys.executable, tmp_path / "main.py", tmp_path], env=environment)
    store, made = LocalStore(tmp_path / "store"), make(2)
    trains = [chain.train.key for chain in made.chains]
    until(lambda: all(store.has_scratch(key) for key in trains))
    parent.kill()
    parent.wait()
    until(lambda: all(_unlocked(store, key) for key in trains))
    assert all(store.has_scratch(key) for key in trains)


def _unlocked(store: LocalStore, key: str) -> bool:
    lock = store.lock(key)
    if lock is not None:
        lock.release()
    return lock is not None


def until(condition: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
