"""Find the names of the classes that a file of weights holds beside its weights, without torch.

Training scripts store them as `classes`, `class_to_idx`, `id2label` and under other names. Nothing in the file is
executed: what is no plain value is passed over.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

LISTS = ("classes", "classnames", "classlabels", "categories", "labelnames", "names", "labels")
"""What lists of names are called, in small letters and without underscores."""

FROM_NUMBERS = ("idxtoclass", "indextoclass", "id2label", "idtolabel", "idx2class", "inttolabel", "idx2label", *LISTS)
TO_NUMBERS = ("classtoidx", "classtoindex", "label2id", "labeltoid", "class2idx", "labeltoidx", "label2idx", *LISTS)

DEEPEST = 4
"""Mappings within mappings that are looked into."""

LARGEST = 64 << 20
"""Bytes of a header or a pickle, apart from the tensors, that are read."""


@lru_cache(maxsize=32)
def stored_classes(path: str, digest: str) -> tuple[tuple[str, ...], ...]:
    """Return each list of class names, in the order of their numbers, in the file of weights that has this SHA-256.

    Nothing where it has none, or cannot be read.
    """
    try:
        content = _safetensors(Path(path)) if path.endswith(".safetensors") else _pickled(Path(path))
        return tuple(dict.fromkeys(_found(content, DEEPEST)))
    except Exception:  # a pickle can make any error, and whoever loads the weights says what is wrong with the file
        return ()


def _found(content: object, deepest: int) -> Iterator[tuple[str, ...]]:
    if isinstance(content, _Inert):
        content = content.state
    if not isinstance(content, Mapping) or not deepest:
        return
    for name, value in content.items():
        called = name.replace("_", "").replace("-", "").lower() if isinstance(name, str) else ""
        if names := _names(called, _parsed(value) if called in (*FROM_NUMBERS, *TO_NUMBERS) else value):
            yield names
        else:
            yield from _found(value, deepest - 1)


def _names(called: str, value: object) -> tuple[str, ...]:
    """Return the names in a list, or in a mapping to or from 0, 1, 2 and so on; nothing where it is neither."""
    pairs: list[tuple[Any, Any]] = []
    if called in LISTS and isinstance(value, (list, tuple)):
        pairs = list(enumerate(value))
    elif called in (*FROM_NUMBERS, *TO_NUMBERS) and isinstance(value, Mapping):
        pairs = [(_number(number), name) for number, name in value.items()]
        if not all(isinstance(name, str) for _, name in pairs):
            pairs = [(_number(number), name) for name, number in value.items()]
    found = {number: name for number, name in pairs if isinstance(number, int) and isinstance(name, str)}
    whole = len(found) == len(pairs) == len(set(found.values())) and sorted(found) == list(range(len(found)))
    return tuple(found[number] for number in range(len(found))) if whole and len(found) > 1 else ()


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value


def _parsed(value: object) -> object:
    """Return what a text holds as JSON, since metadata of safetensors are texts."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


# --- files ---------------------------------------------------------------------------------------


def _safetensors(path: Path) -> object:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(size)).get("__metadata__") if size <= LARGEST else None


def _pickled(path: Path) -> object:
    """Return what `torch.save` wrote, with inert objects in the place of tensors and of all else that is no value."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = next(one for one in archive.infolist() if one.filename.endswith("data.pkl"))
            if inside.file_size > LARGEST:
                return None
            with archive.open(inside) as file:
                return _Values(file).load()
    with path.open("rb") as file:  # before torch 1.6: three pickles of torch's own, then the object
        return _last_of(file, 4)


def _last_of(file: BinaryIO, pickles: int) -> object:
    return [_Values(file).load() for _ in range(pickles)][-1]


class _Inert:
    """Stands for every object that is no plain value: it takes whatever a pickle does with it, and does nothing."""

    state: object = None

    def __new__(cls, *args: object, **named: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *args: object, **named: object) -> None:
        pass

    def __call__(self, *args: object, **named: object) -> _Inert:
        return _Inert()

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        pass

    def extend(self, values: object) -> None:
        pass

    def add(self, value: object) -> None:
        pass


class _Dict(dict[Any, Any]):
    """Stands for an `OrderedDict`, whose attributes a pickle may set."""

    def __setstate__(self, state: object) -> None:
        pass


class _Values(pickle.Unpickler):
    """Reads a pickle without importing or calling anything that it names."""

    def find_class(self, module: str, name: str) -> Any:
        return _Dict if (module, name) == ("collections", "OrderedDict") else _Inert

    def persistent_load(self, pid: object) -> Any:
        return _Inert()
