"""What a store tells of a run that goes on, was killed or failed, wherever it lies; and the page of `satdsl status`."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from satdsl.engine import leases, locks
from satdsl.engine.errors import StoreError
from satdsl.engine.gc import find_garbage
from satdsl.engine.heartbeat import FailedStep, Heartbeat, running_step, with_heartbeat
from satdsl.engine.local_store import LocalStore
from satdsl.engine.status import status_document, store_document
from satdsl.engine.status_text import page
from satdsl.engine.store import Store
from satdsl.ir.plan import Passes
from satdsl.ir.steps import Step
from satdsl.ir.work import Progress, StepError, Work
from tests.engine.fake_steps import Made, Performer, make, run, write_artifact
from tests.engine.store_locations import Home

ME = f"process {os.getpid()} on {os.uname().nodename}"


@pytest.fixture
def made() -> Made:
    return make(draws=2)


@pytest.fixture(autouse=True)
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(leases, "_SHORT", 0.0)


def states(made: Made, store: Store) -> dict[str, str]:
    return {step["label"]: step["state"] for step in status_document(made.plan, store)["steps"]}


def tries(seconds: float) -> Iterator[None]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(0.02)


def failing(step: Step, work: Work) -> None:
    if step.kind == "train" and step.settings.seed == 0:  # type: ignore[union-attr]
        raise StepError("the loss is not a number", "try a smaller lr")
    write_artifact(step, work.out)


# --- while a step runs ---------------------------------------------------------------------------


def test_another_machine_sees_how_far_a_running_step_is(home: Home, made: Made) -> None:
    found: list[dict[str, object]] = []

    def perform(step: Step, work: Work) -> None:
        if step.kind == "train" and not found:
            work.report(Progress(4, 10, "epoch 4 of 10"))
            for _ in tries(20.0):
                work.report(Progress(6, 10, "epoch 6 of 10"))
                (running,) = status_document(made.plan, home.store("two"))["steps"][1:2]
                if running["state"] == "running" and running.get("done") == 6:
                    found.append(running)
                    break
        write_artifact(step, work.out)

    run(made.plan, home.store("one"), perform, wanted=[made.chains[0].train.key])
    (running,) = found
    assert running["label"] == "train net[draw=0]"
    assert (running["owner"], running["note"], running["total"]) == (ME, "epoch 6 of 10", 10)
    assert states(made, home.store("two"))["train net[draw=0]"] == "done"


def test_the_time_left_is_judged_by_this_run_alone() -> None:
    beat = Heartbeat("train net", "train", began=1000.0, seen=9060.0, first=40.0, done=60.0, total=100.0, spent=60.0)
    # 20 units took 60 s, 40 are left; the machine slept for two hours
    assert beat.seconds_left == pytest.approx(120.0)
    assert replace(beat, done=40.0).seconds_left is None


def reported(store: LocalStore, made: Made, *told: Progress) -> list[tuple[float, float]]:
    """What was done before the measured time and by now, after each of these reports."""
    beats = []

    def perform(step: Step, work: Work) -> None:
        for progress in told:
            work.report(progress)
            beats.extend(one.heartbeat for one in store.running())
        write_artifact(step, work.out)

    run(made.plan, store, perform, wanted=[made.data.key])
    assert all(heartbeat is not None and heartbeat.spent >= 0 for heartbeat in beats)
    return [(heartbeat.first, heartbeat.done) for heartbeat in beats if heartbeat]


def test_what_an_earlier_run_had_done_is_no_measure_of_speed(made: Made, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    (store.scratch(made.data.key) / "saved").touch()
    told = [Progress(done, 10) for done in (7.5, 8, 9)]
    assert reported(store, made, *told) == [(7.5, 7.5), (7.5, 8.0), (7.5, 9.0)]


def test_all_that_is_reported_at_first_was_done_by_a_step_that_is_new(made: Made, tmp_path: Path) -> None:
    told = [Progress(done, 300) for done in (100, 200, 300)]
    assert reported(LocalStore(tmp_path / "store"), made, *told) == [(0, 100), (0, 200), (0, 300)]


def test_a_count_in_another_unit_is_measured_anew(made: Made, tmp_path: Path) -> None:
    told = [Progress(800, 1000), Progress(10, 50), Progress(20, 50)]
    assert reported(LocalStore(tmp_path / "store"), made, *told) == [(0, 800), (10, 10), (10, 20)]


def test_work_left_is_judged_by_what_runs_before_anything_is_done(made: Made, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    costly = replace(made.plan, passes=dict.fromkeys((chain.train.key for chain in made.chains), Passes(0, 300)))
    lock = store.lock(made.chains[0].train.key)
    assert lock is not None
    with lock:
        now = time.time()
        lock.beat(Heartbeat("train", "train", now - 60, now, done=50.0, total=100.0, spent=60.0))
        left = status_document(costly, store)["work_left"]
    assert left["seconds"] == pytest.approx(60 + 120, abs=2)
    assert not left["at_least"]


def test_time_that_went_by_since_a_sign_of_life_is_not_left(made: Made, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    lock = store.lock(made.chains[0].train.key)
    assert lock is not None
    with lock:
        now = time.time()
        lock.beat(Heartbeat("train", "train", now - 120, now - 40, done=50.0, total=100.0, spent=80.0))
        assert status_document(made.plan, store)["work_left"]["seconds"] == pytest.approx(40, abs=2)


def test_a_sign_of_life_that_the_disk_refuses_does_not_end_a_step() -> None:
    lock = locks.FileLock(Path("lock"), os.open(os.devnull, os.O_RDWR))
    lock._descriptor = os.open("/dev/full", os.O_RDWR)
    lock.beat(Heartbeat("digits", "data", 0.0, 0.0))


def test_a_look_at_the_moment_of_locking_does_not_refuse_the_lock(made: Made, tmp_path: Path) -> None:
    place = tmp_path / made.data.key
    with place.open("wb") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (looked_at, fcntl.LOCK_UN)).start()
        lock = locks.acquire(place)
        assert lock is not None
        with lock:
            assert locks.acquire(place) is None


def test_a_failure_that_cannot_be_noted_fails_its_step_alone(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: LocalStore, failed: FailedStep) -> None:
        raise StoreError("the disk of the store is full")

    monkeypatch.setattr(LocalStore, "record_failure", full)
    outcome = run(made.plan, LocalStore(tmp_path / "store"), failing)
    assert list(outcome.failed) == [made.chains[0].train.key]
    assert made.chains[1].evaluate.key in outcome.finished


@pytest.mark.parametrize("folder", ["artifacts", "locks", "failed", "scratch", "damaged"])
def test_a_store_that_may_not_be_read_is_named(
    folder: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> list[str]:
        raise (
            PermissionError(errno.EACCES, "Permission denied", str(path)) if path.name == folder else FileNotFoundError
        )

    monkeypatch.setattr(os, "listdir", refuse)  # root, who may run the tests, is refused nothing
    with pytest.raises(StoreError, match=rf"cannot be read \(Permission denied: .*{folder}\)"):
        status_document(made.plan, LocalStore(tmp_path / "store"))


def test_a_step_whose_process_was_killed_is_not_running(made: Made, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tests.engine.fake_steps", str(tmp_path / "store"), str(log), "2", "60"]
    process = subprocess.Popen(command, start_new_session=True)
    store = LocalStore(tmp_path / "store")
    for _ in tries(30.0):
        if log.exists() and log.read_text():
            break
    assert states(made, store)["digits"] == "running"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert states(made, store)["digits"] == "waiting"
    assert os.listdir(tmp_path / "store" / "locks") == [made.data.key]  # left behind, and held by nobody


def test_looking_does_not_keep_a_step_from_running(made: Made, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    performer = Performer(before=lambda step: store.running() and None)
    assert run(made.plan, store, performer).complete
    assert len(performer.performed) == 5


def test_a_lock_with_unknown_content_is_shown_without_a_heartbeat(made: Made, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    lock = store.lock(made.data.key)
    assert lock is not None
    with lock:
        (tmp_path / "store" / "locks" / made.data.key).write_text("process 1 on node3")
        (running,) = store.running()
        assert (running.owner, running.heartbeat) == ("another process", None)
        assert states(made, store)["digits"] == "running"
        assert "another process" in text_of(store_document(store))


def test_an_owner_whose_name_is_not_yet_written_is_waited_for(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    place.touch()
    writer = threading.Timer(0.05, lambda: place.write_text('{"process": 1, "host": "node3"}'))
    writer.start()
    assert locks.owner(place) == "process 1 on node3"
    writer.join()


# --- when a step has failed ----------------------------------------------------------------------


def test_why_a_step_failed_is_seen_from_another_machine_until_it_is_done(home: Home, made: Made) -> None:
    assert not run(made.plan, home.store("one"), failing).complete
    document = status_document(made.plan, home.store("two"))
    by_label = {step["label"]: step for step in document["steps"]}
    failed = by_label["train net[draw=0]"]
    assert (failed["state"], failed["reason"], failed["help"]) == (
        "failed",
        "the loss is not a number",
        "try a smaller lr",
    )
    assert by_label["evaluate net[draw=0]"]["for"] == "blocked"
    assert document["counts"] == {"done": 3, "running": 0, "failed": 1, "waiting": 1}
    assert run(made.plan, home.store("three"), Performer()).complete
    assert home.store("two").failures() == ()
    assert not [name for name in home.names() if name.startswith("failed")]


def test_a_failure_that_is_noted_after_another_machine_made_the_step_is_not_shown(home: Home, made: Made) -> None:
    run(made.plan, home.store("one"), Performer(), wanted=[made.data.key])
    late = FailedStep(made.data.key, "digits", "data", "no network", "", "", time.time(), ME)
    home.store("two").record_failure(late)
    assert home.store("three").failures() == ()


def test_why_a_wanted_step_failed_survives_a_collection_and_others_go(home: Home, made: Made) -> None:
    store = home.store()
    run(made.plan, store, failing)
    assert [left.kind for left in find_garbage(store, made.plan.steps).leftovers if left.kind == "failed"] == []
    (left,) = [left for left in find_garbage(store, ()).leftovers if left.kind == "failed"]
    assert left.key == made.chains[0].train.key
    store.delete_leftover(left)
    assert home.store("two").failures() == ()


def test_a_record_that_cannot_be_read_is_no_failure(home: Home, made: Made) -> None:
    home.write(f"failed/{made.data.key}.json", b'{"key": 3')
    assert home.store().failures() == ()
    assert FailedStep.from_json(json.dumps({"key": 1, "label": "x"}).encode()) is None


# --- what waits, and how much that is ------------------------------------------------------------


@pytest.mark.parametrize("time", [1e20, -1.0, float("nan"), float("inf"), "yesterday"])
def test_a_record_of_an_impossible_time_is_no_failure(time: object, made: Made, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    run(made.plan, store, failing)
    (record,) = (tmp_path / "store" / "failed").iterdir()
    record.write_text(json.dumps(json.loads(record.read_text()) | {"time": time}))
    assert store_document(store)["counts"]["failed"] == 0


def test_a_heartbeat_with_impossible_numbers_is_none() -> None:
    heartbeat = Heartbeat("digits", "data", 0.0, 0.0, total=float("nan"))
    assert running_step("ab" * 32, with_heartbeat({}, heartbeat)).heartbeat is None


def test_what_waits_says_what_for(made: Made, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    document = status_document(made.plan, store)
    assert [step["for"] for step in document["steps"]] == ["ready", *["for others"] * 4]
    assert document["work_left"] is None


def test_what_was_stopped_is_found_without_a_plan(made: Made, tmp_path: Path) -> None:
    def stopped(step: Step, work: Work) -> None:
        (work.scratch / "state").write_bytes(b"epoch 3")
        raise KeyboardInterrupt

    store = LocalStore(tmp_path / "store")
    run(made.plan, store, stopped)
    (step,) = store_document(store)["steps"]
    assert (step["key"], step["state"], step["saved"]) == (made.data.key, "waiting", True)
    assert status_document(made.plan, store)["steps"][0]["saved"]


# --- the page ------------------------------------------------------------------------------------


def text_of(document: dict[str, object], width: int = 80) -> str:
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(page(document, width), highlight=False)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def test_the_page_names_what_runs_and_why_something_failed(made: Made, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    run(made.plan, store, failing)
    lock = store.lock(made.chains[0].evaluate.key)
    assert lock is not None
    with lock:
        now = time.time()
        lock.beat(
            Heartbeat("evaluate net[draw=0]", "evaluate", now - 60, now, 0.0, 25.0, 100.0, "apgd-ce: 71 standing", 60)
        )
        lines = text_of(status_document(made.plan, store)).splitlines()
    assert lines[0] == "made up"
    assert [line.split() for line in lines[2:6]] == [
        ["done", "running", "failed", "waiting"],
        ["data", "sets", "1", "-", "-", "-"],
        ["trainings", "1", "-", "1", "-"],
        ["evaluations", "1", "1", "-", "-"],
    ]
    at = lines.index("Running")
    assert lines[at + 1] == "  evaluate net[draw=0]"
    assert re.fullmatch(rf"    25%, (3 min 0|2 min \d+) s left, {ME}", lines[at + 2])
    assert lines[at + 3] == "    apgd-ce: 71 standing"
    at = lines.index("Failed")
    assert lines[at + 1] == "  train net[draw=0]"
    assert lines[at + 3 : at + 5] == ["    the loss is not a number", "    try a smaller lr"]
    assert "3 done, 1 running, 1 failed" in lines
    assert max(map(len, lines)) <= 80


def test_a_step_that_has_long_been_silent_is_said_to_be(made: Made, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    lock = store.lock(made.data.key)
    assert lock is not None
    with lock:
        lock.beat(Heartbeat("digits", "data", time.time() - 8000, time.time() - 7200))
        assert "no sign of life for 2 h 0 min" in text_of(store_document(store))
