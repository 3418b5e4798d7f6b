"""Two people and one store: the example of `docs/how-to/share-a-store.md`, and what belongs to each of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from satdsl.backend.weights import save_weights
from satdsl.compile import compile_file
from satdsl.engine.execute import Busy, ExecutionContext, Task, execute
from satdsl.engine.local_store import LocalStore
from tests.engine.fake_steps import Performer, make, run

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "share-a-store.md"
GROUP, ANN, BOB = 54321, 54322, 54323

AT_ONCE = """
import satdsl.backend.evaluate, satdsl.backend.split, satdsl.backend.train, sys
from satdsl.cli import main
print("ready", flush=True)
sys.stdin.readline()
main()
"""
"""The command line in a process that has imported what takes long, and waits for a line to begin."""


def block(language: str) -> list[str]:
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def form(line: str) -> str:
    """What a line of a run says, whoever ran it and however long it took."""
    line = re.sub(r"^\[\d+/\d+\]", "[n/n]", line)
    line = re.sub(r" in [\d.]+ s$", " in n s", line)
    line = re.sub(r"process \d+ on \S+", "process n on host", line)
    return re.sub(r"^\d+ steps run|^\d+ steps to run, \d+ stored", "n steps", line)


def test_two_who_start_the_example_of_the_manual_at_once_share_its_steps(tmp_path: Path) -> None:
    (spec,) = block("sat")
    (tmp_path / "study.sat").write_text(spec, "utf-8")
    plan = compile_file(tmp_path / "study.sat").plan
    _, ann, bob, _ = block("console")
    command = ann.splitlines()[0].removeprefix("$ satdsl ").split()
    assert bob.splitlines()[0] == ann.splitlines()[0]
    there, command[-1] = command[-1], "shared"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, *command, "--device", "cpu"],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    found = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    (results, first), (again, second) = found
    results, again = (text.replace("report: shared/", f"report: {there}/") for text in (results, again))
    assert results == again
    counts = [int(re.findall(r"^(\d+) steps run", lines, re.MULTILINE)[0]) for lines in (first, second)]
    assert sum(counts) == len(plan.steps)
    assert min(counts) > 0
    # Each step was done by one and waited for, or found, by the other.
    done = [re.findall(r"^done    (.*) in [\d.]+ s$", lines, re.MULTILINE) for lines in (first, second)]
    assert sorted(done[0] + done[1]) == sorted(plan.labels.values())
    # The page shows what is seen: the same table (its numbers are this processor's), and lines of these forms only.
    labels = sorted(plan.labels.values())
    forms = {"n steps", "n steps in n s", *(f"[n/n] {label} (new)" for label in labels)}
    forms |= {f"done    {label} {how}" for label in labels for how in ("in n s", "by another process")}
    forms |= {f"waits   {label}: runs as process n on host" for label in labels}
    for page in (ann, bob):
        told, _, table = page.partition("\n\n")
        assert {form(line) for line in told.splitlines()[1:]} <= forms
        assert re.sub(r"\d+\.\d", "n", table).split() == re.sub(r"\d+\.\d", "n", results.strip()).split()
    assert {form(line) for line in (first + second).splitlines()} <= forms


def test_weights_are_as_readable_as_any_other_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    save_weights(tmp_path / "weights.safetensors", {"a": torch.ones(2)})
    assert (tmp_path / "weights.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of a group's, as the page says to make one."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two people")
    folder = Path(tempfile.mkdtemp(prefix="shared-"))
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2770)
    yield folder
    shutil.rmtree(folder)


def started(user: int, do: Callable[[], bool]) -> int:
    """A process of this user's, a member of the group, that does something and ends with 0 if that is True."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([GROUP])
            os.setgid(user)
            os.setuid(user)
            os.umask(0o002)
            code = 0 if do() else 2
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_two_people_of_one_group_wait_for_each_other_and_go_on_with_each_others_steps(
    shared: Path, tmp_path: Path
) -> None:
    made = make(2)
    run(made.plan, LocalStore(tmp_path / "whole"), Performer())  # imports what another user may not be able to read
    train = made.chains[0].train
    root = shared / "store"

    def begins_and_dies() -> bool:
        run(made.plan, LocalStore(root), Performer(), wanted=[made.data.key])
        store = LocalStore(root)
        lock = store.lock(train.key)
        (store.begin(train.key) / "half").touch()
        (store.scratch(train.key) / "state").write_text("half")
        (shared / "held").touch()
        while not (shared / "seen").exists():
            time.sleep(0.01)
        return lock is not None

    def waits() -> bool:
        store = LocalStore(root)
        ending = execute(Task(train, "train", "new"), store, ExecutionContext(Performer()), lambda told: None)
        (shared / "seen").touch()
        return isinstance(ending, Busy) and "process" in ending.owner

    def goes_on() -> bool:
        store = LocalStore(root)
        return run(made.plan, store, Performer()).complete and store.manifest(train.key).continued

    owner = started(ANN, begins_and_dies)
    while not (shared / "held").exists():
        time.sleep(0.01)
    waiting = started(BOB, waits)
    assert [ended(waiting), ended(owner)] == [0, 0]
    assert ended(started(BOB, goes_on)) == 0
    assert {key: LocalStore(root).verify(key) for key in made.plan.steps} == dict.fromkeys(made.plan.steps)
    assert {path.stat().st_uid for path in (root / "artifacts").glob("*/*")} == {ANN, BOB}
