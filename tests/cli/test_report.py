"""`satdsl report`: what it writes, what it says when it cannot, and that it follows a run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from satdsl.cli import app

TINY = """sat 1
title "Tiny"
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=32)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
recipe r = sgd(epochs=1, batch=32)
train t = m on d using r
evaluate t { clean = clean accuracy on val; robust = robust accuracy under p on val }
table "All" = rows(t.clean, t.robust)
expect "it is an accuracy": t.clean <= 100%
"""

NO_STORE = "there is no store at .satdsl; the first `satdsl run` creates it\n"


@pytest.fixture(autouse=True)
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("SATDSL_STORE", "SATDSL_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "400")
    Path("spec.sat").write_text(TINY, "utf-8")
    return Path("spec.sat")


def report(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["report", "spec.sat", *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def process(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "satdsl", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_without_results_the_page_says_what_is_missing_and_the_command_is_no_failure() -> None:
    code, out, said = report("-o", "out", "--store", "my store")
    assert (code, out, said) == (
        0,
        "report: out/report.html\n",
        "there is no store at my store; the first `satdsl run` creates it\n"
        "0 of 4 steps are done; the page shows the command that runs the others\n",
    )
    text = Path("out/report.html").read_text("utf-8")
    assert "Nothing is stored yet" in text
    assert "satdsl run spec.sat --store &#39;my store&#39;" in text
    assert sorted(path.name for path in Path("out").iterdir() if path.is_file()) == [
        "curves.csv",
        "report.html",
        "results.csv",
        "results.json",
    ]
    assert not Path("my store").exists()


def test_without_a_folder_it_is_written_where_run_writes_it() -> None:
    assert report()[:2] == (0, "report: .satdsl/reports/spec/report.html\n")


def test_open_opens_the_page_and_says_so_where_there_is_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(opened.append(address)))
    code, _, said = report("-o", "out", "--open")
    assert opened == [Path("out/report.html").resolve().as_uri()]
    assert code == 0
    assert "there is no web browser" in said


@pytest.mark.parametrize("flags", [(), ("--watch",)])
def test_an_output_folder_that_is_a_file_is_wrong_usage(flags: tuple[str, ...]) -> None:
    code, _, said = report("-o", "spec.sat", *flags)
    assert (code, said) == (
        2,
        f"{NO_STORE}error: the report cannot be written to spec.sat: it is a file, not a folder\n"
        "help: choose another folder with --out\n",
    )
    assert Path("spec.sat").read_text("utf-8") == TINY


def test_a_folder_that_cannot_be_written_is_named() -> None:
    code, _, said = report("-o", "spec.sat/deeper")
    assert code == 3
    assert said.startswith(
        f"{NO_STORE}error: the report cannot be written to spec.sat/deeper: Not a directory\nhelp: choose another"
    )


def test_a_store_of_a_newer_version_is_named() -> None:
    Path("store").mkdir()
    Path("store/store.json").write_text('{"format": 99}', "utf-8")
    code, _, said = report("--store", "store", "-o", "out")
    assert code == 3
    assert "was written by a newer satdsl" in said
    assert not Path("out").exists()


def test_a_watch_that_is_interrupted_leaves_a_page_that_stays_as_it_is() -> None:
    watching = process("report", "spec.sat", "-o", "out", "--watch")
    place = Path("out/report.html")
    wait_for(place.exists)
    assert "data-refresh" in place.read_text("utf-8")
    time.sleep(0.3)
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert "data-refresh" not in place.read_text("utf-8")


def test_run_writes_the_same_page_as_report() -> None:
    assert CliRunner().invoke(app, ["run", "spec.sat", "--device", "cpu", "--report", "one"]).exit_code == 0
    assert report("-o", "two")[0] == 0
    for name in ("report.html", "results.csv", "results.json", "curves.csv"):
        one, two = (re.sub(r"Written <time.*?</time>", "", Path(f, name).read_text("utf-8")) for f in ("one", "two"))
        assert one == two


def test_it_is_written_without_torch() -> None:
    code = (
        "import sys; from satdsl.cli import app; app(['report', 'spec.sat'], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).returncode == 0
