"""Write and read manifests: what an artifact is, what it was made from, where and with what, and its files' digests."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NotRequired, TypedDict, Unpack

from satdsl.ir.plan import Passes
from satdsl.ir.plugin_packages import packages_of
from satdsl.ir.steps import VERSIONS, Key, Step, canonical, plugins_in
from satdsl.ir.work import Computation

FORMAT = 3
"""The version of the layout of a store. Raise it when an older satdsl could not read a newer store."""

NAME = "manifest.json"

KEY = re.compile(r"[0-9a-f]{64}")
"""What the key of an artifact looks like."""

_PACKAGES = ("satdsl", "torch", "torchvision", "numpy", "pyautoattack", "scikit-learn", "safetensors", "timm")


@dataclass(frozen=True)
class FileRecord:
    """One file of an artifact: its path inside, its size in bytes and its SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is known about one artifact.

    `settings` are complete, for people who read them. The key is made of `key_settings`, which differ from a default.
    `seconds` is the wall time of the run that finished the step; `continued` says that an earlier run had begun it.
    `finished` is the time in UTC, ISO 8601. `process` is the number of the process that made it on `host`. `packages`
    are (name, version) pairs. `computed` says with how many threads and on which processor; None where it is not known.
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
    process: int
    python: str
    packages: tuple[tuple[str, str], ...]
    computed: Computation | None = None
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def identity(self) -> Key:
        """The key that settings, inputs and code version give; equal to `key` in a sound manifest."""
        parts = [self.kind, self.code_version, self.key_settings, dict(self.inputs)]
        return hashlib.sha256(canonical(parts).encode()).hexdigest()


class UnreadableManifest(Exception):
    """A manifest is missing, is not JSON, or lacks something."""


class How(TypedDict):
    """How a step was executed, as the fields of the same names say it in its `Manifest`."""

    seconds: float
    continued: bool
    device: str
    computed: NotRequired[Computation | None]


def describe(step: Step, label: str, folder: Path, **how: Unpack[How]) -> Manifest:
    """Return the manifest of the files that `step` left in `folder`.

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
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        host=os.uname().nodename,
        process=os.getpid(),
        python=platform.python_version(),
        packages=tuple(dict.fromkeys([*package_versions(), *_of_plugins(step)])),
        **how,
    )


def to_json(manifest: Manifest) -> str:
    """Return the text of `manifest.json`."""
    return json.dumps(asdict(manifest) | {"packages": dict(manifest.packages)}, indent=1, allow_nan=False)


def read(folder: Path) -> Manifest:
    """Read the manifest in `folder`. One of a newer format is read as far as this version knows it.

    Raises:
        UnreadableManifest: it is missing or damaged.
    """
    try:
        return parse((folder / NAME).read_bytes())
    except FileNotFoundError:
        raise UnreadableManifest(f"{NAME} is missing") from None


def parse(content: bytes) -> Manifest:
    """Parse the content of a `manifest.json`.

    Raises:
        UnreadableManifest: it is no manifest, or names files outside its artifact.
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
            key_settings=data["key_settings"],
            inputs=dict(data["inputs"]),
            label=data["label"],
            files=files,
            seconds=float(data["seconds"]),
            continued=bool(data["continued"]),
            finished=data["finished"],
            device=data["device"],
            host=data["host"],
            process=data["process"],
            python=data["python"],
            packages=tuple(data["packages"].items()),
            computed=_computation(data.get("computed")),
            format=int(data["format"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableManifest(f"{NAME} cannot be read ({type(error).__name__}: {error})") from None


def _computation(data: Any) -> Computation | None:
    if data is None:
        return None
    passes = data.get("passes")
    made = None if passes is None else Passes(float(passes["forward"]), float(passes["forward_backward"]))
    return Computation(data["threads"], data["limit"], data["processor"], made)


def is_inside(path: str) -> bool:
    """Return whether a path stays within the folder that it is relative to, and is not that of the manifest."""
    parts = path.split("/")
    return path != NAME and not any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_fault(found: Manifest, sizes: Mapping[str, int]) -> str | None:
    """Return what is wrong with an artifact whose files have these sizes by path; None if nothing is."""
    for file in found.files:
        if file.path not in sizes:
            return f"{file.path} is missing"
        if sizes[file.path] != file.size:
            return f"{file.path} has {sizes[file.path]} bytes instead of {file.size}"
    return None


def sizes_in(folder: Path, found: Manifest) -> dict[str, int]:
    """Return the sizes in bytes of those files of an artifact that are in `folder`, by path."""
    sizes = {}
    for file in found.files:
        with contextlib.suppress(OSError):
            sizes[file.path] = (folder / file.path).stat().st_size
    return sizes


def folder_fault(folder: Path, key: Key) -> str | None:
    """Read every byte of the folder of an artifact; return what is wrong with it, None if nothing is."""
    try:
        found = read(folder)
    except UnreadableManifest as error:
        return str(error)
    if found.key != key or found.identity != key:
        return f"{NAME} belongs to another artifact"
    return size_fault(found, sizes_in(folder, found)) or _digest_fault(folder, found)


def _digest_fault(folder: Path, found: Manifest) -> str | None:
    for file in found.files:
        try:
            if digest(folder / file.path) != file.sha256:
                return f"{file.path} has changed (its SHA-256 differs)"
        except OSError as error:
            return f"{file.path} cannot be read ({error.strerror})"
    return None


@functools.cache
def package_versions() -> tuple[tuple[str, str], ...]:
    """Return the installed versions of what can change a result, read without importing any of it."""
    return tuple((name, version) for name in _PACKAGES if (version := _version(name)) is not None)


def _of_plugins(step: Step) -> Iterator[tuple[str, str]]:
    """Give the installed versions of what the step's plug-ins import, which their code does not tell."""
    imported = sorted({name for code in plugins_in(step.settings) for name in packages_of(code)})
    for name in imported:
        version = _version(name) or next(filter(None, map(_version, _packages_by_module().get(name, ()))), None)
        if version is not None:
            yield name, version


@functools.cache
def _packages_by_module() -> Mapping[str, list[str]]:
    from importlib import metadata

    return metadata.packages_distributions()


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
