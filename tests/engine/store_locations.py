"""Where a store can lie, for tests that hold wherever that is; several machines see the same one."""

from __future__ import annotations

import contextlib
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from satdsl.engine.bucket import Bucket
from satdsl.engine.leases import Timing
from satdsl.engine.local_store import LocalStore
from satdsl.engine.remote_store import RemoteStore
from satdsl.engine.store import Store

QUICK = Timing(expiry=30.0, beat=0.15, look=0.02)
"""A machine that is busy with other things must not make a living owner look dead."""

BRIEF = Timing(expiry=1.2, beat=0.15, look=0.02)
"""For what is about expiring."""

S3_BUCKET = "results"


class Home(ABC):
    """A place for one store."""

    @abstractmethod
    def store(self, machine: str = "one") -> Store:
        """The store as a new process of this machine opens it."""

    @abstractmethod
    def read(self, name: str) -> bytes: ...

    @abstractmethod
    def write(self, name: str, content: bytes) -> None: ...

    @abstractmethod
    def delete(self, name: str) -> None: ...

    @abstractmethod
    def names(self) -> list[str]:
        """Everything that lies there."""

    @abstractmethod
    def name(self, key: str, file: str) -> str:
        """Where a file of a finished artifact, or its manifest, lies."""


class Folder(Home):
    def __init__(self, root: Path) -> None:
        self.root = root

    def store(self, machine: str = "one") -> Store:
        return LocalStore(self.root)

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(content)

    def delete(self, name: str) -> None:
        (self.root / name).unlink()

    def names(self) -> list[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())

    def name(self, key: str, file: str) -> str:
        return f"artifacts/{key[:2]}/{key}/{file}"


class Remote(Home):
    def __init__(self, url: str, machines: Path) -> None:
        self.url = url
        self.machines = machines
        self.bucket = Bucket(url)

    def store(self, machine: str = "one") -> RemoteStore:
        return RemoteStore(Bucket(self.url), self.machines / machine, QUICK, save_seconds=0.0)

    def read(self, name: str) -> bytes:
        content = self.bucket.read(name)
        assert content is not None
        return content

    def write(self, name: str, content: bytes) -> None:
        self.bucket.write(name, content)

    def delete(self, name: str) -> None:
        self.bucket.delete([name])

    def names(self) -> list[str]:
        return sorted(self.bucket.sizes(""))

    def name(self, key: str, file: str) -> str:
        if file == "manifest.json":
            return f"artifacts/{key}.json"
        (found,) = [name for name in self.bucket.sizes(f"files/{key}") if name.partition("/")[2] == file]
        return f"files/{key}/{found}"


@contextmanager
def s3_server() -> Iterator[None]:
    """A server that speaks S3, on this machine alone, in the environment of this process and its children."""
    pytest.importorskip("s3fs", reason="stores on S3 need the extra satdsl[s3]")
    server_module = pytest.importorskip("moto.server", reason="the S3 server of these tests is moto's")
    import logging

    import fsspec

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "not-to-be-shown",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        with contextlib.suppress(FileExistsError):  # all of moto's servers in one process share their buckets
            fsspec.filesystem("s3").mkdir(S3_BUCKET)
        yield
    server.stop()


@contextmanager
def gs_server() -> Iterator[None]:
    """A server that speaks Google's storage protocol, without its conditional writes."""
    pytest.importorskip("gcsfs", reason="stores on Google's storage need the extra satdsl[gcs]")
    server_module = pytest.importorskip("gcp_storage_emulator.server", reason="needs gcp-storage-emulator")
    import gcsfs

    server = server_module.create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server._api._httpd.server_port}")
        gcsfs.GCSFileSystem().mkdir(S3_BUCKET)
        yield
    server.stop()


def home_of(kind: str, folder: Path) -> Home:
    name = f"{os.getpid()}-{uuid.uuid4().hex}"
    if kind == "folder":
        return Folder(folder / "store")
    urls = {
        "memory": f"memory://{name}",
        "s3": f"s3://{S3_BUCKET}/{name}",
        "gs": f"gs://{S3_BUCKET}/{name}",
        "files by fsspec": f"local://{folder}/bucket",
    }
    return Remote(urls[kind], folder / "machines")
