"""Define where a tensor lies in a file: its shape and type, and the stretch of bytes that its numbers are in."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from math import prod

from satdsl.records import Record, record
from satdsl.weight_files.problem import WeightsProblem

SIZES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "bool": 1,
    "complex64": 8,
    "complex128": 16,
}
"""Bytes of one number of each type."""

KEPT = 4096
"""Bytes of a storage that are kept after they are read."""

FLOATS = ("float64", "float32", "float16", "bfloat16")
"""The types that weights are read from."""

_FORMATS = {"float64": "d", "float32": "f", "float16": "e", "int64": "q", "int32": "i", "uint8": "B", "int8": "b"}


class Storage:
    """The numbers that one or several tensors are views of. `read` gives its bytes, which are `length` many."""

    def __init__(self, type: str | None, length: int, read: Callable[[], bytes]) -> None:
        self.type, self.length = type, length
        self._read = read
        self._kept: bytes | None = None

    def bytes(self) -> bytes:
        """Return all bytes; a few are kept for the next time."""
        if self._kept is not None:
            return self._kept
        found = self._read()
        if len(found) <= KEPT:
            self._kept = found
        return found


@record
class TensorPlace(Record):
    """A tensor: `offset` and `stride` count numbers of the storage. `unusable` says why it cannot be read, if so."""

    shape: tuple[int, ...]
    type: str
    storage: Storage
    offset: int = 0
    stride: tuple[int, ...] = ()
    unusable: str = ""

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def place(self) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
        """Return what two tensors have in common that are views of the same numbers."""
        return id(self.storage), self.offset, self.shape, self.stride

    def check(self, name: str) -> None:
        """Raise WeightsProblem if the storage has not all numbers of the tensor."""
        if self.unusable or not self.count:
            return
        last = self.offset + sum((side - 1) * step for side, step in zip(self.shape, self.stride, strict=True))
        if self.offset < 0 or min(self.stride, default=0) < 0 or (last + 1) * SIZES[self.type] > self.storage.length:
            raise WeightsProblem(
                "E520", f"is damaged: `{name}` has fewer numbers than its shape says", help="download it again"
            )

    def contiguous(self) -> bytes:
        """Return the bytes of its numbers, in the order of its shape."""
        size = SIZES[self.type]
        whole = self.storage.bytes()
        expected, steps = 1, []
        for side in reversed(self.shape):
            steps.append(expected)
            expected *= side
        plain = all(
            side == 1 or step == own for side, step, own in zip(self.shape, self.stride, steps[::-1], strict=True)
        )
        begin = self.offset * size
        if plain:
            return whole[begin : begin + self.count * size]
        places = [self.offset]
        for side, step in zip(self.shape, self.stride, strict=True):
            places = [place + i * step for place in places for i in range(side)]
        return b"".join(whole[place * size : (place + 1) * size] for place in places)

    def numbers(self, most: int = 4096) -> tuple[float, ...] | None:
        """Return its numbers, in the order of its shape; None if there are more than `most`, or it cannot be read."""
        if self.unusable or self.count > most:
            return None
        data = self.contiguous()
        if self.type == "bfloat16":
            wide = b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
            return struct.unpack(f"<{self.count}f", wide)
        if self.type not in _FORMATS:
            return None
        return tuple(float(number) for number in struct.unpack(f"<{self.count}{_FORMATS[self.type]}", data))

    def same(self, other: TensorPlace) -> bool:
        """Return whether two tensors have the same shape and numbers."""
        if self.place == other.place and self.type == other.type:
            return True
        if (self.shape, self.type) != (other.shape, other.type) or self.unusable or other.unusable:
            return False
        return self.contiguous() == other.contiguous()


Weights = Mapping[str, TensorPlace]
"""Tensors by name, as a state dict has them."""
