"""What somebody put into a store to be executed is refused: nothing that is read from one can run code."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from satdsl.artifacts.parquet import to_bytes
from satdsl.artifacts.schemas import ROWS
from satdsl.artifacts.tables import read
from satdsl.backend.artifact_files import read_arrays
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.backend.weights import load_weights
from satdsl.cli import app
from satdsl.engine.local_store import LocalStore
from satdsl.ir.work import StepError

TINY = """sat 1
title "Tiny"
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=32)
model m = small_cnn(width=4)
recipe r = sgd(epochs=2, batch=32)
train t = m on d using r
evaluate t { clean = clean accuracy on val }
table "All" = rows(t.clean)
"""


class Evil:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "executed"


def run(command: str = "run") -> tuple[int, str]:
    result = CliRunner().invoke(app, [command, "spec.sat"])
    return result.exit_code, result.output


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """That of a finished run."""
    monkeypatch.chdir(tmp_path)
    Path("spec.sat").write_text(TINY)
    assert run()[0] == 0
    return LocalStore(tmp_path / ".satdsl")


def key_of(store: LocalStore, kind: str) -> str:
    (key,) = [key for key in sorted(store.keys()) if store.manifest(key).kind == kind]
    return key


def replaced(store: LocalStore, key: str, file: str, content: bytes) -> None:
    """Put other content in a file's place, and its digest into the manifest: by the manifest, all is well."""
    place = store.folder(key)
    (place / file).write_bytes(content)
    found = json.loads((place / "manifest.json").read_text())
    for record in found["files"]:
        if record["path"] == file:
            record |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (place / "manifest.json").write_text(json.dumps(found))


def test_the_pickle_of_these_tests_would_execute(trace: Path) -> None:
    pickle.loads(pickle.dumps(Evil(trace)))
    assert trace.exists()


@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_a_pickle_in_the_place_of_weights_is_refused_though_its_digest_is_right(
    store: LocalStore, trace: Path, form: str
) -> None:
    evil = trace.with_name("evil")
    if form == "pickle":
        evil.write_bytes(pickle.dumps(Evil(trace)))
    else:
        torch.save({"weights": Evil(trace)}, evil)
    train = key_of(store, "train")
    replaced(store, train, "weights.safetensors", evil.read_bytes())
    assert LocalStore(store.root).verify(train) is None
    store.remove(key_of(store, "evaluate"))
    code, output = run()
    assert code == 3
    assert "weights.safetensors holds no weights" in " ".join(output.split())
    assert not trace.exists()


def test_a_pickle_in_the_place_of_weights_is_found_by_its_digest_and_rebuilt(store: LocalStore, trace: Path) -> None:
    weights = store.folder(key_of(store, "train")) / "weights.safetensors"
    weights.write_bytes(pickle.dumps(Evil(trace)))
    store.remove(key_of(store, "evaluate"))
    assert run()[0] == 0
    assert not trace.exists()


def test_a_pickle_in_the_place_of_a_trainings_state_is_not_executed_and_it_begins_anew(
    store: LocalStore, trace: Path
) -> None:
    train = key_of(store, "train")
    before = store.manifest(train).files
    store.remove(train)
    store.remove(key_of(store, "evaluate"))
    torch.save({"key": train, "state": Evil(trace)}, store.scratch(train) / "training.pt")
    assert run()[0] == 0
    assert not trace.exists()
    weights = {file.path: file.sha256 for file in LocalStore(store.root).manifest(train).files}["weights.safetensors"]
    assert weights == {file.path: file.sha256 for file in before}["weights.safetensors"]


@pytest.mark.parametrize(("kind", "file"), [("evaluate", "rows"), ("score", "scores"), ("split", "split")])
def test_a_pickle_in_the_place_of_a_table_is_refused_with_its_name(
    store: LocalStore, trace: Path, kind: str, file: str
) -> None:
    with Path("spec.sat").open("a") as spec:
        spec.write("split s of d { A = hardest 50% examples by entropy of t; B = rest }\n")
        spec.write("train u = m on s using r\nevaluate u { loss = mean loss on train }\n")
    assert run()[0] == 0
    store = LocalStore(store.root)
    keys = sorted(store.keys())
    wanted = {"evaluate": "evaluate t", "score": "entropy of t", "split": "split s"}[kind]
    changed = next(key for key in keys if wanted in store.manifest(key).label)
    replaced(store, changed, f"{file}.parquet", pickle.dumps(Evil(trace)))
    made_from = {changed}
    for _ in keys:
        made_from |= {key for key in keys if made_from & set(store.manifest(key).inputs.values())}
    for key in made_from - {changed}:
        store.remove(key)
    code, output = run()
    assert code == 3
    told = " ".join(output.split())
    assert f"{file}.parquet does not hold" in told
    assert "delete its folder, and run again" in told
    assert "Traceback" not in told
    assert not trace.exists()


@pytest.mark.parametrize("command", ["report", "results"])
def test_a_table_with_too_few_rows_is_refused_with_its_name_though_its_digest_is_right(
    store: LocalStore, command: str
) -> None:
    changed = key_of(store, "evaluate")
    columns = read(store.folder(changed), ROWS)
    n = len(columns["index"])
    replaced(store, changed, ROWS.file, to_bytes(ROWS, {name: values[:-5] for name, values in columns.items()}))
    code, output = run(command)
    assert code == 3
    told = " ".join(output.split())
    assert f"rows.parquet does not hold index, label, correct (it has {n - 5} rows instead of {n})" in told
    assert "delete its folder, and run again" in told
    assert "Traceback" not in told


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_no_reader_of_states_weights_or_arrays_executes_anything(tmp_path: Path, trace: Path) -> None:
    (tmp_path / "training.pt").write_bytes(pickle.dumps(Evil(trace)))
    assert TrainingCheckpoint(tmp_path, "key").load("cpu") is None
    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps(Evil(trace)))
    with pytest.raises(StepError, match="holds no weights"):
        load_weights(tmp_path / "weights.safetensors")
    np.savez(tmp_path / "rows.npz", index=np.array([Evil(trace)], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_arrays(tmp_path / "rows.npz")
    (tmp_path / "pickled.npz").write_bytes(pickle.dumps(Evil(trace)))
    with pytest.raises(ValueError, match="contains pickled"):
        read_arrays(tmp_path / "pickled.npz")
    assert not trace.exists()
