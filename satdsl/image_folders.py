"""List the images of a data set that is a folder with `train/` and `val/`, each with one folder per class.

This is the only place that lists: the key, the checker and the reader all see what it finds. Links are followed, and
count as what they lead to. What editors, archives and file servers leave lying about is no class and no image. Nothing
is opened: what the files hold is asked in `satdsl.folder_contents`.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from satdsl.sources import KINDS

PARTS = ("train", "val")

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The endings of the files that count as images, in small letters: those that torchvision's `ImageFolder` reads."""

OTHER_IMAGES = frozenset(
    f".{ending}"
    for endings in (
        "gif avif heic heif jfif jpe jp2 j2k jpx jxl apng svg ico psd exr hdr tga dds pcx pbm pnm pam",
        "dcm nii mha cr2 cr3 nef arw dng orf rw2 raw mp4 avi mov mkv webm mpg",
        "npy npz pt pth pkl mat h5 hdf5 lmdb tfrecord parquet",
    )
    for ending in endings.split()
)
"""Endings of files that hold images, too, but are not read."""

ARCHIVES = (
    ".zip",
    ".tar",
    ".tgz",
    ".tar.gz",
    ".tbz2",
    ".tar.bz2",
    ".txz",
    ".tar.xz",
    ".gz",
    ".bz2",
    ".xz",
    ".7z",
    ".rar",
)

NOTES = frozenset(
    f".{ending}"
    for ending in ["txt", "md", "csv", "tsv", "json", "xml", "yaml", "yml", "log", "html", "pdf", "py", "sh", "ipynb"]
)
"""Endings of files that are no images, and that many people keep beside them."""

LEFT_LYING = frozenset(("__macosx", "@eadir", "#recycle", "#snapshot", "lost+found", "$recycle.bin", "__pycache__",
                        "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))  # fmt: skip
"""Names, in small letters, of what is no part of a data set. So is every name that begins with a dot."""

MOST_AGAIN = 32
"""A folder that links lead to more often than this, within one class, is not followed further."""


class ImageFile(NamedTuple):
    """A file that counts as an image: its path below the data set's folder, and what tells whether it has changed."""

    name: str
    inode: int
    size: int
    modified: int
    changed: int

    @property
    def identity(self) -> tuple[int, int, int, int]:
        """Return inode, size in bytes, and the times of the last change of content and of anything, in nanoseconds."""
        return self[1:]


@dataclass(frozen=True)
class ClassFolder:
    """One class in one part: its name, in Unicode's composed form (NFC), its folder's, and its images in order."""

    name: str
    folder: str
    images: tuple[ImageFile, ...]
    others: Counter[str]
    """How many other files there are, by their ending."""


@dataclass
class Oddities:
    """What is not as it should be in a part, or is left out: paths below the data set's folder, as they are spelled."""

    circles: list[tuple[str, str]] = field(default_factory=list)
    """Links, and the folders around them that they lead back to."""
    broken: list[str] = field(default_factory=list)
    """Links that lead nowhere."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Folders and links that cannot be read, with the reason."""
    two_classes: list[tuple[str, str]] = field(default_factory=list)
    """Folders that are one and the same, in two classes."""
    again: list[tuple[str, str]] = field(default_factory=list)
    """Folders that are one and the same, in one class."""
    hidden: list[str] = field(default_factory=list)
    """Folders and images that are left out because of their names."""
    beside: list[str] = field(default_factory=list)
    """Images that are in no class folder."""
    packed: list[str] = field(default_factory=list)
    """Archives in the place of class folders."""
    special: list[tuple[str, str]] = field(default_factory=list)
    """What is named like an image but is no file, and what it is."""
    not_read: list[str] = field(default_factory=list)
    """Files that hold images, or may, in a format that is not read."""


@dataclass(frozen=True)
class Part:
    """What lies in `train/` or `val/`."""

    name: str
    classes: tuple[ClassFolder, ...]
    odd: Oddities

    def images(self) -> Iterator[tuple[int, ImageFile]]:
        """Give (position of the class in this part, image), in the order of the data set."""
        for k, klass in enumerate(self.classes):
            for image in klass.images:
                yield k, image


@dataclass(frozen=True)
class Listing:
    """All that a folder has. A part that is no folder, or cannot be read, is None."""

    folder: Path
    parts: dict[str, Part | None]

    @property
    def complete(self) -> bool:
        return None not in self.parts.values()

    def images(self) -> Iterator[ImageFile]:
        """Give the images of both parts, in the order of the data set."""
        for part in self.parts.values():
            if part is not None:
                yield from (image for klass in part.classes for image in klass.images)

    @property
    def odd(self) -> dict[str, Oddities]:
        return {name: part.odd for name, part in self.parts.items() if part is not None}


def listing(folder: Path) -> Listing:
    """List a data set's folder. What is odd in it is said in the result; no error is raised."""
    return Listing(folder, {part: _part(folder, part) for part in PARTS})


def images_below(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> ClassFolder:
    """List the images of one class, whose folder this is; their names start from that folder.

    Raises:
        OSError: A folder or link in it cannot be followed or read, or leads in a circle.
    """
    walk = _Walk(str(folder), suffixes)
    found = walk.klass(folder.name, "", str(folder), _Around((), (os.path.realpath(folder),)))
    for name, reason in walk.odd.unreadable:
        raise OSError(0, reason, str(folder / name))
    for name in walk.odd.broken:
        raise OSError(0, "it is a link that leads nowhere", str(folder / name))
    for name, target in walk.odd.circles:
        raise OSError(0, f"it is a link that leads back to `{target or folder}`", str(folder / name))
    return found


def class_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, links to folders among them, by name; not what is left lying about.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if not left_lying(entry.name) and entry.is_dir())


def left_lying(name: str) -> bool:
    """Return whether a name is that of something that is no part of a data set."""
    return name.startswith(".") or name.lower() in LEFT_LYING


def is_image(name: str) -> bool:
    """Return whether a name ends like that of an image."""
    return name.lower().endswith(SUFFIXES)


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC): macOS may spell `é` as two characters, other systems as one."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def is_text(name: str) -> bool:
    """Return whether a name can be written in a specification: it is UTF-8 without control characters."""
    return name.isprintable() and not any("\ud800" <= letter <= "\udfff" for letter in name)


def shown(name: str | os.PathLike[str]) -> str:
    r"""Return a file's name so that it can be printed: bytes that are not UTF-8 as `\xff`, line ends as `\n`."""
    text = os.fspath(name)
    if is_text(text):
        return text
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


# --- the walk -------------------------------------------------------------------------------------


class _Around(NamedTuple):
    """The folders around a place: (device, inode) of those on the way to it, and the real paths that it lies in."""

    way: tuple[tuple[tuple[int, int], str], ...]
    real: tuple[str, ...]


def _part(folder: Path, name: str) -> Part | None:
    place = os.path.join(folder, name)
    walk = _Walk(str(folder), SUFFIXES)
    try:
        with os.scandir(place) as found:
            entries = sorted(found, key=_by_name)
        own = os.stat(place)
    except (OSError, ValueError):  # a name with a null byte is a ValueError
        return None
    around = _Around((((own.st_dev, own.st_ino), name),), (os.path.realpath(place),))
    classes = []
    for entry in entries:
        relative = f"{name}/{entry.name}"
        what = walk.kind(entry, relative)
        if left_lying(entry.name):
            if what == "folder" or (what == "file" and is_image(entry.name)):
                walk.odd.hidden.append(relative)
        elif what == "folder":
            inside = walk.entered(entry, relative, entry.name, around)
            if inside is not None:
                classes.append(walk.klass(entry.name, relative, entry.path, inside))
        elif what == "file" and is_image(entry.name):
            walk.odd.beside.append(relative)
        elif what == "file" and entry.name.lower().endswith(ARCHIVES):
            walk.odd.packed.append(relative)
        elif what == "file" and ending(entry.name) in OTHER_IMAGES:
            walk.odd.not_read.append(relative)
    return Part(name, tuple(classes), walk.odd)


class _Walk:
    """Lists the classes of one part. The names that it gives start from `base`."""

    def __init__(self, base: str, suffixes: tuple[str, ...]) -> None:
        self.base = base
        self.suffixes = suffixes
        self.odd = Oddities()
        self._seen: dict[tuple[int, int], tuple[str, str, int]] = {}
        """Each real folder: the class and the path by which it was reached first, and how often it was."""

    def klass(self, name: str, relative: str, place: str, around: _Around) -> ClassFolder:
        """List a class folder, which is at `place`, with all folders in it."""
        folders: list[tuple[str, str, list[ImageFile]]] = []
        others: Counter[str] = Counter()
        waiting = [(relative, place, around)]
        while waiting:
            relative_here, here, around_here = waiting.pop()
            images: list[ImageFile] = []
            inside = []
            try:
                with os.scandir(here) as found:
                    entries = sorted(found, key=_by_name)
                for entry in entries:
                    path = f"{relative_here}/{entry.name}" if relative_here else entry.name
                    if self._visit(entry, path, images, others):
                        inside.append((entry, path))
            except OSError as error:
                self.odd.unreadable.append((relative_here, error.strerror or str(error)))
            folders.append((composed(relative_here), relative_here, images))
            # Links come last, so that a folder that is reached twice has its own path first.
            for entry, path in sorted(inside, key=lambda one: one[0].is_symlink()):
                around_it = self.entered(entry, path, name, around_here)
                if around_it is not None:
                    waiting.append((path, entry.path, around_it))
        folders.sort(key=lambda folder: folder[:2])
        return ClassFolder(composed(name), name, tuple(image for _, _, here in folders for image in here), others)

    def _visit(self, entry: os.DirEntry[str], path: str, images: list[ImageFile], others: Counter[str]) -> bool:
        """Take note of what a class folder holds; return whether it is a folder to be listed, too."""
        name = entry.name
        what = self.kind(entry, path)
        image = name.lower().endswith(self.suffixes)
        if left_lying(name):
            if what == "folder" or (what == "file" and image):
                self.odd.hidden.append(path)
        elif what == "file" and image:
            found = entry.stat()
            images.append(ImageFile(path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
        elif what == "file":
            others[ending(name)] += 1
            if ending(name) in OTHER_IMAGES or name.lower().endswith(ARCHIVES):
                self.odd.not_read.append(path)
        elif what == "folder":
            return True
        elif what and image:
            self.odd.special.append((path, what))
        return False

    def kind(self, entry: os.DirEntry[str], path: str) -> str:
        """Return `folder`, `file`, or what else it is; nothing for a link that leads nowhere, which is noted."""
        try:
            if entry.is_dir():
                return "folder"
            if entry.is_file():
                return "file"
            found = entry.stat()
        except (FileNotFoundError, NotADirectoryError):
            if _matters(entry.name):
                self.odd.broken.append(path)
            return ""
        except OSError as error:
            if error.errno == errno.ELOOP:
                self.odd.circles.append((path, path))
            elif _matters(entry.name):
                self.odd.unreadable.append((path, error.strerror or str(error)))
            return ""
        return KINDS.get(stat.S_IFMT(found.st_mode), "no file")

    def entered(self, entry: os.DirEntry[str], path: str, klass: str, around: _Around) -> _Around | None:
        """Return what is around the entries of a folder; None where it is not to be listed, which is noted."""
        try:
            found = os.stat(entry.path)
        except OSError as error:
            self.odd.unreadable.append((path, error.strerror or str(error)))
            return None
        me, real = (found.st_dev, found.st_ino), around.real
        if me in dict(around.way):
            self.odd.circles.append((path, dict(around.way)[me]))
            return None
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if any(_lies_in(place, target) for place in real):
                self.odd.circles.append((path, self._spelled(target)))
                return None
            real = (*real, target)
        else:
            real = (*real[:-1], os.path.join(real[-1], entry.name))
        first, earlier, times = self._seen.setdefault(me, (klass, path, 0))
        if times and first != klass:
            self.odd.two_classes.append((earlier, path))
            return None
        if times:
            self.odd.again.append((earlier, path))
            if times > MOST_AGAIN:
                return None
        self._seen[me] = first, earlier, times + 1
        return _Around((*around.way, (me, path)), real)

    def _spelled(self, target: str) -> str:
        """Return a real path as it starts from the data set's folder, where it lies in that."""
        base = os.path.realpath(self.base)
        return os.path.relpath(target, base) if _lies_in(target, base) and target != base else target


def ending(name: str) -> str:
    """Return the ending of a file's name, in small letters; nothing where it has none."""
    return os.path.splitext(name)[1].lower()


def _by_name(entry: os.DirEntry[str]) -> tuple[str, str]:
    return composed(entry.name), entry.name


def _matters(name: str) -> bool:
    """Return whether a link that cannot be followed may have led to images: to a file or to a folder of them."""
    return not left_lying(name) and ending(name) not in NOTES


def _lies_in(place: str, folder: str) -> bool:
    """Return whether a real path is that folder or lies in it."""
    return place == folder or place.startswith(folder.rstrip(os.sep) + os.sep)
