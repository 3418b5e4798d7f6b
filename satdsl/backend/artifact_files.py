"""Write and read the files of an artifact: JSON, arrays and tables.

A file appears under its name only when all of it is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdsl.artifacts.parquet import Unreadable, to_bytes
from satdsl.artifacts.schemas import TableSchema
from satdsl.artifacts.tables import HELP, read
from satdsl.ir.work import StepError

Array = NDArray[Any]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a path to write to, which is renamed to `path` when all of it is written.

    The file gets the permissions of any new file: safetensors would let only its owner read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.touch()
        mode = stat.S_IMODE(aside.stat().st_mode)
        yield aside
        aside.chmod(mode)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a plain value as JSON."""
    with atomic_write(path) as aside:
        aside.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text("utf-8"))


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an `.npz` file. Equal arrays give equal bytes."""
    with atomic_write(path) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, Array]:
    """Read all arrays of an `.npz` file."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def write_table(folder: Path, schema: TableSchema, columns: Mapping[str, Any], **facts: Any) -> None:
    """Write a table of an artifact as Parquet. Equal columns give equal bytes.

    `facts` become metadata of the file.
    """
    with atomic_write(folder / schema.file) as aside:
        aside.write_bytes(to_bytes(schema, columns, **facts))


def read_table(folder: Path, schema: TableSchema) -> dict[str, Array]:
    """Read the columns of a table of a finished artifact.

    Raises:
        StepError: There is no such table, or it is damaged.
    """
    try:
        return read(folder, schema)
    except Unreadable as error:
        raise StepError(str(error), HELP) from None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
