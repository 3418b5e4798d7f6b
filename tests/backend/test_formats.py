"""The files that each data set's authors publish: how they are read, and how one that is damaged is named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets as published

from satdsl.backend import dataset_readers, datasets
from satdsl.backend.dataset_archives import archives, checksums
from satdsl.backend.image_files import ImageFiles
from satdsl.backend.images import DataSet
from satdsl.catalog import catalog
from satdsl.catalog.datasets import facts
from satdsl.ir.draws import order
from satdsl.ir.steps import CatalogCall, Data
from satdsl.ir.work import StepError

from . import published_sets as made
from .workshop import Workshop, call, document


def loaded(name: str, root: Path, **settings: Any) -> DataSet:
    return datasets.load(call(name, **settings), root)


def paths(images: Any) -> list[Path]:
    assert isinstance(images.pixels, ImageFiles)
    return [images.pixels.path(i) for i in range(len(images))]


# --- how they are read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifars_rows_are_three_planes_of_32_by_32_and_its_labels_the_fine_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made.any_counts(monkeypatch)
    rows, labels = made.cifar(tmp_path, name, monkeypatch)
    data = loaded(name, tmp_path)
    assert torch.equal(data.train.pixels[:], torch.from_numpy(rows.reshape(-1, 3, 32, 32)))
    assert data.train.labels.tolist() == labels.tolist()
    assert list(data.classes) == made.class_names(name)


def test_svhns_ten_is_the_digit_nought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.any_counts(monkeypatch)
    files = made.svhn(tmp_path, monkeypatch)
    data = loaded("SVHN", tmp_path)
    for images, part in ((data.train, "train"), (data.val, "test")):
        x, y = files[part]
        assert torch.equal(images.pixels[:], torch.from_numpy(x.transpose(3, 2, 0, 1).copy()))
        assert images.labels.tolist() == [0 if label == 10 else label for label in y[:, 0].tolist()]
    assert data.classes == tuple("0123456789")


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_mnists_idx_files_are_read_at_their_full_size(workshop: Workshop, tmp_path: Path, name: str) -> None:
    entry = catalog().find("dataset", name)
    assert entry is not None
    known = facts(entry)
    counts = {"train": known.train_counts or (), "val": known.val_counts or ()}
    files = made.mnist(tmp_path, name, counts)
    artifact = workshop.do(Data(call(name), root=str(tmp_path)))
    assert document(artifact / "facts.json")["shape"] == [1, 28, 28]
    data = loaded(name, tmp_path)
    for images, part in ((data.train, "train"), (data.val, "val")):
        pixels, labels = files[part]
        assert torch.equal(images.pixels[:], torch.from_numpy(pixels)[:, None])
        assert images.labels.tolist() == labels.tolist()
    assert data.classes == known.classes


@pytest.mark.parametrize(
    ("protocol", "train", "val"), [("train+val", ("trnid", "valid"), "tstid"), ("train", ("trnid",), "valid")]
)
def test_flowers_labels_count_from_one_and_its_protocols_pick_the_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, train: tuple[str, ...], val: str
) -> None:
    made.any_counts(monkeypatch)
    splits = made.flowers(tmp_path, monkeypatch)
    data = loaded("Flowers102", tmp_path, protocol=protocol, resize=8)
    for images, names in ((data.train, train), (data.val, (val,))):
        numbers = np.concatenate([splits[name][0] for name in names])
        assert [path.name for path in paths(images)] == [f"image_{number:05}.jpg" for number in numbers]
        assert images.labels.tolist() == np.concatenate([splits[name][1] for name in names]).tolist()
    some = slice(40, 60)
    shades = data.train.pixels[some][:, 0].float().mean((1, 2))
    assert torch.allclose(shades, 2.0 * data.train.labels[some], atol=2.5), "an image belongs to its label"
    assert data.classes == tuple(published.Flowers102.classes)


def test_caltechs_folders_are_its_classes_up_to_clutter_and_its_split_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.any_counts(monkeypatch)
    monkeypatch.setattr(dataset_readers, "CALTECH_TRAINING", 2)
    base = made.caltech(tmp_path)
    data = loaded("Caltech256", tmp_path, resize=8)
    reference = published.Caltech256(str(tmp_path))
    theirs = {
        base / reference.categories[k] / f"{k + 1:03}_{i:04}.jpg": k
        for k, i in zip(reference.y, reference.index, strict=True)
    }
    ours = dict(zip(paths(data.train), data.train.labels.tolist(), strict=True))
    val = dict(zip(paths(data.val), data.val.labels.tolist(), strict=True))
    assert not ours.keys() & val.keys()
    assert ours | val == theirs
    for k in (0, 55, 256):
        names = sorted(path for path, label in theirs.items() if label == k)
        assert [path for path, label in ours.items() if label == k] == sorted(
            names[i] for i in order(len(names), 256 + k)[:2]
        )
    assert [f"{k:03}.{name}" for k, name in enumerate(data.classes, start=1)] == reference.categories
    assert data.classes[-1] == "clutter"


def test_imagenets_classes_are_its_folders_in_order_and_imagenet200_takes_those_of_imagenet_a(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.any_counts(monkeypatch)
    wnids = made.imagenet(tmp_path)
    (tmp_path / "imagenet" / "train" / wnids[3] / "notes.txt").write_text("no image")
    torch.save(({wnid: (wnid,) for wnid in wnids}, []), tmp_path / "imagenet" / "meta.bin")
    data = loaded("ImageNet", tmp_path, resize=8)
    for images, part in ((data.train, "train"), (data.val, "val")):
        reference = published.ImageNet(str(tmp_path / "imagenet"), split=part)
        assert [(str(p), k) for p, k in zip(paths(images), images.labels.tolist(), strict=True)] == reference.imgs
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    assert data.classes == tuple(_IMAGENET_CATEGORIES)
    some = loaded("ImageNet200", tmp_path, resize=8)
    chosen = dataset_readers.listed(CatalogCall("ImageNet200"), "wnids")
    assert [path.parent.name for path in paths(some.val)] == list(chosen)
    assert some.val.labels.tolist() == list(range(200))
    assert len(some.train) == 400
    shutil.rmtree(tmp_path / "imagenet" / "val" / chosen[7])
    with pytest.raises(StepError, match="val has 199 of the 200 class folders"):
        loaded("ImageNet200", tmp_path, resize=8, limit=5)


def test_a_set_with_other_numbers_of_images_than_the_plan_was_made_with_is_refused(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.svhn(tmp_path, monkeypatch)
    with pytest.raises(StepError, match="has 30 training images; SVHN has 73,257; of 0 3, not 4,948") as caught:
        workshop.do(Data(call("SVHN"), root=str(tmp_path)))
    assert str(tmp_path) in caught.value.reason
    assert "again" in caught.value.help


# --- damaged files --------------------------------------------------------------------------------------


def refused(workshop: Workshop, name: str, root: Path) -> StepError:
    with pytest.raises(StepError) as caught:
        workshop.do(Data(call(name), root=str(root)))
    assert "again with `satdsl data FILE --download`" in caught.value.help
    return caught.value


def test_a_flipped_byte_in_a_cifar_batch_is_found_by_its_checksum(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.cifar(tmp_path, "CIFAR10", monkeypatch)
    victim = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    content, right = bytearray(victim.read_bytes()), made.md5(victim)
    content[1000] ^= 1
    victim.write_bytes(content)
    reason = refused(workshop, "CIFAR10", tmp_path).reason
    assert f"{victim} is not what the authors of CIFAR10 published" in reason
    assert f"its MD5 is {made.md5(victim)}, it should be {right}" in reason


def test_a_truncated_or_missing_matlab_file_is_named(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.svhn(tmp_path, monkeypatch)
    victim = tmp_path / "test_32x32.mat"
    victim.write_bytes(victim.read_bytes()[:-500])
    assert f"{victim} is not what" in refused(workshop, "SVHN", tmp_path).reason
    made.flowers(tmp_path, monkeypatch)
    labels = tmp_path / "flowers-102" / "imagelabels.mat"
    labels.write_bytes(labels.read_bytes()[:100])
    assert f"{labels} is not what" in refused(workshop, "Flowers102", tmp_path).reason


def test_a_missing_flower_is_named(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.any_counts(monkeypatch)
    made.flowers(tmp_path, monkeypatch)
    victim = tmp_path / "flowers-102" / "jpg" / "image_00007.jpg"
    victim.unlink()
    with pytest.raises(StepError, match=r"image_00007\.jpg cannot be read"):
        workshop.do(Data(call("Flowers102", resize=8, protocol="train+val"), root=str(tmp_path)))


def test_damaged_idx_files_are_found_by_their_length_and_by_the_archive_beside_them(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.any_counts(monkeypatch)
    made.mnist(tmp_path, "MNIST", {"train": [2] * 10, "val": [1] * 10})
    folder = tmp_path / "MNIST" / "raw"
    images = folder / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    images.write_bytes(whole[:-1000])
    reason = refused(workshop, "MNIST", tmp_path).reason
    assert reason == f"{images} is damaged: it has 14,696 bytes, and its header says 15,696"
    images.write_bytes(whole)
    packed = made.zipped(images)
    listed = [(file, made.md5(packed) if file == packed.name else md5) for file, md5 in published.MNIST.resources]
    monkeypatch.setattr(published.MNIST, "resources", listed)
    workshop.do(Data(call("MNIST"), root=str(tmp_path)))
    images.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert f"{images} is not what {packed.name} beside it holds" in refused(workshop, "MNIST", tmp_path).reason
    packed.write_bytes(packed.read_bytes()[:-10])
    assert f"{packed} is not what the authors of MNIST published" in refused(workshop, "MNIST", tmp_path).reason


def test_torchvision_knows_an_archive_and_a_checksum_for_each_set_that_may_be_fetched() -> None:
    for name in ("CIFAR10", "CIFAR100", "SVHN", "MNIST", "FashionMNIST", "Flowers102", "Caltech256"):
        for archive in archives(name):
            assert len(archive.md5) == 32
            assert all(url.startswith("http") for url in archive.urls)
    assert archives("ImageNet") == archives("digits") == archives("folder") == ()
    assert len(list(checksums("CIFAR10"))) == 7
    assert len(list(checksums("CIFAR100"))) == 3
