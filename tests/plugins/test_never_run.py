"""Only `run` executes a Python file: one that would leave a trace when it is executed leaves none."""

from __future__ import annotations

import json

import pytest
from command_line import go_somewhere_empty, satdsl

from satdsl.compile import compile_file
from satdsl.plan.saved import load, save

MINE = '''import pathlib

pathlib.Path(__file__).with_name("marker").unlink()
raise SystemExit("executed")

import satdsl.plugin as sat


@sat.measure
def level(network, images, labels, *, at: float = 0.5):
    """A level."""
'''

SPEC = """sat 1
use "mine.py"
dataset d = digits()
model net = small_cnn()
recipe r = sgd(epochs=1, lr=0.1)
train t = net on d using r {}
evaluate t { level = level(at=0.25) on val }
table "levels" = rows(t.level)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    go_somewhere_empty(tmp_path, monkeypatch, 100)
    (tmp_path / "marker").touch()
    (tmp_path / "mine.py").write_text(MINE, "utf-8")
    (tmp_path / "study.sat").write_text(SPEC, "utf-8")
    yield tmp_path
    assert (tmp_path / "marker").exists()
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(
    "command",
    [
        "check study.sat",
        "check --format json study.sat",
        "explain study.sat",
        "explain --format json study.sat",
        "explain --smoke study.sat",
        "explain study.sat --save plan.yaml",
        "fmt --check study.sat",
        "report study.sat",
        "status study.sat",
        "results study.sat",
        "help E110",
        "catalog mine.py",
        "catalog --format json mine.py",
    ],
)
def test_commands_that_read_run_nothing(folder, command):
    done = satdsl(*command.split())
    assert "executed" not in done.output
    assert "Traceback" not in done.output


def test_a_saved_plan_is_saved_and_loaded_without_running_it(folder):
    save(compile_file(folder / "study.sat").plan, folder / "plan.json")
    assert load(folder / "plan.json").python[0][0].function == "level"
    assert "raise SystemExit" not in (folder / "plan.json").read_text("utf-8")


def test_explain_lists_the_file_and_says_that_run_executes_it(folder):
    shown = satdsl("explain", "study.sat").stdout
    assert "mine.py" in shown
    assert "executes these files" in " ".join(shown.split())
    document = json.loads(satdsl("explain", "--format", "json", "study.sat").stdout)
    assert [(one["file"], one["functions"]) for one in document["python"]] == [("mine.py", ["level"])]


def test_the_catalog_shows_what_a_file_declares(folder):
    shown = satdsl("catalog", "mine.py").output
    assert "measure level" in shown
    assert "level(at=0.5)" in shown
    (folder / "wrong.py").write_text("import satdsl.plugin as sat\n\n\n@sat.attack\ndef f(x): ...\n", "utf-8")
    for file, said in {"wrong.py": "wrong.py:5: E215:", "none.py": "none.py cannot be read: No such file"}.items():
        assert said in satdsl("catalog", file).output


def test_the_formatter_keeps_the_file_that_is_used(folder):
    satdsl("fmt", "study.sat")
    assert (folder / "study.sat").read_text("utf-8").splitlines()[1] == 'use "mine.py"'
