"""Work on folders of a disk: flush them, remove them, replace files, and tell the user when the disk refuses."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from satdsl.engine.errors import StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def cannot_write(root: Path, error: OSError, option: str = "--store") -> StoreError:
    """Return the error for the user when the file system of a store refuses a write. `option` chooses another one."""
    kept = "everything finished so far is kept"
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return StoreError(
            f"the disk of the store {root} is full ({reason})",
            f"make room or choose another place with {option}; {kept}",
        )
    if error.errno in _REFUSED:
        return StoreError(
            f"the store {root} cannot be written ({reason}: {error.filename or root})",
            f"check the folder's permissions or choose another place with {option}; {kept}",
        )
    return StoreError(f"the store {root} does not work ({reason}: {error.filename or root})", kept)


@contextlib.contextmanager
def writing(root: Path, option: str = "--store") -> Iterator[None]:
    """Turn every OSError of the block into what `cannot_write` says."""
    try:
        yield
    except OSError as error:
        raise cannot_write(root, error, option) from error


def cannot_read(place: Path, error: OSError) -> StoreError:
    """Return the error for the user when a folder or file of the store may not be read."""
    return StoreError(
        f"the store cannot be read ({error.strerror or error}: {error.filename or place})",
        "check the permissions there, or choose another place with --store",
    )


def is_full(error: BaseException) -> bool:
    """Return whether `error` means that a disk is full, even if a library wrapped it in an error of its own."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return os.strerror(errno.ENOSPC).lower() in str(error).lower()


def listing(folder: Path) -> list[str]:
    """Return the names in a folder; none where there is no folder.

    Raises:
        StoreError: it may not be read.
    """
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise cannot_read(folder, error) from error


def size(place: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    return sum(path.lstat().st_size for path in (place, *place.rglob("*")) if not path.is_dir())


def remove(place: Path) -> None:
    """Delete a file, or a folder with all that is in it, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        if place.is_file():
            place.unlink()
        else:
            shutil.rmtree(place)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old content or the new one, never a part. Its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    aside.write_bytes(content)
    aside.replace(path)


def flush_tree(folder: Path) -> None:
    """Make every file and folder in `folder` reach the disk."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            flush(Path(place, name))
        flush(Path(place))


def flush(path: Path) -> None:
    """Make the content of a file, or the list of names in a folder, reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder; its files are flushed all the same.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
