"""Two who want the same steps: each step is done once, whoever wins, and every artifact is whole."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from satdsl.engine.local_store import LocalStore
from satdsl.ir.steps import Key, Step
from tests.engine.fake_steps import Performer, make, run
from tests.engine.store_locations import Home

SCRIPT = Path(__file__).parents[1] / "engine" / "fake_steps.py"


@pytest.mark.parametrize(("home", "draws"), [("folder", 50), ("s3", 50)], indirect=["home"])
def test_two_processes_that_race_for_the_same_steps_do_each_once(
    home: Home, draws: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SATDSL_CACHE", str(tmp_path / "cache"))
    log, made = tmp_path / "log", make(draws)
    command = [sys.executable, str(SCRIPT), home.store().url, str(log), str(draws), "0.002"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = [list(map(int, process.communicate(timeout=120)[0].split())) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert Counter(log.read_text().split()[::2]) == Counter(list(made.plan.steps))
    assert sum(finished for finished, _, _ in counts) == len(made.plan.steps)
    assert [home.store().verify(key) for key in made.plan.steps] == [None] * len(made.plan.steps)
    assert home.store().leftovers() == ()


@pytest.mark.parametrize("home", ["folder", "memory"], indirect=True)
def test_two_threads_that_race_for_a_hundred_steps_do_each_once(home: Home) -> None:
    made, performed = make(50), list[Key]()

    def note(step: Step) -> None:
        performed.append(step.key)

    def race(machine: str) -> None:
        assert run(made.plan, home.store(machine), Performer(before=note)).complete

    threads = [threading.Thread(target=race, args=(machine,)) for machine in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert Counter(performed) == Counter(list(made.plan.steps))
    assert home.store().keys() == set(made.plan.steps)
    assert [home.store().verify(key) for key in made.plan.steps] == [None] * 101


def test_of_many_who_make_a_store_at_once_each_can_use_it(tmp_path: Path) -> None:
    """Threads here; processes of several machines may have the same number."""
    key, start = "ab" * 32, threading.Barrier(8)
    failed: list[Exception] = []

    def first(root: Path) -> None:
        start.wait()
        try:
            if (lock := LocalStore(root).lock(key)) is not None:
                lock.release()
        except Exception as error:
            failed.append(error)

    for number in range(20):
        threads = [threading.Thread(target=first, args=(tmp_path / str(number),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
