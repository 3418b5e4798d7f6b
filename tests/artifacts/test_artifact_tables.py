"""Tables as Parquet: the same bytes for the same rows, read by others as they are, anything else refused."""

from __future__ import annotations

import base64
import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from satdsl.artifacts import epochs
from satdsl.artifacts.outcomes import outcomes
from satdsl.artifacts.parquet import ABOUT, Unreadable, from_bytes, to_bytes
from satdsl.artifacts.schemas import CURVES, ROWS, SCORES, SPLIT
from satdsl.artifacts.tables import read, read_curves

N = 300


def rows_of(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    broken_by = random.integers(-1, 3, N).astype(np.int8)
    return {
        "index": np.arange(N) * 3,
        "label": random.integers(0, 10, N),
        "correct": broken_by == -1,
        "broken_by": broken_by,
        "outcome": outcomes(broken_by, ["apgd-ce", "square"]),
    }


def epoch(number: int, **more: Any) -> dict[str, Any]:
    attacked = {"n": 30, "loss": 2.0, "accuracy": 1 / 3, "attack_success": 0.7}
    subsets = [attacked, {"n": 70, "loss": 1.5, "accuracy": 0.1 + 0.2}, {"n": 0}]
    whole = {"n": 100, "loss": 1.0 / number, "accuracy": 0.5, "subsets": subsets}
    return whole | {"attacked": 30, "seconds": 1.234, "epoch": number, "lr": 0.1} | more


def metadata(content: bytes) -> Any:
    return json.loads(pq.read_metadata(io.BytesIO(content)).metadata[ABOUT.encode()])


# --- what is written -----------------------------------------------------------------------------


def test_equal_rows_make_equal_bytes_in_every_process() -> None:
    program = (
        "import hashlib, sys; sys.path.insert(0, 'tests/artifacts'); import test_artifact_tables as t;"
        "content = t.to_bytes(t.ROWS, t.rows_of(), attacks=['apgd-ce', 'square']);"
        "content += t.to_bytes(t.CURVES, t.epochs.to_columns([t.epoch(1), t.epoch(2)]));"
        "print(hashlib.sha256(content).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for seed, threads in (("1", "1"), ("2", "4"))
    }
    assert len(digests) == 1
    assert to_bytes(ROWS, rows_of(1)) != to_bytes(ROWS, rows_of(2))


def test_every_bit_of_a_score_comes_back(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 2**64, N, dtype=np.uint64).view(np.float64).copy()
    values[:5] = [np.nan, np.inf, -np.inf, -0.0, 5e-324]
    columns = {"index": np.arange(N), "snapshot-entropy": values, "vog": random.random(N)}
    (tmp_path / SCORES.file).write_bytes(to_bytes(SCORES, columns))
    found = read(tmp_path, SCORES)
    assert list(found) == list(columns)
    assert all(found[name].tobytes() == columns[name].tobytes() for name in columns)
    assert all(array.flags.writeable for array in found.values())
    assert list(read(tmp_path, SCORES, ["vog", "index"])) == ["vog", "index"]


def test_pandas_reads_rows_as_they_are_named_and_says_what_became_of_each_image() -> None:
    rows = rows_of()
    frame = pd.read_parquet(io.BytesIO(to_bytes(ROWS, rows)))
    assert frame.dtypes.astype(str).to_dict() | {"outcome": "text"} == {
        "index": "int64", "label": "int64", "correct": "bool", "broken_by": "int8", "outcome": "text"
    }  # fmt: skip
    assert frame["index"].tolist() == (np.arange(N) * 3).tolist()
    told = frame.groupby("broken_by")["outcome"].unique().map(list).to_dict()
    assert told == {
        -1: ["withstands"], 0: ["wrong without attack"], 1: ["broken by apgd-ce"], 2: ["broken by square"]
    }  # fmt: skip


def test_without_attack_an_image_is_right_or_wrong() -> None:
    assert outcomes(np.array([-1, 0], np.int8), ()) == ["right", "wrong"]


def test_the_file_says_what_its_columns_are_and_in_which_unit() -> None:
    content = to_bytes(SCORES, {"index": np.arange(2), "snapshot-loss": np.ones(2), "aum": np.ones(2)})
    told = metadata(content)
    assert (told["format_version"], told["table"]) == (1, "scores")
    assert {name: column.get("unit") for name, column in told["columns"].items()} == {
        "index": None, "snapshot-loss": "nat", "aum": None
    }  # fmt: skip
    assert all(column["about"] for column in told["columns"].values())
    assert metadata(to_bytes(ROWS, rows_of(), attacks=["apgd-ce"]))["attacks"] == ["apgd-ce"]


def test_a_column_that_a_table_does_not_have_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="has no column more"):
        to_bytes(SPLIT, {"index": np.arange(2), "subset": np.zeros(2, np.int16), "more": np.arange(2)})


@pytest.mark.parametrize(
    "trained",
    [
        [],
        [epoch(1), epoch(2)],
        [epoch(1, probe={"part": "hold-out", "n": 9, "clean": 0.75, "robust": 0.1}), epoch(2)],
        [epoch(1, probe={"part": "train", "n": 9, "clean": 1.0, "robust": 0.1, "under": {"L2": 0.5, "Linf": 0.1}})],
        [epoch(1, subsets=[], probe={"part": "train", "n": 9, "clean": 1.0, "robust": 0.0})],
    ],
)
def test_epochs_come_back_from_their_columns_to_the_last_character(trained: list[dict[str, Any]]) -> None:
    table = from_bytes(to_bytes(CURVES, epochs.to_columns(trained)), CURVES)
    assert json.dumps(epochs.from_columns(table.to_pydict())) == json.dumps(trained)


def test_curves_are_tidy_a_row_for_each_epoch_and_part() -> None:
    trained = [epoch(1, probe={"part": "hold-out", "n": 9, "clean": 0.75, "robust": 0.1}), epoch(2)]
    frame = pd.read_parquet(io.BytesIO(to_bytes(CURVES, epochs.to_columns(trained))))
    assert frame["part"].tolist() == ["all", *["subset"] * 3, "probe hold-out", "all", *["subset"] * 3]
    assert frame.query("part == 'all'")["loss"].tolist() == [1.0, 0.5]
    assert frame.query("subset == 0")["attack_success"].tolist() == [0.7, 0.7]
    assert frame.query("subset == 2")["loss"].isna().all()
    assert frame["robust"].dropna().tolist() == [0.1]


# --- what is read --------------------------------------------------------------------------------


def foreign(columns: dict[str, Any], **document: Any) -> bytes:
    """A Parquet file with these columns, made by somebody else, that says this of itself."""
    table = pa.table(columns)
    if document:
        table = table.replace_schema_metadata({ABOUT: json.dumps(document)})
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


SPLIT_SAYS = {"format_version": 1, "table": "split"}
COLUMNS = {"index": np.arange(3), "subset": np.zeros(3, np.int16)}


def test_a_file_of_another_program_with_the_right_columns_is_read() -> None:
    assert from_bytes(foreign(COLUMNS, **SPLIT_SAYS), SPLIT).num_rows == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Parquet file size is 0"),
        (b"PAR1 not a table PAR1", "Parquet|metadata|thrift"),
        (pickle.dumps([1, 2]), "Parquet|magic"),
        (foreign(COLUMNS), "was not written by satdsl"),
        (foreign(COLUMNS, table="split"), "was not written by satdsl"),
        (foreign(COLUMNS, **SPLIT_SAYS | {"table": "rows"}), "is a table of rows"),
        (foreign(COLUMNS, **SPLIT_SAYS | {"format_version": 2}), "newer satdsl"),
        (foreign({"index": np.arange(3)}, **SPLIT_SAYS), "no column subset"),
        (foreign(COLUMNS | {"subset": np.zeros(3)}, **SPLIT_SAYS), "subset is double, not int16"),
        (foreign(COLUMNS | {"subset": pa.array([0, None, 1], pa.int16())}, **SPLIT_SAYS), "subset has gaps"),
        (foreign(COLUMNS | {"subset": [[1], [2], [3]]}, **SPLIT_SAYS), "subset is list"),
        (foreign(COLUMNS | {"subset": [{"a": 1}] * 3}, **SPLIT_SAYS), "subset is struct"),
        (foreign(COLUMNS | {"more": np.arange(3)}, **SPLIT_SAYS), "a column more that is not known"),
    ],
)
def test_what_is_no_such_table_is_refused_with_a_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / SPLIT.file).write_bytes(content)
    with pytest.raises(Unreadable, match=reason) as refused:
        read(tmp_path, SPLIT)
    assert str(refused.value).startswith(f"{tmp_path / 'split.parquet'} does not hold split (")


def test_a_table_with_too_few_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / SPLIT.file).write_bytes(to_bytes(SPLIT, COLUMNS))
    assert len(read(tmp_path, SPLIT, rows=3)["index"]) == 3
    with pytest.raises(Unreadable, match=r"split\.parquet does not hold split \(it has 3 rows instead of 4\)"):
        read(tmp_path, SPLIT, rows=4)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"rows\.parquet does not hold index, correct .*No such file"):
        read(tmp_path, ROWS, ["index", "correct"])
    with pytest.raises(Unreadable, match=r"curves\.parquet does not hold curves"):
        read_curves(tmp_path)


def test_a_file_changed_anywhere_is_read_or_refused_and_nothing_else() -> None:
    """Which of its values changed is for its digest to find."""
    sound, random = to_bytes(ROWS, rows_of()), np.random.default_rng(0)
    refused = 0
    for _ in range(1000):
        content = bytearray(sound)
        places = random.integers(0, len(content), 3)
        content[places[0]] ^= int(random.integers(1, 256))
        if random.random() < 0.3:
            del content[places[1] :]
        try:
            from_bytes(bytes(content), ROWS, ["index", "correct"] if random.random() < 0.5 else None)
        except Unreadable:
            refused += 1
    assert refused > 500


def test_rows_that_make_no_epochs_are_refused() -> None:
    columns = epochs.to_columns([epoch(1), epoch(2)])
    without_first = {name: values[1:] for name, values in columns.items()}
    with pytest.raises(Unreadable, match="epoch 1 does not begin with all images"):
        epochs.from_columns(without_first)


class Payload(pa.ExtensionType):
    """An extension type as pyarrow once read it back: by unpickling what the file says."""

    def __init__(self, trace: str = "") -> None:
        self.trace = trace
        super().__init__(pa.int16(), "arrow.py_extension_type")

    def __arrow_ext_serialize__(self) -> bytes:
        return pickle.dumps(Evil(self.trace))

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> Payload:
        raise AssertionError("not registered")


class Evil:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path(self.trace),)


def test_a_pickle_in_the_schema_of_a_parquet_file_is_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    subset = pa.ExtensionArray.from_storage(Payload(str(trace)), pa.array([0, 1, 0], pa.int16()))
    content = foreign(COLUMNS | {"subset": subset}, **SPLIT_SAYS)
    schema = base64.b64decode(pq.read_metadata(io.BytesIO(content)).metadata[b"ARROW:schema"])
    assert b"arrow.py_extension_type" in schema
    assert b"executed" in schema
    from_bytes(content, SPLIT)
    assert not trace.exists()
