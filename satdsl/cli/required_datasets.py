"""List the data sets that a plan needs: where each lies, how large it is, and how to get one that is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from satdsl.backend.dataset_paths import by_hand_of, data_folder, expected, locate, megabytes, sizes_on_disk
from satdsl.catalog.datasets import DatasetEntry
from satdsl.engine.errors import Damaged
from satdsl.ir.plan import Plan
from satdsl.ir.steps import JOINED, CatalogCall, Data, Key

if TYPE_CHECKING:
    from rich.console import RenderableType

    from satdsl.engine.store import Store

IN_PACKAGE, PRESENT, STORED, MISSING = "in the package", "present", "stored", "missing"


@dataclass(frozen=True)
class RequiredDataset:
    """A data set. `state` is one of the words above; `stored` means that the store has its decoded images.

    `size` is in bytes: of the files, or of the download if the data set is missing; None if it is not known.
    """

    name: str
    keys: tuple[Key, ...]
    state: str
    where: Path
    size: int | None
    by_hand: str

    @property
    def downloadable(self) -> bool:
        """Return whether the data set is missing and can be downloaded."""
        return self.state == MISSING and not self.by_hand


def required_datasets(plan: Plan, store: Store, data_root: Path) -> list[RequiredDataset]:
    """Return the data sets of a plan's data steps; steps that read the same files (with another limit) share one."""
    steps: dict[tuple[str, Path], list[Key]] = {}
    sources: dict[tuple[str, Path], dict[CatalogCall, Path]] = {}
    for key, step in plan.steps.items():
        if isinstance(step.settings, Data) and step.settings.source.name != JOINED:
            source, root = step.settings.source, data_folder(step.settings.root, data_root)
            place = source.name, locate(source, root)[1]
            steps.setdefault(place, []).append(key)
            sources.setdefault(place, {})[source] = root
    return [_required(sources[place], tuple(keys), store) for place, keys in steps.items()]


def _required(sources: Mapping[CatalogCall, Path], keys: tuple[Key, ...], store: Store) -> RequiredDataset:
    """Return what there is of a data set; it is present where the files of all its `sources` are."""
    missing = {source: root for source, root in sources.items() if not locate(source, root)[0]}
    source, root = next(iter((missing or sources).items()))
    where = locate(source, root)[1]
    size: int | None = None
    if not expected(source, root):
        state = IN_PACKAGE
    elif not missing:
        sizes = [sizes_on_disk(*each) for each in sources.items()]
        state, size = PRESENT, sum({file: size for of in sizes for file, size in of.items()}.values())
    elif all(_is_decoded(store, key) for key in keys):
        state = STORED
    else:
        state, size = MISSING, (DatasetEntry.of(source).facts or {}).get("download")
    return RequiredDataset(source.name, keys, state, where, size, by_hand_of(source))


def _is_decoded(store: Store, key: Key) -> bool:
    """Return whether the store has the images themselves."""
    try:
        return store.recheck(key) and any(file.path == "train.npy" for file in store.manifest(key).files)
    except Damaged:
        return False


def dataset_table(found: list[RequiredDataset], fetch: str) -> Iterator[RenderableType]:
    """Give a table of the data sets, and a line for each that is missing; `fetch` says how it is downloaded."""
    from rich.table import Table
    from rich.text import Text

    table = Table("data set", "state", "where", box=None, pad_edge=False)
    table.add_column("size", justify="right", no_wrap=True)
    for one in found:
        where = "" if one.state == IN_PACKAGE else str(one.where)
        style = "yellow" if one.state == MISSING else ""
        size = "" if one.size is None else megabytes(one.size) + (" to fetch" if one.state == MISSING else "")
        table.add_row(one.name, Text(one.state, style=style), Text(where, overflow="fold"), size)
    yield table
    for one in found:
        if one.state == MISSING:
            yield Text(f"{one.name} is missing: {one.by_hand or fetch}")
