"""Small data sets in the very formats that their authors publish, with torchvision told of their checksums."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets as published

from satdsl.backend import corrupted_images, dataset_archives, datasets
from satdsl.catalog.datasets import corrupted


def md5(content: bytes | Path) -> str:
    return hashlib.md5(content.read_bytes() if isinstance(content, Path) else content).hexdigest()


def any_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a set have fewer images than its authors'."""
    monkeypatch.setattr(datasets, "check_counts", lambda *of: None)


def jpeg(path: Path, shade: int, size: tuple[int, int] = (24, 20)) -> None:
    """A picture all of one shade of red, which survives its compression to within 2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 0, 0)).save(path, quality=95)


def cifar(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR's pickles: rows of 3072 bytes, channel by channel. Returns the training rows and their (fine) labels."""
    described = getattr(published, name)
    folder = root / described.base_folder
    folder.mkdir(parents=True)
    drawn = np.random.default_rng(0)
    fine = name == "CIFAR100"
    classes = 100 if fine else 10
    rows, labels = [], []
    lists: dict[str, list[list[str]]] = {}
    for part in ("train_list", "test_list"):
        lists[part] = []
        for file, _ in getattr(described, part):
            batch = drawn.integers(0, 256, (classes, 3072), dtype=np.uint8)
            own = drawn.permutation(classes).tolist()
            content: dict[str, Any] = {"data": batch, "batch_label": file, "filenames": ["x.png"] * classes}
            content |= {"fine_labels": own, "coarse_labels": [0] * classes} if fine else {"labels": own}
            (folder / file).write_bytes(pickle.dumps(content, protocol=2))
            lists[part].append([file, md5(folder / file)])
            if part == "train_list":
                rows.append(batch)
                labels += own
    meta = dict(described.meta)
    (folder / meta["filename"]).write_bytes(pickle.dumps({meta["key"]: class_names(name)}, protocol=2))
    monkeypatch.setattr(described, "meta", meta | {"md5": md5(folder / meta["filename"])})
    for part, entries in lists.items():
        monkeypatch.setattr(described, part, entries)
    return np.concatenate(rows), np.array(labels)


def class_names(name: str) -> list[str]:
    from satdsl.catalog import catalog
    from satdsl.catalog.datasets import facts

    entry = catalog().find("dataset", name)
    assert entry is not None
    return list(facts(entry).classes)


def packed(root: Path, folder: str, archive: Path) -> bytes:
    """`folder` below `root` as a gzipped tar, as CIFAR comes; the folder itself is removed."""
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root / folder, folder)
    for file in (root / folder).iterdir():
        file.unlink()
    (root / folder).rmdir()
    return archive.read_bytes()


def svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """SVHN's MATLAB files: X uint8 [32, 32, 3, n], y uint8 [n, 1] in which 10 means the digit 0."""
    root.mkdir(parents=True, exist_ok=True)
    made, lists = {}, dict(published.SVHN.split_list)
    for seed, part in enumerate(("train", "test")):
        x = np.random.default_rng(seed).integers(0, 256, (32, 32, 3, 30), dtype=np.uint8)
        y = (np.arange(30, dtype=np.uint8) % 10 + 1)[:, None]
        savemat(root / f"{part}_32x32.mat", {"X": x, "y": y}, do_compression=True)
        lists[part] = [lists[part][0], f"{part}_32x32.mat", md5(root / f"{part}_32x32.mat")]
        made[part] = (x, y)
    monkeypatch.setattr(published.SVHN, "split_list", lists)
    return made


def mnist(root: Path, name: str, counts: dict[str, Sequence[int]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """MNIST's IDX files, with so many images of each class; the first bytes of each image are its number."""
    folder, made = root / name / "raw", {}
    folder.mkdir(parents=True)
    for part, file in (("train", "train"), ("val", "t10k")):
        labels = np.repeat(np.arange(10, dtype=np.uint8), counts[part])
        np.random.default_rng(1).shuffle(labels)
        images = np.zeros((len(labels), 28, 28), dtype=np.uint8)
        images.reshape(len(labels), -1)[:, :4] = np.arange(len(labels), dtype=">u4").view(np.uint8).reshape(-1, 4)
        idx(folder / f"{file}-images-idx3-ubyte", images)
        idx(folder / f"{file}-labels-idx1-ubyte", labels)
        made[part] = (images, labels)
    return made


def idx(path: Path, values: np.ndarray) -> None:
    head = bytes([0, 0, 8, values.ndim]) + b"".join(side.to_bytes(4, "big") for side in values.shape)
    path.write_bytes(head + values.tobytes())


def zipped(path: Path) -> Path:
    """The gzipped twin of a file, beside it."""
    twin = path.with_name(f"{path.name}.gz")
    twin.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return twin


def flowers(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Flowers-102: numbered JPEGs, labels 1 .. 102 and the numbers of each split. Returns (numbers, labels from 0).

    An image's shade of red is twice its label, counted from 0.
    """
    folder = root / "flowers-102"
    labels = np.random.default_rng(2).permutation(np.tile(np.arange(1, 103), 4))
    for number, label in enumerate(labels, start=1):
        jpeg(folder / "jpg" / f"image_{number:05}.jpg", 2 * (int(label) - 1))
    splits: dict[str, list[int]] = {"trnid": [], "valid": [], "tstid": []}
    for label in range(1, 103):
        first, second, *rest = (np.flatnonzero(labels == label) + 1).tolist()
        splits["trnid"].append(first)
        splits["valid"].append(second)
        splits["tstid"] += rest
    savemat(folder / "imagelabels.mat", {"labels": labels[None].astype(np.uint8)})
    savemat(folder / "setid.mat", {name: np.array(ids, dtype=np.uint16)[None] for name, ids in splits.items()})
    described = dict(published.Flowers102._file_dict)
    for key, file in (("label", "imagelabels.mat"), ("setid", "setid.mat")):
        described[key] = (file, md5(folder / file))
    monkeypatch.setattr(published.Flowers102, "_file_dict", described)
    return {name: (np.array(ids), labels[np.array(ids) - 1] - 1) for name, ids in splits.items()}


def caltech(root: Path, each: int = 3) -> Path:
    """Caltech-256: `001.ak47/001_0001.jpg` and so on to `257.clutter`, and what else lies about in the real archive."""
    base = root / "caltech256" / "256_ObjectCategories"
    for k, name in enumerate(class_names("Caltech256"), start=1):
        for i in range(1, each + 1 + k % 2):
            jpeg(base / f"{k:03}.{name}" / f"{k:03}_{i:04}.jpg", k % 250)
    (base / "056.dog" / "greg").mkdir()
    (base / "198.spider" / "RENAME2").write_text("#!/bin/sh\n")
    return base


def imagenet(root: Path) -> list[str]:
    """ImageNet unpacked: a folder for each of 1,000 WordNet ids in each part, two images in each. Returns the ids."""
    from satdsl.catalog.datasets import class_list

    wnids = list(class_list("imagenet_wnids.txt"))
    plain = root / "plain.JPEG"
    root.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9)).save(plain, format="JPEG")
    for part in ("train", "val"):
        for wnid in wnids:
            folder = root / "imagenet" / part / wnid
            folder.mkdir(parents=True)
            for i in range(2 if part == "train" else 1):
                os.link(plain, folder / f"{wnid}_{i}.JPEG")
    return wnids


def as_bytes(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="JPEG")
    return content.getvalue()


def cifar_c(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch, corruptions: Sequence[str]
) -> dict[str, np.ndarray]:
    """Files of CIFAR-10-C or CIFAR-100-C, with checksums of their own; of each severity they have 20 images."""
    known = corrupted.corruptions(name)
    monkeypatch.setattr(corrupted_images, "EACH", 20)
    folder = root / known["folder"]
    folder.mkdir(parents=True)
    made = {"labels": np.tile(np.arange(20, dtype=np.uint8) % (100 if name == "CIFAR100C" else 10), 5)}
    for seed, corruption in enumerate(corruptions):
        made[corruption] = np.random.default_rng(seed).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
    for file, values in made.items():
        np.save(folder / f"{file}.npy", values)
    sums = {file: md5(folder / f"{file}.npy") for file in made}
    listed = {name: {**known, "files": {**known["files"], **sums}}}
    for module in (corrupted_images, dataset_archives):
        monkeypatch.setattr(module, "corruptions", listed.__getitem__)
    return made
