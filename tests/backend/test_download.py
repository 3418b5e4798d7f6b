"""Fetching a data set: from a server on this machine, through every way it can fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from torchvision import datasets as published

from satdsl.backend.download import download
from satdsl.ir.steps import Data
from satdsl.ir.work import Progress, StepError

from . import published_sets as made
from .workshop import Workshop, call


class Server(ThreadingHTTPServer):
    """Serves `files` by path. A path in `broken` promises all of its file and sends half of it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path in self.server.broken else content)

    def log_message(self, *of: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cifar100(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server has a small CIFAR-100."""
    made.any_counts(monkeypatch)
    made.cifar(tmp_path / "made", "CIFAR100", monkeypatch)
    archive = made.packed(tmp_path / "made", "cifar-100-python", tmp_path / "made" / "cifar.tar.gz")
    monkeypatch.setattr(published.CIFAR100, "url", f"{server.url}/cifar-100-python.tar.gz")
    monkeypatch.setattr(published.CIFAR100, "tgz_md5", made.md5(archive))
    server.files["/cifar-100-python.tar.gz"] = archive
    return server


def everything_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


CIFAR100 = [f"cifar-100-python/{name}" for name in ("meta", "test", "train")]


@pytest.mark.usefixtures("cifar100")
def test_a_fetched_set_is_unpacked_checked_and_put_in_place_without_a_rest(
    workshop: Workshop, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[Progress] = []
    root = tmp_path / "data"
    download(call("CIFAR100"), root, seen.append)
    assert everything_below(root) == CIFAR100
    assert [path.name for path in root.iterdir()] == ["cifar-100-python"]
    assert any(" MB of " in progress.note for progress in seen)
    assert seen[-1].note == "checking"
    workshop.do(Data(call("CIFAR100"), root=str(root)))
    assert capfd.readouterr() == ("", ""), "no bar of torchvision's own"


def test_several_archives_are_fetched_from_the_mirrors_that_have_them(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.any_counts(monkeypatch)
    made.mnist(tmp_path / "made", "MNIST", {"train": [2] * 10, "val": [1] * 10})
    resources = []
    for file, _ in published.MNIST.resources:
        zipped = made.zipped(tmp_path / "made" / "MNIST" / "raw" / file.removesuffix(".gz"))
        server.files[f"/second/{file}"] = zipped.read_bytes()
        resources.append((file, made.md5(zipped)))
    monkeypatch.setattr(published.MNIST, "resources", resources)
    monkeypatch.setattr(published.MNIST, "mirrors", [f"{server.url}/first/", f"{server.url}/second/"])
    seen: list[Progress] = []
    download(call("MNIST"), tmp_path / "data", seen.append)
    assert len(everything_below(tmp_path / "data")) == 8
    assert any(progress.note.startswith("4/4: ") for progress in seen)
    assert len(server.asked) == 8


def cut(server: Server) -> None:
    server.broken.add("/cifar-100-python.tar.gz")


def close(server: Server) -> None:
    server.shutdown()
    server.server_close()


def alter(server: Server) -> None:
    server.files["/cifar-100-python.tar.gz"] += b"!"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda server: server.files.clear(), "Not Found"),
        (cut, "the answer ended after [0-9,]+ of [0-9,]+ bytes"),
        (
            alter,
            r"cifar-100-python\.tar\.gz is not what the authors of CIFAR100 published: its MD5 is [0-9a-f]+",
        ),
        (close, "refused"),
    ],
    ids=["absent", "cut short", "altered", "no server"],
)
def test_a_download_that_fails_says_why_and_leaves_nothing(
    cifar100: Server, tmp_path: Path, harm: Callable[[Server], None], words: str
) -> None:
    harm(cifar100)
    root = tmp_path / "data"
    with pytest.raises(StepError, match=words) as caught:
        download(call("CIFAR100"), root)
    assert cifar100.url in caught.value.reason
    assert f"put it into {root}" in caught.value.help
    assert list(root.iterdir()) == []


def test_what_is_fetched_but_not_what_it_should_hold_is_not_put_in_place(
    cifar100: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published.CIFAR100, "train_list", [["train", "0" * 32]])
    with pytest.raises(StepError, match="cannot be unpacked"):
        download(call("CIFAR100"), tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    assert cifar100.asked


def test_an_archive_put_there_by_hand_is_not_fetched_again(cifar100: Server, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    archive = root / "cifar-100-python.tar.gz"
    archive.write_bytes(cifar100.files["/cifar-100-python.tar.gz"])
    download(call("CIFAR100"), root)
    assert everything_below(root) == sorted([*CIFAR100, archive.name])
    assert not cifar100.asked
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(StepError, match="is not what the authors") as caught:
        download(call("CIFAR100"), root)
    assert str(archive) in caught.value.reason


def test_a_damaged_set_is_replaced(cifar100: Server, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)
    (folder / "train").write_bytes(b"half")
    download(call("CIFAR100"), tmp_path / "data")
    assert everything_below(tmp_path / "data") == CIFAR100
    assert (folder / "train").stat().st_size > 1000
    assert len(cifar100.asked) == 1
