"""`explain --save` keeps a plan that `run`, `results` and the others take in the place of a specification."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from satdsl.cli import app

SPEC = """sat 1
title "kept"
dataset d = digits()
model m = small_cnn(4)
recipe r = sgd(epochs=1, lr=0.1)
train ref = m on d using r
evaluate ref { clean = clean accuracy on val }
table "t" = rows(ref.clean)
"""


def satdsl(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.sat").write_text(SPEC)


def test_a_saved_plan_runs_without_its_specification() -> None:
    assert satdsl("explain", "spec.sat", "--save", "plan.yaml").stdout == "plan: plan.yaml\n"
    before = json.loads(satdsl("explain", "spec.sat", "--format", "json").stdout)
    Path("spec.sat").rename("gone.sat")
    ran = satdsl("run", "plan.yaml")
    assert ran.exit_code == 0, ran.output
    after = json.loads(satdsl("explain", "plan.yaml", "--format", "json").stdout)
    assert after["totals"]["stored"] == len(before["steps"]) == 3
    assert [step["key"] for step in after["steps"]] == [step["key"] for step in before["steps"]]
    assert satdsl("results", "plan.yaml").stdout == satdsl("results", "gone.sat").stdout
    assert Path(".satdsl/reports/plan/report.html").exists()


def test_nothing_can_be_changed_in_a_saved_plan() -> None:
    satdsl("explain", "spec.sat", "--save", "plan.json")
    refused = satdsl("run", "plan.json", "--smoke")
    assert refused.exit_code == 2
    assert "give --set and --smoke to its .sat file" in " ".join(refused.stderr.split())


def test_a_plan_that_cannot_be_used_or_written_is_said() -> None:
    Path("plan.yaml").write_text("satdsl_plan: 1\n")
    assert satdsl("run", "plan.yaml").exit_code == 1
    assert satdsl("run", "none.yaml").exit_code == 2
    assert satdsl("explain", "spec.sat", "--save", "plan.txt").exit_code == 2
    assert satdsl("explain", "spec.sat", "--save", "no/such/folder.yaml").exit_code == 3
