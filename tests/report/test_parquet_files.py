"""Results and curves as Parquet and as DataFrames."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from made_up_results import Study, at, rows, study_in
from typer.testing import CliRunner

import satdsl as satdsl_package
from satdsl.cli import app
from satdsl.ir.plan import Display, Plan
from satdsl.ir.steps import CatalogCall
from satdsl.report import columns
from satdsl.report.curves import curves
from satdsl.report.data_frames import curves_frame, results_frame
from satdsl.report.results import measured
from satdsl.report.results_comparison import compare_results

SPEC = """sat 1
dataset d = digits()
model m = small_cnn(4)
recipe r = sgd(epochs=2)
sweep { seed = 0..1 }
train t = m on d using r { seed = $seed }
evaluate t { clean = clean accuracy on val }
"""


AUTOATTACK = CatalogCall("autoattack", (("norm", "L2"), ("eps", 0.5), ("version", "standard")))


def filled(study: Study) -> Study:
    """A bit of everything that a report reads."""
    study.axes["share"] = ("30%", "60%")
    broken_by = [-1, -1, 0, 1, 1, 2]
    ensemble = study.evaluation(
        [one == -1 for one in broken_by], attack=AUTOATTACK, attacks=["apgd-ce", "square"], broken_by=broken_by
    )
    study.accuracy("sat.robust", ensemble, at=(("share", "30%"),))
    study.accuracy("sat.robust", study.evaluation(None, attack=AUTOATTACK, lr=0.2), at=(("share", "60%"),))
    study.accuracy("net.clean", study.evaluation(rows(3, 1), label=[0, 2, 0, 1]), by_class=True)
    study.data(train=[0, 1, 0, 2])
    study.mean_score("ref.hardness", study.scored([0.1, 0.7, 0.4]))
    study.displays.append(Display("All of it", "rows", (at("sat.robust"),)))
    study.claim(at("sat.robust", share="30%"), ">", 0.1)
    part = {"n": 10, "loss": 0.5, "accuracy": 0.75}
    study.trained = study.training(
        [
            part
            | {"subsets": [part | {"attack_success": 0.25}], "attacked": 10, "seconds": 2.0, "epoch": number, "lr": 0.1}
            | {"probe": {"part": "train", "n": 8, "clean": 0.5, "robust": 0.25}}
            for number in (1, 2)
        ]
    )
    return study


def plan_of(study: Study) -> Plan:
    return replace(study.plan, named={"sat": (((("share", "30%"),), study.trained.key),)})


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return filled(study_in(tmp_path / "new"))


# --- as Parquet ----------------------------------------------------------------------------------


def test_results_have_a_column_for_each_axis_and_gaps_for_what_is_not_run(study: Study) -> None:
    content = columns.results_parquet(study.plan, measured(study.plan, study.store))
    read = pd.read_parquet(io.BytesIO(content))
    assert list(read) == ["result", "share", "class", "part", "value", "low", "high", "n", "of", "unit"]
    assert read["share"].dropna().tolist() == ["30%", "60%"]
    assert read["value"][0] == 2 / 6
    assert read["value"][1:2].isna().all()
    assert read["class"].dropna().tolist() == ["cat", "dog", "ship"]
    assert read["unit"].tolist() == ["share"] * 5 + ["score"]
    told = json.loads(pq.read_metadata(io.BytesIO(content)).metadata[b"satdsl"])
    assert (told["title"], told["columns"]["n"]["unit"]) == ("made up", "images")


def test_a_table_without_any_result_has_its_columns_and_types(tmp_path: Path) -> None:
    empty = study_in(tmp_path)
    schema = pq.read_schema(io.BytesIO(columns.results_parquet(empty.plan, [])))
    assert {field.name: str(field.type) for field in schema}["value"] == "double"
    assert pq.read_table(io.BytesIO(columns.curves_parquet(empty.plan, []))).num_rows == 0


def test_an_axis_that_is_called_like_a_column_keeps_its_values(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    study.axes["n"] = ("10", "20")
    study.accuracy("net.clean", study.evaluation(rows(3, 1)), at=(("n", "20"),))
    found = measured(study.plan, study.store)
    read = pd.read_parquet(io.BytesIO(columns.results_parquet(study.plan, found)))
    assert (read["$n"].tolist(), read["n"].tolist()) == (["20"], [4])
    shown = results_frame(study.plan, found)
    assert (shown["$n"].tolist(), shown["n"].tolist()) == (["20"], [4])
    assert shown["$n"].cat.categories.tolist() == ["10", "20"]


def test_a_comparison_has_both_values_and_gaps_where_only_one_has_a_result(study: Study, tmp_path: Path) -> None:
    other = study_in(tmp_path / "other")
    other.accuracy("sat.robust", other.evaluation(rows(5, 1), attack="pgd"), at=(("share", "30%"),))
    other.accuracy("new.one", other.evaluation(rows(1, 1)))
    plans = [study.plan, other.plan]
    found = compare_results(measured(study.plan, study.store), measured(other.plan, other.store))
    read = pd.read_parquet(io.BytesIO(columns.comparison_parquet(plans, found)))
    assert (read["value"][0], read["against"][0]) == (2 / 6, 5 / 6)
    assert read["difference"][0] == pytest.approx(-0.5)
    assert read["result"].iloc[-1] == "new.one"
    assert read["value"][-1:].isna().all()
    assert (read["against"].iloc[-1], read["against_n"].iloc[-1]) == (0.5, 2)


def test_curves_have_a_row_for_each_epoch_and_part(study: Study) -> None:
    plan = plan_of(study)
    found = curves(plan, study.store)
    read = pd.read_parquet(io.BytesIO(columns.curves_parquet(plan, found)))
    assert read["part"].tolist() == ["all", "probe train"] * 2
    assert read["share"].tolist() == ["30%"] * 4
    assert read["attack_success"].dropna().tolist() == [0.25, 0.25]
    assert read["images_per_second"].tolist() == [5.0] * 4
    assert curves_frame(found)["robust"].dropna().tolist() == [0.25, 0.25]
    assert list(curves_frame(found)) == list(read)


# --- the commands --------------------------------------------------------------------------------


def satdsl(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.sat").write_text(SPEC, "utf-8")
    return tmp_path


@pytest.mark.parametrize(("command", "n"), [(["results"], 2), (["curves"], 0), (["results", "--against", "a.sat"], 2)])
def test_every_command_that_prints_csv_prints_parquet(place: Path, command: list[str], n: int) -> None:
    done = satdsl(command[0], "a.sat", *command[1:], "--format", "parquet")
    assert done.exit_code == 0
    read = pd.read_parquet(io.BytesIO(done.stdout_bytes))
    assert len(read) == n
    assert command[0] == "curves" or read["seed"].tolist() == ["0", "1"]


def test_parquet_is_not_thrown_at_a_terminal(place: Path) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(Path(satdsl_package.__file__).parents[1])}
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w") as terminal:
        command = [sys.executable, "-m", "satdsl", "results", "a.sat", "--format", "parquet"]
        done = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 2
    assert "> results.parquet" in " ".join(done.stderr.split())
