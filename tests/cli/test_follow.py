"""A run told to programs: JSON lines, and what TensorBoard, MLflow and wandb keep, by their readers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from satdsl.cli import app
from satdsl.compile import compile_file
from satdsl.engine.local_store import LocalStore
from satdsl.report.curves import curves
from satdsl.report.results import measured
from satdsl.report.tracking import flat

SPEC = """sat 1
title "followed"
dataset d = digits(holdout=10%)
model m = small_cnn(4)
attack p = pgd(norm=L2, eps=0.5, steps=2, step_size=0.3)
recipe r = sgd(epochs=2, lr=0.1)
split s of d { A = classes 1, 7; B = rest }
train ref = m on d using r
train twin = m on d using r
train sat = m on s using r { attack A with p }
evaluate ref { clean = clean accuracy on val }
evaluate twin { clean = clean accuracy on val }
evaluate sat { clean = clean accuracy on A_val, val }
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    place = tmp_path / "spec.sat"
    place.write_text(SPEC)
    return place


def run(spec: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["run", str(spec), "--store", str(spec.parent / "store"), *options])


def test_a_json_log_has_a_line_for_each_event(spec: Path) -> None:
    ran = run(spec, "--log-format", "json")
    assert ran.exit_code == 0, ran.output
    events = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    assert [event["event"] for event in (events[0], events[-1])] == ["run-started", "run-ended"]
    finished = [event for event in events if event["event"] == "step-finished"]
    assert {event["key"] for event in finished} == set(compile_file(spec).plan.steps)
    assert all(event["seconds"] >= 0 and event["time"] for event in finished)


def test_mlflow_gets_each_training_once_with_curves_and_results(spec: Path, tmp_path: Path) -> None:
    client_of = pytest.importorskip("mlflow.tracking").MlflowClient
    uri = f"sqlite:///{tmp_path / 'tracked.db'}"
    for _ in range(2):  # the second time everything is stored and tracked already
        ran = run(spec, "--track", "mlflow", "--track-to", uri)
        assert ran.exit_code == 0, ran.output
    client = client_of(tracking_uri=uri)
    tracked = client.search_runs([client.get_experiment_by_name("followed").experiment_id])
    plan, store = compile_file(spec).plan, LocalStore(tmp_path / "store")
    assert sorted(one.data.tags["satdsl.key"] for one in tracked) == sorted({c.key for c in curves(plan, store)})
    (sat,) = [one for one in tracked if one.info.run_name == "sat"]
    (curve,) = [curve for curve in curves(plan, store) if curve.training == "sat"]
    history = client.get_metric_history(sat.info.run_id, "loss")
    assert [(at.step, at.value) for at in history] == [(e["epoch"], pytest.approx(e["loss"])) for e in curve.epochs]
    for one in (m for m in measured(plan, store) if m.result == "sat.clean"):
        assert sat.data.metrics[f"result/clean/part:{one.part}"] == pytest.approx(one.value)
    assert sat.data.params["recipe.lr"] == flat(plan.steps[curve.key].settings_document)["recipe.lr"]


def test_tensorboard_gets_each_training_with_curves_and_results(spec: Path, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for _ in range(2):
        assert run(spec, "--track", "tensorboard").exit_code == 0
    plan, store = compile_file(spec).plan, LocalStore(tmp_path / "store")
    folders = {place.name[-8:]: place for place in (tmp_path / "store" / "tensorboard").iterdir()}
    assert set(folders) == {curve.key[:8] for curve in curves(plan, store)}
    (curve,) = [curve for curve in curves(plan, store) if curve.training == "sat"]
    found = reader.EventAccumulator(str(folders[curve.key[:8]])).Reload()
    losses = [(at.step, pytest.approx(at.value)) for at in found.Scalars("loss")]
    assert losses == [(epoch["epoch"], epoch["loss"]) for epoch in curve.epochs]
    assert len(found.Scalars("result/clean/part:A_val")) == 1


def leveldb_log(content: bytes) -> Iterator[bytes]:
    """The records of a log in the format of LevelDB, in which wandb keeps a run: pieces in blocks of 32 KiB."""
    at, begun = 7, b""
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        if left < 7 or not kind:
            at += left
            continue
        begun, at = begun + content[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # whole, or its last piece
            yield begun
            begun = b""


def test_wandb_gets_each_training_once_with_curves_and_results(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    for _ in range(2):
        assert run(spec, "--track", "wandb").exit_code == 0
    plan, store = compile_file(spec).plan, LocalStore(tmp_path / "store")
    (curve,) = [curve for curve in curves(plan, store) if curve.training == "sat"]
    losses, results = [], {}
    for file in sorted((tmp_path / "store").rglob(f"offline-run-*-{curve.key[:32]}/*.wandb")):
        for record in map(Record.FromString, leveldb_log(file.read_bytes())):
            history = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
            losses += [(int(history["epoch"]), float(history["loss"]))] if "loss" in history else []
            results |= {"/".join(item.nested_key) or item.key: item.value_json for item in record.summary.update}
    assert losses == [(epoch["epoch"], pytest.approx(epoch["loss"])) for epoch in curve.epochs]
    for one in (m for m in measured(plan, store) if m.result == "sat.clean"):
        assert float(results[f"result/clean/part:{one.part}"]) == pytest.approx(one.value)


def test_wandb_that_is_not_installed_is_said_before_anything_runs(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    ran = run(spec, "--track", "wandb")
    assert (ran.exit_code, "pip install 'satdsl[wandb]'" in ran.stderr) == (2, True)
    assert not list((tmp_path / "store").glob("artifacts/*"))


def test_a_tracker_that_cannot_be_reached_is_said_before_anything_runs(spec: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow.tracking")
    (tmp_path / "file").write_text("not a folder")
    ran = run(spec, "--track", "mlflow", "--track-to", f"sqlite:///{tmp_path / 'file' / 'x.db'}")
    assert ran.exit_code == 2
    assert "choose another place with --track-to" in " ".join(ran.stderr.split())
    assert not list((tmp_path / "store").glob("artifacts/*"))
