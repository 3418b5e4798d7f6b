"""Read numbers from a `.npy`, `.pt`, `.pth`, `.csv` or `.txt` file, or say what else the file holds.

The checker imports this module only for a specification that names such a file, since numpy is slow to import.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from satdsl.errors import UserError
from satdsl.records import Record, record

SAVE_ARRAY = "save numbers: np.save(path, np.asarray(scores, dtype=np.float64))"
SAVE_TENSOR = "save numbers: torch.save(torch.as_tensor(scores), path)"
WRITE_LINES = "write UTF-8 text with one row per line, columns between commas or white space, numbers as 0.5 or 5e-1"
SHOWN = 40
"""An error shows at most so many characters of a cell that is no number."""

TORCH = (".pt", ".pth")
"""The endings of files that torch.save wrote."""


@record
class NumberTable(Record):
    """The numbers in a file, [n] or [n, columns], and what a header calls the columns (nothing where there is none).

    A single column counts as [n].
    """

    numbers: Any
    names: tuple[str, ...] = ()


def read_numbers(path: Path) -> NumberTable:
    """Read the integers or floats in a file.

    In text, a first line of words is a header, `#` starts a comment, and quotes around a cell are ignored. A `.pt` or
    `.pth` file may hold a tensor, a NumPy array, lists, a dictionary from index to score, or a dictionary with one of
    these under one name; it is read without running any code in it.

    Raises:
        UserError: The file holds something else.
    """
    read, way_out = READERS.get(path.suffix, (_text, WRITE_LINES))
    try:
        table = read(path)
    except ReadError as error:
        raise UserError(f"{path}{error}", way_out) from error
    numbers = table.numbers
    if numbers.dtype.kind not in "iuf":
        raise UserError(f"{path} holds {numbers.dtype}, not numbers", way_out)
    return NumberTable(numbers[:, 0], table.names) if numbers.ndim == 2 and numbers.shape[1] == 1 else table


class ReadError(ValueError):
    """Why a file cannot be read; the text follows the file's name."""


def _npy(path: Path) -> NumberTable:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        if "bject" in str(error):
            raise ReadError(" holds Python objects, or is no .npy file; only numbers are read") from error
        raise ReadError(f" is no .npy file, or a damaged one ({error})") from error
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise ReadError(" is an .npz archive, which can hold several arrays")
    return NumberTable(loaded)


def _pt(path: Path) -> NumberTable:
    import torch
    from torch.serialization import safe_globals

    try:
        with safe_globals(_parts_of_arrays()):
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ReadError(
            " is no file of torch.save, or holds more than tensors, arrays and plain values, which could run code when "
            "read"
        ) from error
    except Exception as error:  # a damaged file can make the reader raise anything
        raise ReadError(f" is no file of torch.save, or a damaged one ({type(error).__name__})") from error
    if isinstance(loaded, dict) and len(loaded) == 1 and isinstance(next(iter(loaded)), str):
        (loaded,) = loaded.values()
    if isinstance(loaded, torch.Tensor):
        return NumberTable(_of_tensor(loaded))
    if isinstance(loaded, dict):
        if not all(isinstance(key, int) for key in loaded):
            raise ReadError(f" holds a dictionary of {', '.join(map(str, loaded))}"[:200] + "; save one tensor of it")
        loaded = list(loaded.items())
    try:
        return NumberTable(np.asarray(loaded))
    except (ValueError, TypeError, RuntimeError) as error:
        raise ReadError(" holds lists of different lengths, or of other things than numbers") from error


def _parts_of_arrays() -> list[Any]:
    """Return what torch.load may rebuild besides tensors: NumPy's arrays and scalars of numbers, and no objects.

    NumPy calls its functions by another path since version 2, and files have either.
    """
    from numpy._core import multiarray

    functions = {"_reconstruct": multiarray._reconstruct, "scalar": multiarray.scalar}
    paths = [
        (function, f"numpy.{core}.multiarray.{name}")
        for name, function in functions.items()
        for core in ("core", "_core")
    ]
    kinds = [type(np.dtype(code)) for code in "bBhHiIlLqQefd"]
    return [*paths, np.ndarray, np.dtype, *kinds]


def _of_tensor(tensor: Any) -> np.ndarray:
    """Convert a tensor of any layout; floating types become float64, since NumPy has no bfloat16."""
    import torch

    try:
        dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
        numbers: np.ndarray = (dense.double() if dense.is_floating_point() else dense.resolve_conj()).numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise ReadError(f" holds a tensor that is no plain array of numbers ({tensor.dtype})") from error
    return numbers


def _text(path: Path) -> NumberTable:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ReadError(" is not text in UTF-8") from error
    numbered = [(i, line.split("#")[0]) for i, line in enumerate(lines, 1)]
    rows = [(i, cells) for i, line in numbered if (cells := line.replace(",", " ").replace('"', " ").split())]
    names: tuple[str, ...] = ()
    if rows and (header := _header(numbered[rows[0][0] - 1][1])):
        names, rows = header, rows[1:]
    for i, cells in rows:
        wrong = next((cell for cell in cells if not _is_number(cell)), None)
        if wrong is not None:
            raise ReadError(f", line {i}: `{wrong[:SHOWN]}` is no number")
        if len(cells) != len(rows[0][1]):
            raise ReadError(f", line {i}: columns number {len(cells)} here, {len(rows[0][1])} in line {rows[0][0]}")
    return NumberTable(np.array([[float(cell) for cell in cells] for _, cells in rows]), names)


def _header(line: str) -> tuple[str, ...]:
    """Return the cells of a line that names columns; nothing where it has numbers.

    pandas leaves the name of its own index empty, and calls a column without a name by its number: `,0`.
    """
    cells = tuple(cell.strip(' \t"') for cell in (line.split(",") if "," in line else line.split()))
    return () if all(map(_is_number, cells)) else cells


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


READERS: Mapping[str, tuple[Callable[[Path], NumberTable], str]] = {
    ".npy": (_npy, SAVE_ARRAY),
    **dict.fromkeys(TORCH, (_pt, SAVE_TENSOR)),
}
"""The reader of each file suffix, and what the user can do if it fails. All other files are read as text."""
