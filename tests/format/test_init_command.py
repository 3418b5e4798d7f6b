"""`satdsl init`: first specifications that are sound, canonical, and agree with the paper's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from satdsl import templates
from satdsl.check import check
from satdsl.cli import app
from satdsl.compile import compile_file
from satdsl.findings import Source
from satdsl.format import formatted
from satdsl.ir import steps
from satdsl.ir.plan import Plan
from satdsl.plan.expand import expand

ROOT = Path(__file__).parents[2]
SETUPS = ["caltech256", "cifar10", "cifar100", "flowers102", "imagenet200", "svhn"]


@pytest.fixture(autouse=True)
def somewhere_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("SATDSL_STORE", raising=False)
    monkeypatch.delenv("SATDSL_DATA", raising=False)


@pytest.fixture(scope="module")
def paper() -> Plan:
    return compile_file(ROOT / "specs/paper.sat").plan


def satdsl(*args: str) -> Result:
    result = CliRunner().invoke(app, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_it_writes_a_spec_and_says_what_to_do_next():
    result = satdsl("init")
    assert result.exit_code == 0
    assert Path("experiment.sat").read_text("utf-8") == templates.first()
    assert result.stdout.splitlines()[0] == "wrote experiment.sat"
    for command in ("check", "explain", "run"):
        assert f"satdsl {command} experiment.sat" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert satdsl("check", "experiment.sat").stdout == "experiment.sat: no findings\n"


def test_a_spec_of_another_name_speaks_of_itself():
    satdsl("init", "mine.sat")
    assert "satdsl run mine.sat" in Path("mine.sat").read_text("utf-8")
    assert "experiment.sat" not in Path("mine.sat").read_text("utf-8")


def test_it_never_overwrites():
    Path("experiment.sat").write_text("precious")
    Path("experiment2.sat").write_text("precious")
    result = satdsl("init")
    assert result.exit_code == 2
    assert "satdsl init experiment3.sat" in result.stderr
    assert Path("experiment.sat").read_text() == "precious"


@pytest.mark.parametrize(("place", "code"), [(".", 2), ("nowhere/a.sat", 3)])
def test_a_place_that_takes_no_file_is_named(place, code):
    result = satdsl("init", place)
    assert result.exit_code == code
    assert place in result.stderr


def test_the_first_spec_is_canonical_and_without_a_finding():
    text = templates.first()
    assert formatted(Source("experiment.sat", text)) == text
    assert check("experiment.sat", text).warnings == ()


def test_what_the_first_spec_offers_at_its_end_fits_it():
    kept, offered = templates.first().split("take the `#` away:\n")
    text = kept.rpartition("\n\n")[0] + "\n\n" + re.sub("^# ", "", offered, flags=re.MULTILINE)
    assert formatted(Source("experiment.sat", text)) == text
    found = check("experiment.sat", text)
    assert found.warnings == ()
    assert {"plain", "net", "ref", "part"} <= set(found.trainings)


@pytest.mark.parametrize(
    ("line", "changed"),
    [("digits(holdout=20%)", "CIFAR10(holdout=10%)"), ("small_cnn(width=8)", "preact_resnet18()"),
     ("norm=L2", "norm=Linf"), ("adam(epochs", "adamw(epochs"), ("step(at=[10, 13], factor=0.1)", "cosine"),
     ("seed      = 1..3", "seed      = 1..5"), ("with pgd7\n", "with pgd7; loss all = trades(beta=6)\n")],
)  # fmt: skip
def test_the_first_spec_takes_the_changes_that_it_names(line, changed):
    text = templates.first().replace("0.75", "8/255" if "Linf" in changed else "0.75")
    assert line in text
    assert check("experiment.sat", text.replace(line, changed)).warnings == ()


def test_the_first_spec_needs_no_download():
    plan = expand(check("experiment.sat", templates.first()))
    (data,) = [step.settings for step in plan.steps.values() if isinstance(step.settings, steps.Data)]
    assert data.source.name == "digits"


def test_the_first_spec_runs():
    satdsl("init")
    result = satdsl("run", "--smoke", "experiment.sat")
    assert result.exit_code == 0, result.output
    assert "Accuracy" in result.stdout


def test_there_is_a_setup_for_each_data_set_of_the_paper():
    assert templates.paper_setups() == SETUPS


@pytest.mark.parametrize("name", SETUPS)
def test_a_setup_is_canonical_and_without_a_finding(name):
    text = templates.paper_setup(name)
    assert formatted(Source("experiment.sat", text)) == text
    assert check("experiment.sat", text).warnings == ()
    assert "use " not in text, "it stands alone"


@pytest.mark.parametrize("name", SETUPS)
def test_a_setup_is_the_paper_s_step_by_step(name, paper):
    plan = expand(check("experiment.sat", templates.paper_setup(name)))
    other = [step for key, step in plan.steps.items() if key not in paper.steps]
    assert {step.kind for step in other} <= {"evaluate"}
    clean = [step for step in other if step.settings.attack is None]
    assert other == clean, "the supplement leaves out the clean accuracy on SVHN"
    assert name == "svhn" or not other


def test_a_setup_is_chosen_by_its_data_set_however_that_is_written():
    assert satdsl("init", "--from-paper-setup", "CIFAR-10", "a.sat").exit_code == 0
    assert Path("a.sat").read_text("utf-8") == templates.paper_setup("cifar10")


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("cifra10", "did you mean `cifar10`?"),
        ("cifar11", "you can use cifar10, cifar100"),
        ("x", "you can use caltech256, cifar10"),
    ],
)
def test_an_unknown_setup_is_told_which_there_are(name, help):
    result = satdsl("init", "--from-paper-setup", name)
    assert result.exit_code == 2
    assert help in " ".join(result.stderr.split())
    assert not Path("experiment.sat").exists()
