"""Keep artifacts in a folder: each is written beside its place and then renamed into it.

    root/store.json                    the version of this layout
    root/artifacts/<key[:2]>/<key>/    finished: the files of the step, and manifest.json
    root/work/<key>/                   being written; removed when the step is begun again
    root/scratch/<key>/                what an unfinished step saved; survives a kill, removed when the step is finished
    root/damaged/<key>-<n>/            quarantined because a file was missing or changed; fault.txt says which
    root/failed/<key>.json             why a step failed, until it is begun again
    root/locks/<key>                   held by the process that runs the step; it says how far the step is

It needs a POSIX system: locks by `flock`, and folders that are renamed atomically. A process may be killed between any
two lines of this module. Example: `adopt` replaces an artifact by renaming the old folder to `work/<key>.replaced` and
then the new folder to its place. Killed between the two, it leaves no artifact, so the next run makes the step again,
and `begin` removes the old folder. Readers meet the old artifact, the new one or none, but never a mixture.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Unpack

from satdsl.engine import disk, locks, manifest
from satdsl.engine.errors import Damaged, StoreError
from satdsl.engine.heartbeat import FailedStep, RunningStep
from satdsl.engine.locks import FileLock
from satdsl.engine.manifest import KEY, How, Manifest
from satdsl.engine.store import Leftover, Store
from satdsl.engine.store_format import MARKER, check_marker, marker_content
from satdsl.ir.steps import Key, Step

_FAILED = re.compile(KEY.pattern + r"\.json")


class LocalStore(Store):
    """The artifacts under the folder `root`. Opening it reads only the marker file and writes nothing.

    `option` is the setting that chooses another folder, for messages.

    Raises:
        StoreError: `root` is not a folder, or a newer version of satdsl wrote it.
    """

    def __init__(self, root: Path, option: str = "--store") -> None:
        super().__init__()
        self.root = root
        self._option = option
        self._verified: set[Key] = set()
        _check_root(root)

    @property
    def url(self) -> str:
        return str(self.root)

    @property
    def work_folder(self) -> tuple[Path, str]:
        return self.root, self._option

    def exists(self) -> bool:
        return (self.root / MARKER).exists()

    # --- artifacts -------------------------------------------------------------------------------

    def folder(self, key: Key) -> Path:
        """Return where the artifact with this key lies or would lie."""
        return self.root / "artifacts" / key[:2] / key

    def verify(self, key: Key) -> str | None:
        fault = manifest.folder_fault(self.folder(key), key)
        if fault is None:
            self.manifest(key)  # refuses one of a newer format
            self._verified.add(key)
        return fault

    def fetch(self, key: Key) -> Path:
        if not self.recheck(key):
            raise Damaged(key, "it is missing")
        fault = self.check_sizes(key) if key in self._verified else self.verify(key)
        if fault is not None:
            raise Damaged(key, fault)
        return self.folder(key)

    def _list_keys(self) -> set[Key]:
        artifacts = self.root / "artifacts"
        names = (name for prefix in disk.listing(artifacts) for name in disk.listing(artifacts / prefix))
        return set(filter(KEY.fullmatch, names))

    def _is_stored(self, key: Key) -> bool:
        return self.folder(key).is_dir()

    def _manifest_content(self, key: Key) -> bytes:
        try:
            return (self.folder(key) / manifest.NAME).read_bytes()
        except FileNotFoundError:
            raise Damaged(key, f"{manifest.NAME} is missing") from None
        except OSError as error:
            raise disk.cannot_read(self.folder(key), error) from error

    def _sizes_of(self, found: Manifest) -> dict[str, int]:
        return manifest.sizes_in(self.folder(found.key), found)

    # --- unfinished steps ------------------------------------------------------------------------

    def has_scratch(self, key: Key) -> bool:
        try:
            with os.scandir(self.root / "scratch" / key) as entries:
                return any(True for _ in entries)
        except OSError:
            return False

    def unfinished(self) -> frozenset[Key]:
        return frozenset(filter(self.has_scratch, disk.listing(self.root / "scratch")))

    def quarantined(self) -> frozenset[Key]:
        return frozenset(name.partition("-")[0] for name in disk.listing(self.root / "damaged"))

    def running(self) -> tuple[RunningStep, ...]:
        names = filter(KEY.fullmatch, sorted(disk.listing(self.root / "locks")))
        return tuple(filter(None, (locks.read(self.root / "locks" / name) for name in names)))

    def _failure_records(self) -> Iterator[bytes]:
        for name in sorted(filter(_FAILED.fullmatch, disk.listing(self.root / "failed"))):
            with contextlib.suppress(OSError):
                yield (self.root / "failed" / name).read_bytes()

    # --- making an artifact ----------------------------------------------------------------------

    def lock(self, key: Key) -> FileLock | None:
        with self._writing():
            self._initialise()
            folder = self.root / "locks"
            folder.mkdir(exist_ok=True)
            return locks.acquire(folder / key)

    def owner(self, key: Key) -> str:
        return locks.owner(self.root / "locks" / key)

    def begin(self, key: Key) -> Path:
        with self._writing():
            self._initialise()
            self._remove_work(key)
            self._failed(key).unlink(missing_ok=True)
            folder = self.work(key)
            folder.mkdir(parents=True)
            return folder

    def scratch(self, key: Key) -> Path:
        with self._writing():
            folder = self.root / "scratch" / key
            folder.mkdir(parents=True, exist_ok=True)
            return folder

    def save(self, key: Key) -> None:
        """Do nothing: the scratch folder is in the store already."""

    def commit(self, step: Step, label: str, **how: Unpack[How]) -> Manifest:
        made = self.seal(step, label, **how)
        self.adopt(step.key, self.work(step.key))
        return made

    def work(self, key: Key) -> Path:
        """Return the folder that `begin` gives."""
        return self.root / "work" / key

    def seal(self, step: Step, label: str, **how: Unpack[How]) -> Manifest:
        """Write the manifest of the folder that `begin` gave, which stays where it is."""
        with self._writing():
            folder = self.work(step.key)
            made = manifest.describe(step, label, folder, **how)
            (folder / manifest.NAME).write_text(manifest.to_json(made), encoding="utf-8")
            return made

    def adopt(self, key: Key, folder: Path) -> None:
        with self._writing():
            self._initialise()
            disk.flush_tree(folder)
            self._move_into_place(folder, key)
            self._known_keys().add(key)
            self._verified.add(key)
            disk.remove(self.root / "scratch" / key)
            self._failed(key).unlink(missing_ok=True)

    def record_failure(self, failed: FailedStep) -> None:
        with self._writing():
            self._initialise()
            disk.replace_file(self._failed(failed.key), failed.to_json())

    def discard(self, key: Key) -> None:
        with contextlib.suppress(OSError):
            disk.remove(self.work(key))
        with contextlib.suppress(OSError):
            (self.root / "scratch" / key).rmdir()

    def _failed(self, key: Key) -> Path:
        return self.root / "failed" / f"{key}.json"

    def _move_into_place(self, folder: Path, key: Key) -> None:
        place = self.folder(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        replaced = self.root / "work" / f"{key}.replaced"
        if place.exists():
            replaced.parent.mkdir(exist_ok=True)
            disk.remove(replaced)
            place.rename(replaced)
        folder.rename(place)
        disk.flush(place.parent)
        disk.remove(replaced)

    def _remove_work(self, key: Key) -> None:
        for name in (key, f"{key}.replaced", f"{key}.removed"):
            disk.remove(self.root / "work" / name)

    # --- taking artifacts away -------------------------------------------------------------------

    def quarantine(self, key: Key, fault: str) -> str:
        with self._writing():
            self._initialise()
            folder = self.root / "damaged"
            folder.mkdir(exist_ok=True)
            aside = next(path for n in range(1, 1_000_000) if not (path := folder / f"{key}-{n}").exists())
            self.folder(key).rename(aside)
            self._forget(key)
            (aside / "fault.txt").write_text(fault + "\n", encoding="utf-8")
            return str(aside)

    def remove(self, key: Key) -> None:
        with self._writing():
            doomed = self.root / "work" / f"{key}.removed"
            doomed.parent.mkdir(exist_ok=True)
            disk.remove(doomed)
            self.folder(key).rename(doomed)
            self._forget(key)
            disk.remove(doomed)

    def leftovers(self) -> tuple[Leftover, ...]:
        return tuple(
            Leftover(kind, name.partition("-")[0].partition(".")[0], str(place), disk.size(place))
            for kind in ("work", "scratch", "damaged", "failed")
            for name in sorted(disk.listing(self.root / kind))
            for place in (self.root / kind / name,)
        )

    def delete_leftover(self, leftover: Leftover) -> None:
        with self._writing():
            disk.remove(Path(leftover.place))

    def _traces(self) -> set[Key]:
        names = (name for kind in ("locks", "scratch", "work") for name in disk.listing(self.root / kind))
        return {name.partition(".")[0] for name in names}

    def _delete_traces(self, key: Key) -> None:
        disk.remove(self.root / "scratch" / key)
        self._remove_work(key)

    def _forget(self, key: Key) -> None:
        self._known_keys().discard(key)
        self._verified.discard(key)

    # --- the folder itself -----------------------------------------------------------------------

    def _initialise(self) -> None:
        if not self.exists():
            disk.replace_file(self.root / MARKER, marker_content())

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        return disk.writing(self.root, self._option)


def _check_root(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise StoreError(f"the store {root} is not a folder", "choose another place with --store")
    try:
        check_marker(str(root), (root / MARKER).read_bytes())
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk.cannot_read(root, error) from error
