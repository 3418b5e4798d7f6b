"""The tables in an artifact's folder to arrays and epochs, whichever version of satdsl wrote them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdsl.artifacts import epochs
from satdsl.artifacts.parquet import Unreadable, from_bytes
from satdsl.artifacts.schemas import CURVES, Column, Form

Array = NDArray[Any]


def read(folder: Path, form: Form, names: Sequence[str] | None = None) -> dict[str, Array]:
    """The columns of these names, all if None, each [n].

    Raises:
        Unreadable: there is no such table, or it is not what it should be.
    """
    file = place(folder, form)
    try:
        if file.name == form.older:
            return _older(file, form, names)
        table = from_bytes(file.read_bytes(), form, names)
    except (OSError, Unreadable) as error:
        what = form.name if names is None else ", ".join(names)
        raise Unreadable(f"{file} does not hold {what} ({error})") from None
    return {name: _writable(table.column(name).to_numpy()) for name in table.column_names}


def read_curves(folder: Path) -> list[dict[str, Any]]:
    """A training's epochs, as `epochs` has them.

    Raises:
        Unreadable: there are none, or they are not what they should be.
    """
    file = place(folder, CURVES)
    try:
        if file.name == CURVES.older:
            return _older_epochs(json.loads(file.read_text("utf-8")))
        return epochs.from_columns(from_bytes(file.read_bytes(), CURVES).to_pydict())
    except (OSError, ValueError, Unreadable) as error:
        raise Unreadable(f"{file} does not hold curves ({error})") from None


def place(folder: Path, form: Form) -> Path:
    """The file that has this table, or should have."""
    older = folder / form.older
    return older if older.exists() and not (folder / form.file).exists() else folder / form.file


def _older(file: Path, form: Form, names: Sequence[str] | None) -> dict[str, Array]:
    """Those of an `.npz` file of satdsl 0.1.0."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in (stored.files if names is None else names)}
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise Unreadable(error) from None
    for name, values in found.items():
        if not _is(values, form.column(name)) or len(values) != len(next(iter(found.values()))):
            raise Unreadable(f"its {name} is {values.dtype}, {list(values.shape)}")
    return found


def _older_epochs(found: Any) -> list[dict[str, Any]]:
    """Those of a `curves.json` of satdsl 0.1.0."""
    if not isinstance(found, list) or not all(isinstance(epoch, dict) and "epoch" in epoch for epoch in found):
        raise Unreadable("it is not a list of epochs")
    return found


def _is(values: Array, column: Column | None) -> bool:
    """Whether an older array can be this column: it was less exact about the sizes of numbers."""
    kinds = {"i": "iu", "f": "iuf", "b": "b"}
    return column is not None and values.ndim == 1 and values.dtype.kind in kinds.get(column.type[0], "")


def _writable(values: Array) -> Array:
    return values if values.flags.writeable else values.copy()
