"""A manifest: what an artifact is, what it was made from, where and with what; its files' digests."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from satdsl.ir.steps import VERSIONS, Key, Step, canonical

FORMAT = 3
"""The version of the store's layout. Raise it when an older satdsl could not read a newer store."""

NAME = "manifest.json"

_PACKAGES = ("satdsl", "torch", "torchvision", "numpy", "pyautoattack", "scikit-learn", "safetensors", "timm")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileRecord:
    """One file of an artifact: its path inside, its size in bytes and its SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is known about one artifact.

    `settings` are complete, for whoever reads them; `key_settings`, which the key is made of, are those of them that
    differ from a default (all of them up to format 2).
    `seconds` is the wall time of the attempt that finished; `continued` says that an earlier one had begun
    it. `finished` is the time in UTC, ISO 8601. `packages` are (name, version) pairs. `process` is the
    number that the maker's process had on `host`; manifests of satdsl 0.1.0 do not tell it.
    """

    key: Key
    kind: str
    code_version: int
    settings: Any
    key_settings: Any
    inputs: Mapping[str, Key]
    label: str
    files: tuple[FileRecord, ...]
    seconds: float
    continued: bool
    finished: str
    device: str
    host: str
    python: str
    packages: tuple[tuple[str, str], ...]
    format: int = FORMAT
    process: int | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def identity(self) -> Key:
        """The key that a manifest's own words amount to; equal to `key` in a sound manifest."""
        parts = [self.kind, self.code_version, self.key_settings, dict(self.inputs)]
        return hashlib.sha256(canonical(parts).encode()).hexdigest()


class UnreadableManifest(Exception):
    """A manifest is missing, is not JSON, or lacks something."""


def describe(step: Step, label: str, folder: Path, *, seconds: float, continued: bool, device: str) -> Manifest:
    """The manifest of the files in `folder`, which `step` left there.

    Raises:
        ValueError: something there is not a plain file, or is called like the manifest itself.
    """
    return Manifest(
        key=step.key,
        kind=step.kind,
        code_version=VERSIONS[step.kind],
        settings=step.settings_document,
        key_settings=step.key_settings,
        inputs=dict(step.inputs),
        label=label,
        files=tuple(_record(folder, path) for path in sorted(_files(folder))),
        seconds=seconds,
        continued=continued,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        device=device,
        host=os.uname().nodename,
        python=platform.python_version(),
        packages=package_versions(),
        process=os.getpid(),
    )


def to_json(manifest: Manifest) -> str:
    """The text of `manifest.json`."""
    return json.dumps(asdict(manifest) | {"packages": dict(manifest.packages)}, indent=1, allow_nan=False)


def read(folder: Path) -> Manifest:
    """The manifest in `folder`; one of a newer format has what this version knows of it.

    Raises:
        UnreadableManifest: it is missing or damaged.
    """
    try:
        return parse((folder / NAME).read_bytes())
    except FileNotFoundError:
        raise UnreadableManifest(f"{NAME} is missing") from None


def parse(content: bytes) -> Manifest:
    """The manifest that these bytes are.

    Raises:
        UnreadableManifest: they are none, or it names files outside its artifact.
    """
    try:
        data = json.loads(content)
        files = tuple(FileRecord(f["path"], int(f["size"]), f["sha256"]) for f in data["files"])
        if strange := next((file.path for file in files if not is_inside(file.path)), None):
            raise UnreadableManifest(f"{NAME} names a file outside the artifact: {strange}")
        return Manifest(
            key=data["key"],
            kind=data["kind"],
            code_version=data["code_version"],
            settings=data["settings"],
            key_settings=data.get("key_settings", data["settings"]),
            inputs=dict(data["inputs"]),
            label=data["label"],
            files=files,
            seconds=float(data["seconds"]),
            continued=bool(data["continued"]),
            finished=data["finished"],
            device=data["device"],
            host=data["host"],
            python=data["python"],
            packages=tuple(data["packages"].items()),
            format=int(data["format"]),
            process=data.get("process"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableManifest(f"{NAME} cannot be read ({type(error).__name__}: {error})") from None


def is_inside(path: str) -> bool:
    """Whether a path stays within the folder that it is taken from, and is not that of a manifest."""
    parts = path.split("/")
    return path != NAME and not any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()


@functools.cache
def package_versions() -> tuple[tuple[str, str], ...]:
    """The installed versions of what can change a result, read without importing any of it."""
    return tuple((name, version) for name in _PACKAGES if (version := _version(name)) is not None)


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _files(folder: Path) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(f"{path.relative_to(folder)} is not a plain file")
        if path == folder / NAME:
            raise ValueError(f"a step may not leave a file called {NAME}")
        if path.is_file():
            found.append(path)
    return found


def _record(folder: Path, path: Path) -> FileRecord:
    return FileRecord(path.relative_to(folder).as_posix(), path.stat().st_size, digest(path))
