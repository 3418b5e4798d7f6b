"""Runs with `--set` and `--only`: each has its own report, and says what was asked for; `results --variants`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satdsl.ir.plan import Variant
from satdsl.report.report_folder import usual_folder
from tests.command_line import go_somewhere_empty, satdsl

SPEC = """sat 1
title "Tiny"
param lr = 0.05
sweep { seed = 1..2 }
dataset d = synthetic(classes=3, shape=[1, 8, 8], train=48, val=30)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
recipe r = sgd(epochs=1, batch=16, lr=$lr)
train t = m on d using r { seed = $seed }
evaluate t { clean = clean accuracy on val; robust = robust accuracy under p on val }
"""

TABLES = 'table "One" = rows(t.clean)\ntable "Two" = rows(t.robust)\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the specification was run as it is, with another `lr`, with another seed, and in part."""
    folder = tmp_path_factory.mktemp("variants")
    (folder / "spec.sat").write_text(SPEC, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        go_somewhere_empty(folder, patch, columns=100)
        for more in ([], ["--set", "lr=0.1"], ["--set", "seed=3"], ["--only", "t.clean"]):
            (folder / f"out-{'-'.join(more)}").write_text(call("run", *more), "utf-8")
    return folder


def call(command: str, *more: str, code: int = 0) -> str:
    arguments = [command, "spec.sat", "--store", "store", *more]
    result = satdsl(*arguments, *["--device", "cpu"] * (command == "run"))
    assert result.exit_code == code, result.output
    return result.stdout if not code else result.stderr


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_somewhere_empty(folder, monkeypatch, columns=100)


def test_a_specification_that_shows_nothing_prints_its_results(folder: Path) -> None:
    printed = (folder / "out-").read_text("utf-8")
    for name in ("t.clean[seed=1]", "t.clean[seed=2]", "t.robust[seed=1]", "t.robust[seed=2]"):
        assert f"\n{name} " in printed
    assert "95 % interval" in printed


def test_each_variant_has_a_report_of_its_own_that_says_what_it_is_of() -> None:
    reports = Path("store/reports/spec")
    pages = {path.parent.relative_to(reports).as_posix(): path for path in reports.rglob("report.html")}
    assert pages.keys() == {".", "variants/lr=0.1", "variants/seed=3", "variants/only-t.clean"}
    said = {name: path.read_text("utf-8") for name, path in pages.items()}
    assert '<p class="variant">' not in said["."]
    assert '<p class="variant">with lr=0.1</p>' in said["variants/lr=0.1"]
    assert '<p class="variant">only t.clean</p>' in said["variants/only-t.clean"]
    document = json.loads((reports / "variants/lr=0.1/results.json").read_text("utf-8"))
    assert (document["set"], document["only"]) == ({"lr": "0.1"}, [])


@pytest.mark.parametrize("command", ["run", "explain", "results", "status"])
def test_commands_say_what_was_asked_for(command: str) -> None:
    said = call(command, "--set", "lr=0.1", "--only", "t.clean")
    assert "with lr=0.1, only t.clean\n" in said
    assert "with lr" not in call(command)


def test_diff_says_which_values_a_side_has() -> None:
    result = satdsl("diff", "spec.sat", "spec.sat", "--against-set", "lr=0.1", "--store", "store")
    assert result.stdout.startswith("spec.sat -> spec.sat lr=0.1\n")


@given(
    st.lists(
        st.tuples(st.from_regex(r"[A-Za-z_]\w{0,9}", fullmatch=True), st.text(min_size=1)), min_size=1, unique=True
    )
)
def test_folders_of_variants_are_safe_and_short_and_no_two_are_one(values: list[tuple[str, str]]) -> None:
    folder = usual_folder("store", Path("spec.sat"), Variant(tuple(values)))
    assert folder.parent == Path("store/reports/spec/variants")
    assert re.fullmatch(r"[a-z0-9=,+%_-][a-z0-9=,+%._-]{0,99}", folder.name)
    other = [(name, f"{value}0") for name, value in values]
    assert usual_folder("store", Path("spec.sat"), Variant(tuple(other))) != folder
    assert usual_folder("store", Path("spec.sat"), Variant()) == Path("store/reports/spec")


def test_figures_that_a_report_no_longer_has_go_and_what_others_wrote_stays(tmp_path: Path) -> None:
    Path("spec.sat").write_text(SPEC + TABLES, "utf-8")
    call("report", "-o", str(tmp_path))
    figures = tmp_path / "figures"
    assert {path.name for path in figures.glob("[!.]*")} == {"one.csv", "one.tex", "two.csv", "two.tex"}
    (figures / "mine.txt").write_text("mine")
    (figures / "two.csv").write_text("edited by hand")
    Path("spec.sat").write_text(SPEC + TABLES.splitlines()[0] + "\n", "utf-8")
    call("report", "-o", str(tmp_path))
    assert {path.name for path in figures.glob("[!.]*")} == {"one.csv", "one.tex", "two.csv", "mine.txt"}
    Path("spec.sat").write_text(SPEC, "utf-8")


def test_variants_stand_side_by_side_and_seeds_together() -> None:
    rows = [line.split() for line in call("results", "--variants").splitlines()]
    # The run with seed 3 is a third draw of what is written, and no variant of its own.
    assert rows[0] == ["result", "as", "written", "lr=0.1"]
    single = json.loads(call("results", "--format", "json"))["results"]
    third = json.loads(call("results", "--set", "seed=3", "--format", "json"))["results"]
    found = json.loads(call("results", "--variants", "--format", "json"))["results"]
    for name in ("t.clean", "t.robust"):
        values = [one["value"] for one in [*single, *third] if one["result"] == name]
        (cell,) = [one for one in found if one["result"] == name and one["variant"] == {}]
        assert cell["draws"] == cell["of"] == 3
        assert cell["value"] == pytest.approx(sum(values) / 3)
        assert cell["std"] == pytest.approx((sum((v - cell["value"]) ** 2 for v in values) / 2) ** 0.5)


def test_variants_can_be_asked_for_by_their_values() -> None:
    lines = call("results", "--vary", "lr=0.1,0.2", "--vary", "seed=[1, 2]").splitlines()
    assert lines[0].split() == ["result", "lr=0.1,", "seed=[1,", "2]", "lr=0.2,", "seed=[1,", "2]"]
    assert lines[2].startswith("t.clean ")
    assert lines[2].endswith("not run")
    csv = call("results", "--vary", "lr=0.1", "--only", "t.clean", "--format", "csv").splitlines()
    assert csv[0] == "result,point,variant,value,std,draws,of,n"
    assert len(csv) == 2


def test_a_variant_of_an_unknown_name_says_what_there_is() -> None:
    said = call("results", "--vary", "lx=1", code=1)
    assert "there is no param or axis called `lx`" in said
    assert "lr, seed" in said
    assert "--vary takes NAME=VALUE" in call("results", "--vary", "lr", code=2)
