"""Read the header of a safetensors file: a length in eight bytes, JSON, then the numbers."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

from satdsl.weight_files import kinds
from satdsl.weight_files.problem import WeightsProblem
from satdsl.weight_files.tensors import SIZES, Storage, TensorPlace

TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "BOOL": "bool",
}
LONGEST = 100_000_000
METADATA = "__metadata__"


def looks_like_safetensors(path: Path, longest: int = LONGEST) -> bool:
    """Return whether a file begins with the length of a header, of at most `longest` bytes, and a header."""
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= longest


def read_safetensors(path: Path) -> dict[str, TensorPlace]:
    """Return the tensors by name."""
    size = path.stat().st_size
    try:
        header, start = _header(path, size)
        entries = [(name, facts) for name, facts in header.items() if name != METADATA]
        found = {name: _place(path, start, size, facts) for name, facts in entries}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsProblem(kinds.CODE, "has a damaged header", str(error), kinds.DOWNLOAD) from error
    return found


def read_metadata(path: Path) -> Any:
    """Return the texts by name that a file holds beside its tensors; None where it has none."""
    return _header(path, path.stat().st_size)[0].get(METADATA)


def _header(path: Path, size: int) -> tuple[Any, int]:
    """Return a file's header, and where its numbers begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            raise WeightsProblem(
                kinds.CODE, f"is truncated: its header has {length:,} bytes, the file {size:,}", "", kinds.DOWNLOAD
            )
        return json.loads(file.read(length)), 8 + length


def _place(path: Path, start: int, size: int, facts: dict[str, Any]) -> TensorPlace:
    begin, end = (int(place) for place in facts["data_offsets"])
    if start + end > size:
        raise WeightsProblem(kinds.CODE, f"is truncated: {start + end - size:,} bytes are missing", "", kinds.DOWNLOAD)
    shape = tuple(int(side) for side in facts["shape"])
    type = TYPES.get(str(facts["dtype"]))
    steps, step = [], 1
    for side in reversed(shape):
        steps.append(step)
        step *= side

    def read() -> bytes:
        with path.open("rb") as file:
            file.seek(start + begin)
            return file.read(end - begin)

    storage = Storage(type, end - begin, read)
    why = "" if type is not None else f"of the type {facts['dtype']}"
    if type is not None and prod(shape) * SIZES[type] != end - begin:
        raise ValueError("a tensor has another size than its shape says")
    return TensorPlace(shape, type or "uint8", storage, 0, tuple(reversed(steps)), why)
