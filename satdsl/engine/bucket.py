"""Read and write objects by name in a place that fsspec reaches; every failure becomes a StoreError that names it."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import posixpath
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from satdsl.engine.errors import StoreError

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""The extra of satdsl that installs what a protocol needs."""

_S3 = {"s3", "s3a"}

_OBJECTS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"}
"""Protocols without folders. They show an object only when all of it is written."""

_MEMORY = threading.RLock()
"""Held for each access to fsspec's memory, where the readers of an object share one position, and a conditional write
is two calls."""


class Bucket:
    """The objects below `url`. Their names are relative to it, with `/` between the parts.

    Raises:
        StoreError: no installed package can reach it, or the address holds a password.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.protocol = url.partition("://")[0]
        _refuse_secrets(url)
        self._files, self._root = _connected(url, self.protocol)
        # s3fs asks for the size of an object before it reads it, in order to read large ones in parts. These are small.
        sized = self.protocol in _S3 and "max_concurrency" in inspect.signature(self._files._cat_file).parameters
        self._reading = {"max_concurrency": 1} if sized else {}

    def read(self, name: str) -> bytes | None:
        """Return the bytes of an object; None if there is no such object."""
        with self._asking():
            try:
                return bytes(self._files.cat_file(self._path(name), **self._reading))
            except FileNotFoundError:
                return None

    def read_all(self, names: Collection[str]) -> dict[str, bytes]:
        """Return the bytes of those of these objects that are there, all fetched at once."""
        paths = {self._path(name): name for name in names}
        if not paths:
            return {}
        with self._asking():
            found: Mapping[str, Any] = self._files.cat(list(paths), on_error="return")
        content = {paths[path]: value for path, value in found.items()}
        for value in content.values():
            if isinstance(value, Exception) and not isinstance(value, FileNotFoundError):
                with self._asking():
                    raise value
        return {name: bytes(value) for name, value in content.items() if not isinstance(value, Exception)}

    def write(self, name: str, content: bytes) -> None:
        """Write an object. Others see the old one or the new one, never a part."""
        with self._asking(), self._into(name) as path:
            self._files.pipe_file(path, content)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object if there is none; return False if there is one. If several processes try, one succeeds.

        Where this is no object store (WebDAV, SFTP), two may both believe that they have; `Leases` looks again.
        """
        with self._asking():
            self._make_folder(name)
            try:
                self._files.pipe_file(self._path(name), content, mode="create")
            except FileExistsError:
                return False
            except FileNotFoundError as error:
                raise self._absent(error) from error
            return True

    def upload(self, file: Path, name: str) -> None:
        """Write the content of a file as an object, as `write` does."""
        with self._asking(), self._into(name) as path:
            self._files.put_file(str(file), path)

    def download(self, name: str, file: Path) -> None:
        """Write an object to a file.

        Raises:
            FileNotFoundError: there is no such object.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._asking():
            self._files.get_file(self._path(name), str(file))

    def move(self, name: str, to: str) -> None:
        """Give an object another name, if it is there."""
        with self._asking(), contextlib.suppress(FileNotFoundError):
            self._make_folder(to)
            self._files.cp_file(self._path(name), self._path(to))
            self._files.rm_file(self._path(name))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes in bytes of all objects below a folder, by their names relative to it."""
        root = self._path(folder)
        with self._asking():
            self._files.invalidate_cache()
            try:
                found = self._found(folder, root)
            except FileNotFoundError:
                return {}
        named = {posixpath.relpath(path, root): int(info["size"] or 0) for path, info in found.items()}
        return {name: size for name, size in named.items() if name != "."}

    def _found(self, folder: str, root: str) -> dict[str, Any]:
        if folder and self.protocol in _S3:  # with a prefix, s3fs does not ask whether an empty folder is an object
            return dict(self._files.find(self._root, prefix=f"{folder}/", detail=True))
        return dict(self._files.find(root, detail=True))

    def delete(self, names: Collection[str]) -> None:
        """Delete those of these objects that are there."""
        with self._asking(), contextlib.suppress(FileNotFoundError):
            if len(names) == 1:
                self._files.rm_file(self._path(*names))
            elif names:
                self._files.rm([self._path(name) for name in names])

    def delete_folder(self, folder: str) -> None:
        """Delete all objects below a folder."""
        self.delete([f"{folder}/{name}" for name in self.sizes(folder)])

    def _path(self, name: str) -> str:
        return posixpath.join(self._root, name).rstrip("/")

    @contextlib.contextmanager
    def _into(self, name: str) -> Iterator[str]:
        """Yield the path to write an object to. Where half a write is visible, it is renamed at the end."""
        if self.protocol in _OBJECTS:
            try:
                yield self._path(name)
            except FileNotFoundError as error:
                raise self._absent(error) from error
            return
        self._make_folder(name)
        aside = self._path(posixpath.join(posixpath.dirname(name), f".{uuid.uuid4().hex}"))
        try:
            yield aside
            self._files.mv(aside, self._path(name))
        except BaseException:
            with contextlib.suppress(Exception):
                self._files.rm_file(aside)
            raise

    def _make_folder(self, name: str) -> None:
        if self.protocol not in _OBJECTS:
            self._files.makedirs(posixpath.dirname(self._path(name)), exist_ok=True)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        with _MEMORY if self.protocol == "memory" else contextlib.nullcontext():
            try:
                yield
            except (FileNotFoundError, StoreError):
                raise
            except Exception as error:
                raise self._failed(error) from error

    def _absent(self, error: Exception) -> StoreError:
        return StoreError(f"the store {self.url} cannot be written ({error})", "make its bucket first")

    def _failed(self, error: Exception) -> StoreError:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        if isinstance(error, PermissionError) or "credential" in why.lower():
            return StoreError(
                f"the store {self.url} refuses access ({why})",
                "credentials are read from where the provider's own tools keep them: the environment, or their files",
            )
        return StoreError(f"the store {self.url} does not answer ({why})", "everything finished so far is kept")


def _refuse_secrets(url: str) -> None:
    host = url.partition("://")[2].partition("/")[0]
    if "@" in host or "?" in url:
        shown = url.partition("://")[0] + "://…" + host.rpartition("@")[2]
        raise StoreError(
            f"the store's address {shown} holds credentials or options",
            "leave them out: they are read from where the provider's own tools keep them (environment, files)",
        )


def _connected(url: str, protocol: str) -> tuple[Any, str]:
    if importlib.util.find_spec("fsspec") is None:
        raise StoreError(f"the store {url} needs fsspec", "pip install fsspec")
    import fsspec

    try:
        # What others write must be seen: no listing may be remembered.
        files, root = fsspec.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        way = f"pip install 'satdsl[{_EXTRAS[protocol]}]'" if protocol in _EXTRAS else str(error)
        raise StoreError(f"the store {url} needs a package that is not installed", way) from None
    except ValueError as error:
        raise StoreError(
            f"{url} is no address of a store ({error})", "give a folder, or an address such as s3://bucket/path"
        ) from None
    if not root.strip("/"):
        raise StoreError(f"the store's address {url} names no place", f"add one, as in {protocol}://bucket/path")
    return files, root.rstrip("/")
