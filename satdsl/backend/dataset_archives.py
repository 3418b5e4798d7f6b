"""List the archives of the known data sets, where their authors published them, and check files against checksums."""

from __future__ import annotations

import gzip
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from satdsl.backend.dataset_readers import torchvision_dataset
from satdsl.ir.work import StepError

FETCHED = ("CIFAR10", "CIFAR100", "SVHN", "MNIST", "FashionMNIST", "Flowers102", "Caltech256")
"""The data sets that anyone may download."""


@dataclass(frozen=True)
class Archive:
    """A file that can be downloaded from each of `urls`, its place below the folder of data sets, and its MD5."""

    place: str
    urls: tuple[str, ...]
    md5: str


def archives(name: str) -> tuple[Archive, ...]:
    """Return the archives that a data set is downloaded as; none for one that nobody may download."""
    if name not in FETCHED:
        return ()
    described = torchvision_dataset(name)
    match name:
        case "CIFAR10" | "CIFAR100":
            return (Archive(described.filename, (described.url,), described.tgz_md5),)
        case "SVHN":
            lists = (described.split_list[split] for split in ("train", "test"))
            return tuple(Archive(file, (url,), md5) for url, file, md5 in lists)
        case "MNIST" | "FashionMNIST":
            return tuple(
                Archive(f"{name}/raw/{file}", tuple(mirror + file for mirror in described.mirrors), md5)
                for file, md5 in described.resources
            )
        case "Flowers102":
            prefix = described._download_url_prefix
            return tuple(
                Archive(f"flowers-102/{file}", (prefix + file,), md5) for file, md5 in described._file_dict.values()
            )
        case "Caltech256":
            file = "256_ObjectCategories.tar"
            url = f"https://data.caltech.edu/records/nyy15-4j048/files/{file}"
            return (Archive(f"caltech256/{file}", (url,), "67b4f42ca05d46448c6bb8ecd2220f6d"),)
    return ()


def checksums(name: str) -> Iterator[tuple[str, str]]:
    """Give (place below the folder of data sets, MD5) of the files that a data set is read from."""
    if name in ("CIFAR10", "CIFAR100"):
        described = torchvision_dataset(name)
        meta = (described.meta["filename"], described.meta["md5"])
        for file, md5 in (*described.train_list, *described.test_list, meta):
            yield f"{described.base_folder}/{file}", md5
    elif name in ("SVHN", "Flowers102"):
        yield from ((file.place, file.md5) for file in archives(name) if file.place.endswith(".mat"))


def check_files(name: str, root: Path) -> None:
    """Check that the files of a data set are those that its authors published.

    Raises:
        StepError: A file is missing or differs.
    """
    for place, md5 in checksums(name):
        check_md5(root / place, md5, name)
    if name in ("MNIST", "FashionMNIST"):
        for file in archives(name):
            _check_unpacked(root / file.place, file.md5, name)


def check_md5(path: Path, expected: str, name: str) -> None:
    """Check that the file at `path` has this MD5; raise StepError if it does not."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise StepError(f"{path} cannot be read: {error.strerror}", _again(name)) from error
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
