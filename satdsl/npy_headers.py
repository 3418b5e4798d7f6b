"""Read what a NumPy file (.npy) says of its array: its shape and its type, without reading the numbers."""

from __future__ import annotations

import ast
from pathlib import Path

from satdsl.records import Record, record

MAGIC = b"\x93NUMPY"
LONGEST = 1 << 16
"""The most bytes that a header may have."""


@record
class ArrayHeader(Record):
    """`kind` is `u`, `i`, `f`, `b`, ... as NumPy names kinds of numbers, `size` the bytes of one."""

    shape: tuple[int, ...]
    kind: str
    size: int

    @property
    def type(self) -> str:
        """Return the type as NumPy writes it: `uint8`, `float32`."""
        names = {"u": "uint", "i": "int", "f": "float", "c": "complex"}
        return f"{names[self.kind]}{8 * self.size}" if self.kind in names else {"b": "bool"}.get(self.kind, "objects")


def read(path: Path) -> ArrayHeader:
    """Return the header of a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no .npy file, or ends too early; the text says which.
    """
    with path.open("rb") as file:
        start = file.read(12)
        if start[:6] != MAGIC or len(start) < 12:
            raise ValueError("it is not a .npy file")
        wide = start[6] > 1
        length = int.from_bytes(start[8 : 12 if wide else 10], "little")
        if not 0 < length <= LONGEST:
            raise ValueError("its header is damaged")
        file.seek(12 if wide else 10)
        text = file.read(length)
        begin = file.tell()
    try:
        found = ast.literal_eval(text.decode("utf-8" if start[6] > 2 else "latin-1").strip())
        shape, kind = tuple(int(side) for side in found["shape"]), str(found["descr"])
        header = ArrayHeader(shape, kind[1], int(kind[2:]))
    except (ValueError, SyntaxError, KeyError, TypeError, IndexError, MemoryError, RecursionError) as error:
        raise ValueError("its header is damaged, or it holds objects instead of numbers") from error
    count = header.size
    for side in shape:
        count *= side
    if header.kind != "O" and path.stat().st_size < begin + count:
        raise ValueError("it ends before its last number: the file is truncated")
    return header
