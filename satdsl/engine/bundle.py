"""Export artifacts to one file, and import them into any store.

The file is a plain tar archive. `satdsl-artifacts.json` comes first and lists the digests of the manifests by key; then
come the artifacts in the order of their keys, each manifest before its files. The same artifacts give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from satdsl.engine import disk, manifest
from satdsl.engine.errors import Damaged, StoreError
from satdsl.engine.manifest import KEY, UnreadableManifest, folder_fault
from satdsl.engine.store import Store
from satdsl.errors import UserError
from satdsl.ir.steps import Key

FORMAT = 1
_INDEX = "satdsl-artifacts.json"
_MEMBER = re.compile(r"artifacts/([0-9a-f]{64})/(.+)")
_LARGEST_INDEX = 1 << 28


@dataclass(frozen=True)
class Imported:
    """How many artifacts of an imported file are new in the store, and how many were there before."""

    new: int
    there: int


def write(store: Store, keys: Collection[Key], file: Path) -> int:
    """Write these artifacts to `file` and check every byte; return its size. It appears when all of it is written.

    Raises:
        UserError: an artifact is damaged, or the file cannot be written.
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with tarfile.open(aside, "w", format=tarfile.PAX_FORMAT) as archive:
            folders = {key: _sound(store, key) for key in sorted(keys)}
            _add(archive, _INDEX, _index(folders))
            for key, folder in folders.items():
                for name in (manifest.NAME, *(record.path for record in manifest.read(folder).files)):
                    with (folder / name).open("rb") as content:
                        _add_file(archive, f"artifacts/{key}/{name}", content, (folder / name).stat().st_size)
        disk.flush(aside)
        os.replace(aside, file)
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror or error})", "choose another with -o") from error
    finally:
        aside.unlink(missing_ok=True)
    return file.stat().st_size


def read(file: Path, store: Store) -> Imported:
    """Import the artifacts of a file. All are checked, byte for byte, before the first becomes visible in the store.

    Raises:
        UserError: the file is damaged, holds what it should not, or was written by a newer version of satdsl.
        StoreError: the store cannot take them.
    """
    try:
        content = file.open("rb")
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error
    # They wait in the work folder of a made-up step, so that garbage collection finds what a kill leaves of them.
    waiting = hashlib.sha256(f"import {os.fspath(file.resolve())}".encode()).hexdigest()
    with content, _opened(file, content) as archive:
        lock = store.lock(waiting)
        if lock is None:
            raise UserError(f"{file} is being imported by {store.owner(waiting)}")
        with lock:
            try:
                return _adopt_all(store, _unpacked(file, archive, store.begin(waiting)))
            except (tarfile.TarError, EOFError) as error:
                raise UserError(f"{file} is damaged ({error})", "nothing was imported") from None
            except OSError as error:
                raise disk.cannot_write(Path(store.url), error) from error
            finally:
                store.discard(waiting)


def _sound(store: Store, key: Key) -> Path:
    try:
        return store.fetch(key)
    except Damaged as damaged:
        raise UserError(str(damaged), "`satdsl run` makes it again") from None


def _index(folders: dict[Key, Path]) -> bytes:
    digests = {key: manifest.digest(folder / manifest.NAME) for key, folder in folders.items()}
    return json.dumps({"format": FORMAT, "artifacts": digests}, indent=1).encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    _add_file(archive, name, io.BytesIO(content), len(content))


def _add_file(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    """Add a member that says nothing about who wrote it and when."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    archive.addfile(member, content)


def _opened(file: Path, content: IO[bytes]) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=content, mode="r:")
    except tarfile.TarError as error:
        raise UserError(f"{file} is no file of `satdsl store export` ({error})") from None


def _unpacked(file: Path, archive: tarfile.TarFile, folder: Path) -> dict[Key, Path]:
    """Unpack the artifacts of the archive as folders below `folder`, and check each."""
    members = _members(file, archive)
    digests = _read_index(file, archive, next(members, None))
    seen: set[str] = set()
    for member in members:
        name = _MEMBER.fullmatch(member.name)
        if name is None or name[1] not in digests or not _is_plain(name[2]):
            raise UserError(f"{file} holds what is no artifact's: {member.name}", "nothing was imported")
        if member.name in seen:
            raise UserError(f"{file} holds {member.name} twice", "nothing was imported")
        seen.add(member.name)
        _extract(archive, member, folder / name[1] / name[2])
    return {key: _checked(file, folder / key, key, digest) for key, digest in digests.items()}


def _members(file: Path, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        if not member.isreg() or member.issparse():
            raise UserError(f"{file}: {member.name} is not a plain file", "nothing was imported")
        yield member


def _read_index(file: Path, archive: tarfile.TarFile, member: tarfile.TarInfo | None) -> dict[Key, str]:
    if member is None or member.name != _INDEX or member.size > _LARGEST_INDEX:
        raise UserError(f"{file} is no file of `satdsl store export`: {_INDEX} does not come first")
    try:
        found: Any = json.loads(_content(archive, member).read())
        version, digests = int(found["format"]), {str(k): str(v) for k, v in found["artifacts"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: {_INDEX} cannot be read ({error})") from None
    if not all(map(KEY.fullmatch, digests)):
        raise UserError(f"{file}: {_INDEX} names what is no key")
    if version > FORMAT:
        raise UserError(f"{file} was written by a newer satdsl (format {version})", "update satdsl")
    return digests


def _is_plain(path: str) -> bool:
    return path == manifest.NAME or manifest.is_inside(path)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    assert content is not None
    return content


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    with _content(archive, member) as content, to.open("xb") as file:
        left = member.size
        while left and (chunk := content.read(min(left, 1 << 20))):
            file.write(chunk)
            left -= len(chunk)


def _checked(file: Path, folder: Path, key: Key, digest: str) -> Path:
    """Return the folder if it is exactly what index and manifest say."""
    try:
        found = manifest.read(folder)
        fault = folder_fault(folder, key)
    except UnreadableManifest as error:
        raise UserError(f"{file}: artifact {key[:12]}: {error}", "nothing was imported") from None
    if fault is None and manifest.digest(folder / manifest.NAME) != digest:
        fault = f"{manifest.NAME} has changed (its SHA-256 differs)"
    if fault is None and found.format > manifest.FORMAT:
        raise UserError(f"{file}: artifact {key[:12]} was made by a newer satdsl", "update satdsl")
    named = {manifest.NAME, *(record.path for record in found.files)}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if fault is None and there != named:
        fault = f"{min(there - named)} is not in its manifest"
    if fault is not None:
        raise UserError(f"{file}: artifact {key[:12]}: {fault}", "nothing was imported")
    return folder


def _adopt_all(store: Store, folders: dict[Key, Path]) -> Imported:
    new = 0
    for key, folder in folders.items():
        lock = store.lock(key)
        if lock is None:
            reason = f"{store.owner(key)} runs step {key[:12]} at this moment"
            raise StoreError(reason, "import again when it is done; what was imported is kept")
        with lock:
            if not store.recheck(key) or store.check_sizes(key) is not None:
                store.adopt(key, folder)
                new += 1
    return Imported(new, len(folders) - new)
