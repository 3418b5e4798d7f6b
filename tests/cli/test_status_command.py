"""`satdsl status` as its users meet it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from satdsl.cli import app

SPEC = """sat 1
title "Half of it is missing"
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=32)
dataset missing = CIFAR10(root="nowhere")
model m = small_cnn(width=4)
recipe r = sgd(epochs=1, batch=32)
train t = m on d using r
train u = m on missing using r
evaluate t { clean = clean accuracy on val }
evaluate u { clean = clean accuracy on val }
"""


COMMAND = [sys.executable, "-m", "satdsl", "status", "spec.sat", "--only", "t", "--watch"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SATDSL_STORE", raising=False)
    monkeypatch.delenv("SATDSL_DATA", raising=False)
    Path("spec.sat").write_text(SPEC)


def satdsl(*args: str) -> Result:
    result = CliRunner().invoke(app, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_before_the_first_run_everything_waits() -> None:
    result = satdsl("status", "spec.sat")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == ["waiting: 2 can run, 4 wait for others", "6 waiting"]
    assert not Path(".satdsl").exists()


@pytest.mark.parametrize(
    "args",
    [("status",), ("status", "spec.sat"), ("results", "spec.sat"), ("curves", "spec.sat"), ("store", "list")],
    ids=" ".join,
)
def test_a_command_that_reads_says_that_a_mistyped_store_does_not_exist(args: tuple[str, ...]) -> None:
    Path("runs").mkdir()
    Path("runs/store.json").write_text('{"format": 1}')
    result = satdsl(*args, "--store", "rusn")
    assert result.exit_code == 0
    assert "there is no store at rusn; did you mean runs?\n" in result.stderr
    assert not Path("rusn").exists()


def test_after_a_failure_it_says_what_failed_and_what_that_holds_up() -> None:
    assert satdsl("run", "spec.sat").exit_code == 3
    text = satdsl("status", "spec.sat").stdout
    assert re.search(r"Failed\n  data missing\s+\n    .* ago, process \d+ on .*\n    the data set CIFAR10 is not", text)
    assert "waiting: 2 need what failed" in text
    assert "3 done, 1 failed, 2 waiting" in text
    assert "data missing" in satdsl("status").stdout


def test_one_training_alone_is_done() -> None:
    satdsl("run", "spec.sat", "--only", "t")
    assert satdsl("status", "spec.sat", "--only", "t").stdout.splitlines()[-1] == "3 done"


def test_json_has_every_step() -> None:
    satdsl("run", "spec.sat", "--only", "t")
    document = json.loads(satdsl("status", "spec.sat", "--format", "json").stdout)
    assert document["format_version"] == 1
    assert document["counts"] == {"done": 3, "running": 0, "failed": 0, "waiting": 3}
    assert [(step["label"], step["state"]) for step in document["steps"] if step["kind"] == "train"] == [
        ("train t", "done"),
        ("train u", "waiting"),
    ]
    assert document["work_left"]["seconds"] > 0  # judged by the training that is done
    assert document["work_left"]["at_least"] is False


def test_watching_ends_when_nothing_is_left() -> None:
    satdsl("run", "spec.sat", "--only", "t")
    lines = satdsl("status", "spec.sat", "--only", "t", "--watch").stdout.splitlines()
    assert (lines[0], lines[2], lines[-1]) == ("3 done", "Half of it is missing", "3 done")


def test_watching_into_a_pipe_says_what_changes_when_it_does() -> None:
    watch = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True)
    assert watch.stdout is not None
    assert watch.stdout.readline() == "3 waiting\n"
    satdsl("run", "spec.sat", "--only", "t")
    rest, _ = watch.communicate(timeout=60)
    assert "waiting" not in rest.splitlines()[-1]
    assert rest.endswith("3 done\n")
    assert watch.returncode == 0


def test_watching_on_a_terminal_keeps_one_page_until_ctrl_c() -> None:
    ours, theirs = os.openpty()
    watch = subprocess.Popen(COMMAND, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        shown = b""
        while b"3 waiting" not in shown:
            shown += terminal.read(4096)
        os.kill(watch.pid, signal.SIGINT)
        assert watch.wait(timeout=60) == 130
        with contextlib.suppress(OSError):  # how a terminal says that its other side is gone
            while more := terminal.read(4096):
                shown += more
    assert b"Traceback" not in shown
    assert shown.rstrip().endswith(b"\x1b[?25h")  # the cursor is back


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("--only", "t"), "--set and --only need a FILE"),
        (("spec.sat", "--watch", "--format", "json"), "--watch is for people"),
        (("none.sat",), "none.sat cannot be read"),
    ],
)
def test_wrong_usage_is_told(args: tuple[str, ...], reason: str) -> None:
    result = satdsl("status", *args)
    assert result.exit_code == 2
    assert reason in result.output
