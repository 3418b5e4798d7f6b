"""A plan to the data sets that it needs: where each lies, how large it is, and what to do where it is missing.

Never imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from satdsl.backend.dataset_paths import by_hand_of, data_folder, expected, locate, size_on_disk
from satdsl.catalog.datasets import DatasetEntry
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Data, Key

if TYPE_CHECKING:
    from rich.console import RenderableType

    from satdsl.engine.store import Store

IN_PACKAGE, PRESENT, STORED, MISSING = "in the package", "present", "stored", "missing"


@dataclass(frozen=True)
class Needed:
    """One data set. `state` is one of the words above: `stored` means that its decoded images are in the store.

    `size` is in bytes, that of the download where the set is missing; None where it is not known.
    """

    name: str
    keys: tuple[Key, ...]
    state: str
    where: Path
    size: int | None
    by_hand: str

    @property
    def fetchable(self) -> bool:
        return self.state == MISSING and not self.by_hand


def needed(plan: Plan, store: Store, data_root: Path) -> list[Needed]:
    """The data sets of a plan's data steps; settings that share files (another limit, say) make one entry."""
    keys: dict[tuple[str, Path], list[Key]] = {}
    for key, step in plan.steps.items():
        if isinstance(step.settings, Data):
            source = step.settings.source
            where = locate(source, data_folder(step.settings.root, data_root))[1]
            keys.setdefault((source.name, where), []).append(key)
    return [_needed(plan, store, data_root, tuple(group)) for group in keys.values()]


def _needed(plan: Plan, store: Store, data_root: Path, keys: tuple[Key, ...]) -> Needed:
    settings = plan.steps[keys[0]].settings
    assert isinstance(settings, Data)
    source, root = settings.source, data_folder(settings.root, data_root)
    present, where, _ = locate(source, root)
    by_hand = by_hand_of(source)
    if not expected(source, root):
        return Needed(source.name, keys, IN_PACKAGE, where, None, by_hand)
    if present:
        return Needed(source.name, keys, PRESENT, where, size_on_disk(source, root), by_hand)
    if all(_is_decoded(store, key) for key in keys):
        return Needed(source.name, keys, STORED, where, None, by_hand)
    size = (DatasetEntry.of(source).facts or {}).get("download")
    return Needed(source.name, keys, MISSING, where, size, by_hand)


def _is_decoded(store: Store, key: Key) -> bool:
    """Whether the store has the images themselves."""
    from satdsl.engine.errors import Damaged

    try:
        return store.recheck(key) and any(file.path == "train.npy" for file in store.manifest(key).files)
    except Damaged:
        return False


def page(found: list[Needed], fetch: str) -> Iterator[RenderableType]:
    """A table of the data sets, and a line for each that is missing; `fetch` is the command that fetches it."""
    from rich.table import Table
    from rich.text import Text

    table = Table("data set", "state", "where", box=None, pad_edge=False)
    table.add_column("size", justify="right", no_wrap=True)
    for one in found:
        where = "" if one.state == IN_PACKAGE else str(one.where)
        style = "yellow" if one.state == MISSING else ""
        table.add_row(one.name, Text(one.state, style=style), Text(where, overflow="fold"), _size(one))
    yield table
    for one in found:
        if one.state == MISSING:
            yield Text(f"{one.name} is missing: {one.by_hand or fetch}")


def _size(one: Needed) -> str:
    if one.size is None:
        return ""
    text = f"{one.size / 1e6:,.1f} MB" if one.size < 1e9 else f"{one.size / 1e9:,.2f} GB"
    return f"{text} to fetch" if one.state == MISSING else text
