"""CIFAR-10-C and CIFAR-100-C: what is read of them, out of files or of the archive, and how they are fetched."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from satdsl.backend import corrupted_images, datasets
from satdsl.backend.dataset_archives import archives
from satdsl.backend.dataset_paths import locate, sizes_on_disk
from satdsl.backend.download import download
from satdsl.catalog.datasets import DatasetEntry
from satdsl.catalog.datasets.corrupted import CORRUPTIONS, corruptions
from satdsl.compile import check_file
from satdsl.ir.steps import CatalogCall, Data
from satdsl.ir.work import StepError

from . import published_sets as made
from .test_download import Server, everything_below, server
from .workshop import Workshop, call

__all__ = ["server"]

NAMES = ("CIFAR10C", "CIFAR100C")


def fog(severity: int = 3, name: str = "CIFAR10C", corruption: str = "fog") -> CatalogCall:
    return call(name, corruption=corruption, severity=severity)


def pack(root: Path, name: str) -> Path:
    """The folder as the archive that is published; the folder itself is removed."""
    known = corruptions(name)
    archive = root / known["archive"]
    with tarfile.open(archive, "w") as packed:
        packed.add(root / known["folder"], known["folder"])
    for file in (root / known["folder"]).iterdir():
        file.unlink()
    (root / known["folder"]).rmdir()
    return archive


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "in the archive"])
def test_a_severity_is_the_rows_that_the_authors_say(
    tmp_path: Path, name: str, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.any_counts(monkeypatch)
    files = made.cifar_c(tmp_path, name, monkeypatch, ["fog", "snow"])
    if packed:
        pack(tmp_path, name)
    for severity in (1, 2, 5):
        data = datasets.read(fog(severity, name, "snow"), tmp_path)
        rows = slice(20 * (severity - 1), 20 * severity)
        assert np.array_equal(data.val.pixels.numpy(), files["snow"][rows].transpose(0, 3, 1, 2))  # type: ignore[union-attr]
        assert data.val.labels.tolist() == files["labels"][rows].tolist()
        assert data.val.index.tolist() == list(range(20)), "the numbers that the images have in CIFAR's validation part"
        assert (len(data.train), data.shape) == (0, (3, 32, 32))


def test_the_real_files_have_ten_thousand_images_of_each_severity() -> None:
    assert corrupted_images.EACH == 10_000


@pytest.mark.parametrize("name", NAMES)
def test_what_is_published_is_known_of_every_corruption(name: str) -> None:
    known = corruptions(name)
    assert set(known["files"]) == {*CORRUPTIONS, "labels"}
    assert len({*known["files"].values(), known["md5"]}) == 21
    assert all(len(md5) == 32 and int(md5, 16) for md5 in (*known["files"].values(), known["md5"]))
    (archive,) = archives(name)
    assert archive.urls == (known["url"],)
    files = DatasetEntry.of(name).files
    assert files == (f"{known['folder']}/{{corruption}}.npy", f"{known['folder']}/labels.npy")


def test_the_data_step_stores_the_facts_and_refuses_other_files(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.any_counts(monkeypatch)
    made.cifar_c(tmp_path, "CIFAR10C", monkeypatch, ["fog"])
    source = Data(fog(), root=str(tmp_path))
    workshop.do(source)
    place = tmp_path / "CIFAR-10-C" / "fog.npy"
    whole = place.read_bytes()
    place.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StepError, match=r"fog\.npy is not what the authors of CIFAR10C published: its MD5 is"):
        workshop.do(source)
    place.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StepError, match="is not what the authors"):
        datasets.read(fog(5), tmp_path)
    place.unlink()
    with pytest.raises(StepError, match="CIFAR10C is not there"):
        workshop.do(source)


def test_an_archive_without_the_corruption_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.any_counts(monkeypatch)
    made.cifar_c(tmp_path, "CIFAR10C", monkeypatch, ["fog"])
    archive = pack(tmp_path, "CIFAR10C")
    assert locate(fog(), tmp_path)[:2] == (True, archive)
    assert sizes_on_disk(fog(), tmp_path) == {archive: archive.stat().st_size}
    with pytest.raises(StepError, match=r"frost\.npy cannot be read: there is no such file in the archive"):
        datasets.read(fog(corruption="frost"), tmp_path)


def test_it_is_fetched_unpacked_checked_and_put_in_place(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.any_counts(monkeypatch)
    made.cifar_c(tmp_path / "made", "CIFAR10C", monkeypatch, ["fog", "snow"])
    archive = pack(tmp_path / "made", "CIFAR10C")
    server.files["/CIFAR-10-C.tar"] = archive.read_bytes()
    known = corrupted_images.corruptions("CIFAR10C")
    monkeypatch.setitem(known, "url", f"{server.url}/CIFAR-10-C.tar")  # type: ignore[arg-type]
    monkeypatch.setitem(known, "md5", made.md5(archive))  # type: ignore[arg-type]
    root = tmp_path / "data"
    download(fog(), root)
    assert everything_below(root) == [f"CIFAR-10-C/{file}.npy" for file in ("fog", "labels", "snow")]
    assert len(datasets.read(fog(1, corruption="snow"), root).val) == 20
    server.files["/CIFAR-10-C.tar"] += b"!"
    with pytest.raises(StepError, match=r"CIFAR-10-C\.tar is not what the authors of CIFAR10C published"):
        download(fog(), tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


SPEC = """sat 1
dataset cifar10 = CIFAR10()
sweep { corruption = [fog, snow]; severity = 1..5 }
dataset c = CIFAR10C(corruption=$corruption, severity=$severity)
model m = small_cnn()
recipe r = sgd(epochs=1)
train t = m on cifar10 using r
evaluate t { corrupted = clean accuracy on c.val }
table "x" = rows(t.corrupted, by=[$corruption], mean=[$severity])
"""


def test_a_network_of_cifar10_is_measured_under_each_corruption_and_severity(tmp_path: Path) -> None:
    (tmp_path / "x.sat").write_text(SPEC)
    experiment = check_file(tmp_path / "x.sat")
    assert experiment.warnings == ()
    assert len(experiment.measured[0].measures.table) == 10
    assert {data.source["corruption"] for data in experiment.datasets["c"].table.values()} == {"fog", "snow"}
