"""The command that a stopped or failed run names: pasted, it goes on with the very same run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from typer.testing import CliRunner

from satdsl.cli import app
from satdsl.cli.resume import resume_command

ABSENT = """sat 1
dataset d = CIFAR10()
model m = small_cnn(width=4)
recipe r = sgd(epochs=1, batch=32)
param eps = 1
attack a = pgd(norm=L2, eps=$eps, step_size=$eps, steps=1)
train t = m on d using r { attack all with a }
evaluate t { clean = clean accuracy on val }
"""

ROOT = typer.main.get_command(app)
assert isinstance(ROOT, click.Group)
OPTIONS = [one for one in ROOT.commands["run"].params if isinstance(one, click.Option)]


@pytest.fixture(autouse=True)
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("my spec.sat").write_text(ABSENT, "utf-8")


def parsed(*arguments: str, command: str = "run") -> tuple[str, dict[str, Any]]:
    """What the command says to go on with, and the values that it has read."""
    assert isinstance(ROOT, click.Group)
    with (
        click.Context(ROOT, info_name="satdsl") as root,
        ROOT.commands[command].make_context(command, list(arguments), parent=root) as context,
    ):
        return resume_command("run"), context.params


def sample(option: click.Option) -> list[str]:
    """An option as somebody might give it, with what a shell would take apart."""
    if option.is_flag:
        return [option.opts[0]]
    if isinstance(option.type, click.Choice):
        return [option.opts[0], option.type.choices[-1]]
    number = isinstance(option.type, click.IntRange) or option.metavar == "N|auto"
    value = "2" if number else "-a 'b'=$c, \"d\"; e*"
    return [option.opts[0], value] * (2 if option.multiple else 1)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.opts[0])
def test_each_option_of_run_that_was_given_is_repeated_and_no_other(option: click.Option) -> None:
    given = ["spec.sat", *sample(option)]
    line, values = parsed(*given)
    assert shlex.split(line) == ["satdsl", "run", *given]
    assert parsed(*shlex.split(line)[2:]) == (line, values)


def test_all_options_together_are_repeated() -> None:
    words = [word for option in OPTIONS for word in sample(option)]
    line, values = parsed("my spec.sat", *words)
    assert shlex.split(line) == ["satdsl", "run", "my spec.sat", *words]
    assert parsed(*shlex.split(line)[2:]) == (line, values)


def test_a_file_whose_name_begins_with_a_dash_is_no_option() -> None:
    line, _ = parsed("--", "-odd.sat")
    assert line == "satdsl run ./-odd.sat"
    assert parsed(*shlex.split(line)[2:])[1]["file"] == "./-odd.sat"


def test_what_the_environment_chose_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATDSL_STORE", "s3://results/ours")
    assert parsed("spec.sat")[0] == "satdsl run spec.sat --store s3://results/ours"
    assert parsed("spec.sat", "--store", "here")[0] == "satdsl run spec.sat --store here"


def test_another_command_says_how_to_run_with_what_run_takes_of_its_own() -> None:
    line, _ = parsed("spec.sat", "--only", "t[share=30%]", "-o", "page", "--watch", "--smoke", command="report")
    assert line == "satdsl run spec.sat --only 't[share=30%]' --smoke"


def test_a_failed_run_names_the_command_and_that_one_names_itself() -> None:
    given = ["my spec.sat", "--set", "eps=2", "--only", "t", "--store", "the store", "--device", "cpu", "--fail-fast"]
    given += ["--executor", "local", "--log-format", "json"]
    first = CliRunner().invoke(app, ["run", *given])
    assert first.exit_code == 3
    (hint,) = [line for line in first.stderr.splitlines() if line.startswith("what was finished is kept")]
    words = shlex.split(hint.partition("go on with: ")[2])
    assert words[:3] == ["satdsl", "run", "my spec.sat"]
    assert sorted(words[2:]) == sorted(given)
    second = CliRunner().invoke(app, words[1:])
    assert hint in second.stderr.splitlines()


def test_missing_data_name_a_command_that_fetches_them_for_the_same_experiment() -> None:
    result = CliRunner().invoke(app, ["data", "my spec.sat", "--set", "eps=2", "--data", "images", "--store", "s"])
    assert "satdsl data 'my spec.sat' --set eps=2 --download --data images --store s" in " ".join(result.stdout.split())
