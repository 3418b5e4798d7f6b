"""Plain values, arrays and tables to the files of an artifact, and back.

Nothing half-written is ever left under a name.
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
from satdsl.artifacts.schemas import Form
from satdsl.artifacts.tables import read
from satdsl.ir.work import StepError

Array = NDArray[Any]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path to write to, renamed to `path` when all of it is written.

    Whoever may read other new files may read it: safetensors gives its files to their owner alone.
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
    with atomic_write(path) as aside:
        aside.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an `.npz` file. Equal arrays give equal bytes."""
    with atomic_write(path) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def write_table(folder: Path, form: Form, columns: Mapping[str, Any], **facts: Any) -> None:
    """Write the table of a finished artifact as Parquet. Equal columns give equal bytes.

    `facts` are kept with what the file says of itself.
    """
    with atomic_write(folder / form.file) as aside:
        aside.write_bytes(to_bytes(form, columns, **facts))


def read_table(folder: Path, form: Form) -> dict[str, Array]:
    """The columns of a table in a finished artifact. StepError where it is not what it should be."""
    try:
        return read(folder, form)
    except Unreadable as error:
        reason = str(error)
        raise StepError(reason, "it was made by something else than satdsl: delete its folder, and run again") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
