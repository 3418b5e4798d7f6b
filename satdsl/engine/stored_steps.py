"""Index the finished steps of a store by kind, to compare a step of a plan with them.

Thousands of manifests are looked through: of each the kind and the label are found in its text, and only those that are
asked for are parsed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from satdsl.engine.errors import Damaged, StoreError
from satdsl.engine.manifest import Manifest
from satdsl.engine.store import ReadableStore
from satdsl.ir.steps import Key

T = TypeVar("T")

_KIND = re.compile(rb'^ "kind": ("[a-z]+"),?$', re.MULTILINE)
_BLOCK = re.compile(rb'^  "block": \{', re.MULTILINE)
"""What the settings of a block have: it is part of an evaluation, which alone is compared."""
_LABEL = re.compile(rb'^ "label": ("(?:[^"\\]|\\.)*"),?$', re.MULTILINE)


class StoredSteps:
    """The finished steps of a store, whose manifests are parsed when they are asked for.

    `damaged` has the keys whose manifest cannot be read, `newer` those that a newer satdsl wrote, as far as they were
    met.
    """

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._content: dict[Key, bytes] = {}
        self._manifests: dict[Key, Manifest | None] = {}
        self._by_label: dict[str, dict[str, list[Key]]] = {}
        self.damaged: set[Key] = set()
        self.newer: set[Key] = set()
        keys = sorted(store.keys())
        store.prefetch(keys)
        for key in keys:
            self._index(key)

    def _index(self, key: Key) -> None:
        content = self._read(key, lambda: self._store.manifest_text(key))
        if content is None or _BLOCK.search(content):
            return
        kind, label = _KIND.search(content), _LABEL.search(content)
        if kind and label:
            of_kind = self._by_label.setdefault(json.loads(kind[1]), {})
            of_kind.setdefault(json.loads(label[1]), []).append(key)
        elif (found := self.manifest(key)) is not None:
            self._by_label.setdefault(found.kind, {}).setdefault(found.label, []).append(key)

    def manifest(self, key: Key) -> Manifest | None:
        """Return the manifest of a finished step; None where there is none that can be read and compared."""
        if key not in self._manifests:
            found = self._read(key, lambda: self._store.manifest(key)) if self._store.has(key) else None
            if found is not None and not _comparable(found, key):
                self.damaged.add(key)
                found = None
            self._manifests[key] = found
        return self._manifests[key]

    def of_kind(self, kind: str, label: str | None = None) -> list[Manifest]:
        """Return the manifests of all finished steps of a kind, or of those that are called `label`."""
        labels = self._by_label.get(kind, {})
        keys: Iterable[Key] = labels.get(label, ()) if label is not None else (k for of in labels.values() for k in of)
        return [found for key in keys if (found := self.manifest(key)) is not None]

    def count(self, kind: str, label: str | None = None) -> int:
        """Return how many steps of a kind are stored (called `label`), whether they can be compared or not."""
        labels = self._by_label.get(kind, {})
        return sum(map(len, labels.values())) if label is None else len(labels.get(label, ()))

    def _read(self, key: Key, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except Damaged:
            self.damaged.add(key)
        except StoreError:
            self.newer.add(key)
        return None


def _comparable(found: Manifest, key: Key) -> bool:
    """Return whether a manifest is that of its key, and has settings as they are compared."""
    return found.key == key and isinstance(found.settings, dict) and isinstance(found.key_settings, dict)
