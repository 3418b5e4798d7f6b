"""Read the text of a specification from its file, and find the files that it names."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from satdsl.errors import RequestError

BIGGEST_FILE = 10_000_000
"""Most characters that are read; a specification has a page or two."""


KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What can stand in the place of a file."""


class UnreadableFile(RequestError):
    """A specification whose file cannot be read, with its path and the reason."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} cannot be read: {why}")
        self.path, self.why = path, why


def text_of(path: Path) -> str:
    """Return a specification's text; raise `UnreadableFile` where there is none."""
    try:
        return decoded(path, path.read_bytes())
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from None


def decoded(path: Path, content: bytes) -> str:
    """Return the text of a file whose bytes are known; raise `UnreadableFile` where they are no text."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(path, f"byte {error.start} is not UTF-8 text") from None
    if len(text) > BIGGEST_FILE or "\0" in text:
        raise UnreadableFile(path, "it is too large or binary, so it is no specification")
    return text


def opened(place: str | os.PathLike[str]) -> BufferedReader:
    """Open a file to read its bytes.

    Raises:
        OSError: It cannot be read, or is no file. A pipe or a device is not waited for.
    """
    descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind != stat.S_IFREG:
            raise OSError(errno.EINVAL, f"it is {KINDS.get(kind, 'no file')}", os.fspath(place))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def resolve_path(base: Path, path: str) -> str:
    """Return the path of a file that a specification in the folder `base` names."""
    return os.path.normpath(base / path)
