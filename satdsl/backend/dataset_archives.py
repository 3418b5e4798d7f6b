"""List the archives of the known data sets, where their authors published them, and check files against checksums."""

from __future__ import annotations

import gzip
import hashlib
import math
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satdsl.backend.corrupted_images import md5_of
from satdsl.backend.dataset_readers import torchvision_dataset
from satdsl.catalog.datasets.corrupted import corruptions
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError


@dataclass(frozen=True)
class Archive:
    """A file that can be downloaded from each of `urls`, its place below the folder of data sets, and its MD5."""

    place: str
    urls: tuple[str, ...]
    md5: str


@dataclass(frozen=True)
class Publication:
    """How a data set is published, read off torchvision's class of its name.

    `archives` and `checksums` take that class and the name: (place below the folder of data sets, MD5) is a checksum
    of a file that the data are read from. `idx` files are checked by what their archives hold, those of `corrupted`
    images in their folder or in the archive. `parts` has what the class is called with, so that it unpacks everything;
    without parts the archive is unpacked as it is.
    """

    archives: Callable[[Any, str], Iterable[Archive]]
    checksums: Callable[[Any, str], Iterable[tuple[str, str]]] = lambda described, name: ()
    idx: bool = False
    corrupted: bool = False
    parts: tuple[dict[str, Any], ...] = ({"train": True}, {"train": False})


def _cifar_files(described: Any, name: str) -> Iterator[tuple[str, str]]:
    meta = (described.meta["filename"], described.meta["md5"])
    for file, md5 in (*described.train_list, *described.test_list, meta):
        yield f"{described.base_folder}/{file}", md5


def _mnist_archives(described: Any, name: str) -> Iterator[Archive]:
    for file, md5 in described.resources:
        yield Archive(f"{name}/raw/{file}", tuple(mirror + file for mirror in described.mirrors), md5)


def _flowers_archives(described: Any, name: str) -> Iterator[Archive]:
    for file, md5 in described._file_dict.values():
        yield Archive(f"flowers-102/{file}", (described._download_url_prefix + file,), md5)


def _matlab_files(described: Any, name: str) -> Iterator[tuple[str, str]]:
    return ((file.place, file.md5) for file in archives(name) if file.place.endswith(".mat"))


def _corrupted_archives(described: Any, name: str) -> Iterator[Archive]:
    known = corruptions(name)
    yield Archive(known["archive"], (known["url"],), known["md5"])


_CALTECH256 = Archive(
    "caltech256/256_ObjectCategories.tar",
    ("https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",),
    "67b4f42ca05d46448c6bb8ecd2220f6d",
)
_CIFAR = Publication(
    lambda described, name: [Archive(described.filename, (described.url,), described.tgz_md5)], _cifar_files
)
_MNIST = Publication(_mnist_archives, idx=True)
_CIFAR_C = Publication(_corrupted_archives, corrupted=True, parts=())

PUBLICATIONS: Mapping[str, Publication] = {
    "CIFAR10": _CIFAR,
    "CIFAR100": _CIFAR,
    "CIFAR10C": _CIFAR_C,
    "CIFAR100C": _CIFAR_C,
    "SVHN": Publication(
        lambda described, name: [
            Archive(file, (url,), md5) for url, file, md5 in map(described.split_list.get, ("train", "test"))
        ],
        _matlab_files,
        parts=({"split": "train"}, {"split": "test"}),
    ),
    "MNIST": _MNIST,
    "FashionMNIST": _MNIST,
    "Flowers102": Publication(_flowers_archives, _matlab_files, parts=({},)),
    "Caltech256": Publication(lambda described, name: [_CALTECH256], parts=({},)),
}
"""The data sets that anyone may download."""


def archives(name: str) -> tuple[Archive, ...]:
    """Return the archives that a data set is downloaded as; none for one that nobody may download."""
    known = PUBLICATIONS.get(name)
    return tuple(known.archives(torchvision_dataset(name), name)) if known else ()


def checksums(name: str) -> Iterator[tuple[str, str]]:
    """Give (place below the folder of data sets, MD5) of the files that a data set is read from."""
    known = PUBLICATIONS.get(name)
    yield from known.checksums(torchvision_dataset(name), name) if known else ()


def check_files(source: CatalogCall, root: Path) -> None:
    """Check that the files of a data set are those that its authors published.

    Raises:
        StepError: A file is missing or differs.
    """
    name = source.name
    for place, md5 in checksums(name):
        check_md5(root / place, md5, name)
    if name in PUBLICATIONS and PUBLICATIONS[name].idx:
        for file in archives(name):
            _check_unpacked(root / file.place, file.md5, name)
    if name in PUBLICATIONS and PUBLICATIONS[name].corrupted:
        for each in (source["corruption"], "labels"):
            _check_corrupted(root, name, each)


def check_md5(path: Path, expected: str, name: str) -> None:
    """Check that the file at `path` has this MD5; raise StepError if it does not."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise StepError(f"{path} cannot be read: {error.strerror}", _again(name)) from error
    _same_md5(path, found, expected, name)


def _check_corrupted(root: Path, name: str, file: str) -> None:
    """Check a file of CIFAR-10-C or CIFAR-100-C, which may be in the archive."""
    known = corruptions(name)
    place = root / known["folder"] / f"{file}.npy"
    try:
        found = md5_of(root, name, file)
    except (OSError, tarfile.TarError) as error:
        raise StepError(f"{place} cannot be read: {getattr(error, 'strerror', None) or error}", _again(name)) from error
    _same_md5(place, found, known["files"][file], name)


def _same_md5(path: Path, found: str, expected: str, name: str) -> None:
    if found != expected:
        raise StepError(
            f"{path} is not what the authors of {name} published: its MD5 is {found}, it should be {expected}",
            _again(name),
        )


def _check_unpacked(archive: Path, md5: str, name: str) -> None:
    """Check that an IDX file is complete and equals the content of the archive beside it, whose MD5 is published.

    Its header is two zero bytes, a type, the number of sides, and each side as four bytes; then come the values.
    """
    unpacked = archive.with_suffix("")
    try:
        content = unpacked.read_bytes()
    except OSError as error:
        raise StepError(f"{unpacked} cannot be read: {error.strerror}", _again(name)) from error
    sides = [int.from_bytes(content[at : at + 4], "big") for at in range(4, 4 + 4 * (content[3:4] or b"\0")[0], 4)]
    expected = 4 + 4 * len(sides) + math.prod(sides)
    if not sides or len(content) != expected:
        raise StepError(
            f"{unpacked} is damaged: it has {len(content):,} bytes, and its header says {expected:,}", _again(name)
        )
    if archive.exists():
        check_md5(archive, md5, name)
        if content != gzip.decompress(archive.read_bytes()):
            raise StepError(f"{unpacked} is not what {archive.name} beside it holds", _again(name))


def _again(name: str) -> str:
    return f"remove it and fetch {name} again with `satdsl data FILE --download`"
