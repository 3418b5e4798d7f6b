"""Read the containers that torch writes: a zip archive since version 1.6, before that pickles one after another."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
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
    parts = {info.filename: info for info in archive.infolist()}
    order = parts.get(f"{root}byteorder")
    if order is not None and _part(path, order).strip() == b"big":
        raise WeightsProblem(
            kinds.CODE, "was written on a machine with another order of bytes", "", "save it on another"
        )

    def storage(key: Any, type: str | None, count: int) -> Storage:
        name = f"{root}data/{key}"
        info = parts.get(name)
        if info is None:
            raise WeightsProblem(kinds.CODE, f"is damaged: its part `{name}` is missing", "", kinds.DOWNLOAD)
        return Storage(type, info.file_size, lambda: _part(path, info))

    found = read_pickle(io.BytesIO(_part(path, parts[f"{root}data.pkl"])), storage)
    return found, any(name.startswith(f"{root}code/") for name in names)


def _part(path: Path, info: zipfile.ZipInfo) -> bytes:
    """Return a part of an archive. Its checksum is compared; torch writes 0 if it was told to write none."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(30)
        if len(header) == 30:
            file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
        data = file.read(info.compress_size)
    try:
        if info.compress_type == zipfile.ZIP_DEFLATED:
            data = zlib.decompress(data, -15)
    except zlib.error:
        data = b""
    if len(data) != info.file_size or (info.CRC and zlib.crc32(data) != info.CRC):
        raise WeightsProblem(
            kinds.CODE, f"is damaged: its part `{info.filename}` is not what was written", "", kinds.DOWNLOAD
        )
    return data


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
