"""Read the tables in the folder of an artifact as arrays and epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from satdsl.artifacts import epochs
from satdsl.artifacts.parquet import Unreadable, from_bytes
from satdsl.artifacts.schemas import CURVES, TableSchema

Array = NDArray[Any]

HELP = "satdsl did not write this artifact: delete its folder, and run again"
"""The way out if a table is unreadable although its digest is right."""


def read(
    folder: Path, schema: TableSchema, names: Sequence[str] | None = None, rows: int | None = None
) -> dict[str, Array]:
    """Return the columns with these names (None: all), each [n]. There have to be as many `rows`, if that is known.

    Raises:
        Unreadable: there is no such table, or it is not what it should be.
    """
    try:
        table = from_bytes((folder / schema.file).read_bytes(), schema, names)
        if rows is not None and table.num_rows != rows:
            raise Unreadable(f"it has {table.num_rows} rows instead of {rows}")
    except (OSError, Unreadable) as error:
        what = schema.name if names is None else ", ".join(names)
        raise Unreadable(f"{folder / schema.file} does not hold {what} ({error})") from None
    return {name: _writable(table.column(name).to_numpy()) for name in table.column_names}


def read_curves(folder: Path) -> list[dict[str, Any]]:
    """Return the epochs of a training, in the form that `epochs.to_columns` takes.

    Raises:
        Unreadable: there are none, or they are not what they should be.
    """
    file = folder / CURVES.file
    try:
        return epochs.from_columns(from_bytes(file.read_bytes(), CURVES).to_pydict())
    except (OSError, Unreadable) as error:
        raise Unreadable(f"{file} does not hold curves ({error})") from None


def _writable(values: Array) -> Array:
    return values if values.flags.writeable else values.copy()
