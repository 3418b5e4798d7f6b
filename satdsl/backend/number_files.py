"""Read numbers from a `.npy`, `.pt`, `.csv` or `.txt` file, or say what else the file holds."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from satdsl.backend.artifact_files import sha256
from satdsl.ir.work import StepError

SAVE_ARRAY = "save numbers: np.save(path, np.asarray(scores, dtype=np.float64))"
SAVE_TENSOR = "save numbers: torch.save(torch.as_tensor(scores), path)"
WRITE_LINES = "write UTF-8 text with one row per line, columns between commas or white space, numbers as 0.5 or 5e-1"
SHOWN = 40
"""An error shows at most so many characters of a cell that is no number."""


def read_numbers(path: Path, digest: str) -> np.ndarray:
    """Read the numbers in a file whose SHA-256 is `digest`: integers or floats, [n] or [n, columns].

    A single column counts as [n]. In text, a first line of words is a header, `#` starts a comment, and
    quotes around a cell are ignored. A `.pt` file may hold a tensor, lists, or a dictionary from index
    to score; it is read without running any code in it.

    Raises:
        StepError: The file is not there, has changed, or holds something else.
    """
    try:
        found = sha256(path)
    except OSError as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise StepError(f"the file {path} {reason}", "put it back, or name another file") from error
    if found != digest:
        raise StepError(f"{path} changed since the specification was compiled", "run again to compile it as it is now")
    read, way_out = READERS.get(path.suffix, (_text, WRITE_LINES))
    try:
        numbers = read(path)
    except ReadError as error:
        raise StepError(f"{path}{error}", way_out) from error
    if numbers.dtype.kind not in "iuf":
        raise StepError(f"{path} holds {numbers.dtype}, not numbers", way_out)
    return numbers[:, 0] if numbers.ndim == 2 and numbers.shape[1] == 1 else numbers


class ReadError(ValueError):
    """Why a file cannot be read; the text follows the file's name."""


def _npy(path: Path) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        if "bject" in str(error):
            raise ReadError(" holds Python objects, or is no .npy file; only numbers are read") from error
        raise ReadError(f" is no .npy file, or a damaged one ({error})") from error
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise ReadError(" is an .npz archive, which can hold several arrays")
    return loaded


def _pt(path: Path) -> np.ndarray:
    import torch

    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ReadError(
            " is no file of torch.save, or holds more than tensors and plain values, which could run code when read"
        ) from error
    except Exception as error:  # a damaged file can make the reader raise anything
        raise ReadError(f" is no file of torch.save, or a damaged one ({type(error).__name__})") from error
    if isinstance(loaded, torch.Tensor):
        return _of_tensor(loaded)
    if isinstance(loaded, dict):
        if not all(isinstance(key, int) for key in loaded):
            raise ReadError(f" holds a dictionary of {', '.join(map(str, loaded))}"[:200] + "; save one tensor of it")
        loaded = list(loaded.items())
    try:
        return np.asarray(loaded)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ReadError(" holds lists of different lengths, or of other things than numbers") from error


def _of_tensor(tensor: Any) -> np.ndarray:
    """Convert a tensor of any layout; floating types become float64, since NumPy has no bfloat16."""
    import torch

    try:
        dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
        numbers: np.ndarray = (dense.double() if dense.is_floating_point() else dense.resolve_conj()).numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise ReadError(f" holds a tensor that is no plain array of numbers ({tensor.dtype})") from error
    return numbers


def _text(path: Path) -> np.ndarray:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ReadError(" is not text in UTF-8") from error
    numbered = ((i, line.split("#")[0].replace(",", " ").replace('"', " ").split()) for i, line in enumerate(lines, 1))
    rows = [(i, cells) for i, cells in numbered if cells]
    if rows and not all(map(_is_number, rows[0][1])):
        rows = rows[1:]
    for i, cells in rows:
        wrong = next((cell for cell in cells if not _is_number(cell)), None)
        if wrong is not None:
            raise ReadError(f", line {i}: `{wrong[:SHOWN]}` is no number")
        if len(cells) != len(rows[0][1]):
            raise ReadError(f", line {i}: columns number {len(cells)} here, {len(rows[0][1])} in line {rows[0][0]}")
    return np.array([[float(cell) for cell in cells] for _, cells in rows])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


READERS: Mapping[str, tuple[Callable[[Path], np.ndarray], str]] = {
    ".npy": (_npy, SAVE_ARRAY),
    ".pt": (_pt, SAVE_TENSOR),
}
"""The reader of each file suffix, and what the user can do if it fails. All other files are read as text."""
