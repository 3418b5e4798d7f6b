"""Read the containers that torch writes: a zip archive since version 1.6, before that pickles one after another."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from satdsl.weight_files import kinds
from satdsl.weight_files.pickles import read_pickle
from satdsl.weight_files.problem import WeightsProblem
from satdsl.weight_files.tensors import SIZES, Storage

LEGACY = 0x1950A86A20F9469CFC6C
"""The number that the first pickle of a file before version 1.6 holds."""

TRUNCATED = "the download or the copy was broken off"


def read_zip(path: Path) -> tuple[Any, bool]:
    """Return what an archive holds, and whether it is TorchScript."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(path, archive)
    except zipfile.BadZipFile as error:
        size = path.stat().st_size
        raise WeightsProblem(
            kinds.CODE,
            f"is truncated: it begins as a file of torch, and ends after {size:,} bytes",
            TRUNCATED,
            kinds.DOWNLOAD,
        ) from error


def _read_archive(path: Path, archive: zipfile.ZipFile) -> tuple[Any, bool]:
    names = archive.namelist()
    roots = [name.removesuffix("data.pkl") for name in names if name.endswith("data.pkl") and name.count("/") <= 1]
    if not roots:
        kinds.refuse_other_archive(archive)
    root = roots[0]
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder").strip() == b"big":
        raise WeightsProblem(
            kinds.CODE, "was written on a machine with another order of bytes", "", "save it on another"
        )
    parts = {info.filename: info for info in archive.infolist()}

    def storage(key: Any, type: str | None, count: int) -> Storage:
        name = f"{root}data/{key}"
        info = parts.get(name)
        if info is None:
            raise WeightsProblem(kinds.CODE, f"is damaged: its part `{name}` is missing", "", kinds.DOWNLOAD)
        return Storage(type, info.file_size, lambda: _read_part(path, name))

    found = read_pickle(io.BytesIO(_checked(archive, f"{root}data.pkl")), storage)
    return found, any(name.startswith(f"{root}code/") for name in names)


def _read_part(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return _checked(archive, name)


def _checked(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise WeightsProblem(
            kinds.CODE, f"is damaged: its part `{name}` cannot be read", str(error), kinds.DOWNLOAD
        ) from error


def read_pickles(path: Path) -> Any:
    """Return what a file of pickles holds."""
    with path.open("rb") as file:
        return _read_pickles(file, path.stat().st_size, lambda: path.open("rb"))


def read_bytes(data: bytes) -> Any:
    """Return what a whole file of torch holds that is inside of another pickle: a storage, or a tensor."""
    return _read_pickles(io.BytesIO(data), len(data), lambda: io.BytesIO(data))


def _read_pickles(file: BinaryIO, size: int, again: Any) -> Any:
    first = read_pickle(file, inner=read_bytes)
    if first != LEGACY:
        return first
    read_pickle(file)  # the version of the protocol
    system = read_pickle(file)
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise WeightsProblem(
            kinds.CODE, "was written on a machine with another order of bytes", "", "save it on another"
        )
    places: dict[Any, int] = {}

    def storage(key: Any, type: str | None, count: int) -> Storage:
        length = count * SIZES[type or "uint8"]

        def read() -> bytes:
            with again() as whole:
                whole.seek(places[key])
                data: bytes = whole.read(length)
            return data

        made[key] = Storage(type, length, read)
        return made[key]

    made: dict[Any, Storage] = {}
    found = read_pickle(file, storage, read_bytes)
    keys = read_pickle(file)
    place = file.tell()
    for key in keys if isinstance(keys, list) else ():
        if key not in made:
            raise WeightsProblem(kinds.CODE, "is damaged: it has numbers of no tensor", "", kinds.DOWNLOAD)
        places[key] = place + 8
        place += 8 + made[key].length
    if made.keys() - places.keys() or place > size:
        missing = f"{place - size:,} bytes are missing at its end" if place > size else "its end is missing"
        raise WeightsProblem(kinds.CODE, f"is truncated: {missing}", TRUNCATED, kinds.DOWNLOAD)
    return found
