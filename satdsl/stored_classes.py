"""Find the names of the classes that a file of weights holds beside its weights, without torch.

Training scripts store them as `classes`, `class_to_idx`, `id2label` and under other names.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from satdsl.weight_files import torch_files
from satdsl.weight_files.pickles import mapping_in
from satdsl.weight_files.safetensors_files import looks_like_safetensors, read_metadata

LISTS = ("classes", "classnames", "classlabels", "categories", "labelnames", "names", "labels")
"""What lists of names are called, in small letters and without underscores."""

FROM_NUMBERS = ("idxtoclass", "indextoclass", "id2label", "idtolabel", "idx2class", "inttolabel", "idx2label", *LISTS)
TO_NUMBERS = ("classtoidx", "classtoindex", "label2id", "labeltoid", "class2idx", "labeltoidx", "label2idx", *LISTS)

DEEPEST = 4
"""Mappings within mappings that are looked into."""

LARGEST = 64 << 20
"""Bytes of a safetensors header that is read."""


@lru_cache(maxsize=32)
def stored_classes(path: str, digest: str) -> tuple[tuple[str, ...], ...]:
    """Return each list of class names, in the order of their numbers, in the file of weights that has this SHA-256.

    Nothing where it has none, or cannot be read.
    """
    try:
        return tuple(dict.fromkeys(_found(_content(Path(path)), DEEPEST)))
    except Exception:  # a pickle can make any error, and whoever loads the weights says what is wrong with the file
        return ()


def _found(content: object, deepest: int) -> Iterator[tuple[str, ...]]:
    entries = mapping_in(content)
    if entries is None or not deepest:
        return
    for name, value in entries.items():
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


def _content(path: Path) -> object:
    """Return what a file of weights holds besides tensors."""
    if looks_like_safetensors(path, LARGEST):
        return read_metadata(path)
    return torch_files.read_zip(path)[0] if zipfile.is_zipfile(path) else torch_files.read_pickles(path)
