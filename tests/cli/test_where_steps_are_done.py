"""`satdsl run --executor`: what is done where, and which options go together."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from satdsl.cli import app
from satdsl.cli.execution import _slurm_options

TINY = """sat 1
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=32)
model m = small_cnn(width=4)
recipe r = sgd(epochs=1, batch=32)
train t = m on d using r
evaluate t { clean = clean accuracy on val }
"""


@pytest.fixture(autouse=True)
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    Path("spec.sat").write_text(TINY, "utf-8")


def satdsl(*args: str) -> Result:
    return CliRunner().invoke(app, args)


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        (["--address", "127.0.0.1:6379"], "--address needs --executor ray"),
        (["--executor", "ray", "--slurm", "partition=gpu"], "--slurm needs --executor slurm"),
        (
            ["--executor", "processes", "--gpus-per-step", "2"],
            "--gpus-per-step needs --executor ray or slurm, or one of --jobs",
        ),
        (["--executor", "local", "--jobs", "2"], "--jobs needs another executor than local"),
    ],
)
def test_an_option_that_would_not_be_looked_at_is_refused(options: list[str], needs: str) -> None:
    result = satdsl("run", "spec.sat", *options)
    assert result.exit_code == 2
    assert needs in result.stderr


def test_slurm_options_are_names_and_values_and_a_comma_may_be_in_a_value() -> None:
    given = ("partition=a,b,time=1:00", "gres=gpu:2")
    assert _slurm_options(given) == {
        "partition": "a,b",
        "time": "1:00",
        "gres": "gpu:2",
    }


def test_a_slurm_option_without_a_name_is_refused() -> None:
    result = satdsl("run", "spec.sat", "--executor", "slurm", "--slurm", "gpu")
    assert result.exit_code == 2
    assert "--slurm takes NAME=VALUE" in result.stderr


@pytest.mark.skipif(shutil.which("srun") is not None, reason="Slurm is on this machine")
@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="submitit is not installed")
def test_a_machine_without_slurm_is_told_so() -> None:
    result = satdsl("run", "spec.sat", "--executor", "slurm")
    assert result.exit_code == 3
    assert "Slurm is not on this machine" in result.stderr


@pytest.mark.parametrize(("executor", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_executor_whose_extra_is_missing_names_it(
    executor: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    result = satdsl("run", "spec.sat", "--executor", executor)
    assert result.exit_code == 3
    assert f"pip install 'satdsl[{executor}]'" in result.stderr


def test_one_worker_process_may_be_asked_for() -> None:
    result = satdsl("run", "spec.sat", "--executor", "processes")
    assert result.exit_code == 0, result.output
    assert "3 steps run" in result.stderr
