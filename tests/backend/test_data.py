"""Data sets: what is loaded, what a limit and a hold-out take, and what is said where one is absent."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from satdsl.backend import datasets, weights
from satdsl.backend.datasets import locate
from satdsl.backend.holdout import divide, held_out
from satdsl.backend.images import balanced
from satdsl.backend.models import build
from satdsl.plan import draws
from satdsl.plan.steps import HOLDOUT_SEED, Choice, Data, Evaluate, Holdout
from satdsl.plan.work import StepError, Work

from .workshop import Workshop, arrays, call, document, training


def test_digits_are_scikit_learns_with_a_documented_split(digits: Path) -> None:
    bunch = load_digits()
    data = datasets.load(call("digits"), Path("nowhere"))
    validation = sorted(draws.order(1797, 0)[:360])
    rest = [i for i in range(1797) if i not in set(validation)]
    assert torch.equal(data.train.labels, torch.from_numpy(bunch.target[rest]))
    assert torch.equal(data.val.labels, torch.from_numpy(bunch.target[validation]))
    bytes_ = np.round(bunch.images * 255 / 16).astype(np.uint8)[:, None]
    assert torch.equal(data.train.pixels, torch.from_numpy(bytes_[rest]))
    assert torch.equal(data.val.pixels, torch.from_numpy(bytes_[validation]))
    facts = document(digits / "facts.json")
    assert facts["classes"] == [str(k) for k in range(10)]
    assert (facts["shape"], facts["train"], facts["val"]) == ([1, 8, 8], 1437, 360)
    assert facts["source"] == {"name": "digits"}
    stored = arrays(digits / "labels.npz")
    assert np.array_equal(stored["train"], bunch.target[rest])
    assert np.array_equal(stored["train_index"], np.arange(1437))


def test_a_limit_is_balanced_and_keeps_the_dataset_index() -> None:
    whole = datasets.load(call("digits"), Path("nowhere")).train
    some = datasets.load(call("digits", limit=123), Path("nowhere")).train
    assert torch.bincount(some.labels).tolist() == [13] * 3 + [12] * 7
    assert torch.equal(some.labels, whole.labels[some.index])
    assert torch.equal(some.pixels, whole.pixels[some.index])
    assert some.index.tolist() == sorted(some.index.tolist())


def test_a_limit_takes_no_more_than_a_class_has() -> None:
    labels = np.array([0] * 2 + [1] * 50 + [2] * 50)
    assert np.bincount(labels[balanced(labels, 3, 30)]).tolist() == [2, 10, 10]
    assert len(balanced(labels, 3, None)) == 102


def test_a_holdout_is_stratified_and_follows_the_documented_draw() -> None:
    data = datasets.load(call("digits"), Path("nowhere"))
    parts = divide(data, Holdout(0.15, "val"))
    assert parts.selection is not None
    labels = data.val.labels.numpy()
    expected: set[int] = set()
    for k in range(10):
        members = np.flatnonzero(labels == k)
        order = draws.order(len(members), HOLDOUT_SEED + k)
        expected |= {int(members[i]) for i in order[: draws.count(0.15, len(members))]}
    assert set(parts.selection.index.tolist()) == expected
    assert set(parts.val.index.tolist()) == set(range(360)) - expected
    assert len(parts.train) == 1437
    other = divide(data, Holdout(0.15, "train"))
    assert other.selection is not None
    assert len(other.train) + len(other.selection) == 1437
    assert not set(other.train.index.tolist()) & set(other.selection.index.tolist())
    assert len(other.val) == 360
    assert not held_out(labels, 10, 0.0).any()


def test_synthetic_images_are_balanced_seeded_and_learnable(workshop: Workshop) -> None:
    def source(seed: int) -> Choice:
        return call("synthetic", classes=4, shape=(3, 12, 12), train=200, val=80, seed=seed)

    first, again, other = (datasets.load(source(seed), Path(place)) for seed, place in ((0, "a"), (0, "b"), (1, "a")))
    assert torch.equal(first.train.pixels, again.train.pixels)
    assert not torch.equal(first.train.pixels, other.train.pixels)
    assert torch.bincount(first.train.labels).tolist() == [50] * 4
    data = workshop.do(Data(source(0)))
    settings = training(6, mean=(0.5,) * 3, std=(0.25,) * 3, holdout=None, augment=())
    out = workshop.do(Evaluate(None, "val", None), weights=workshop.do(settings, data=data), data=data)
    assert document(out / "facts.json")["accuracy"] > 0.6


# --- absent, damaged, changed ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "SVHN", "Flowers102", "Caltech256"])
def test_an_absent_data_set_says_where_it_was_looked_for_and_how_to_get_it(
    workshop: Workshop, name: str, tmp_path: Path
) -> None:
    with pytest.raises(StepError) as caught:
        workshop.do(Data(call(name), root=str(tmp_path)))
    assert name in caught.value.reason
    assert str(tmp_path) in caught.value.reason
    assert "satdsl data FILE --download" in caught.value.help
    assert list(tmp_path.iterdir()) == []
    assert locate(call(name), tmp_path)[0] is False


@pytest.mark.parametrize("source", [call("ImageNet", resize=32), call("folder", path="mine", resize=8)])
def test_what_cannot_be_downloaded_says_how_to_lay_it_out(workshop: Workshop, source: Choice) -> None:
    with pytest.raises(StepError) as caught:
        workshop.do(Data(source))
    assert "train/" in caught.value.help
    with pytest.raises(StepError, match="not there"):
        datasets.download(source, workshop.root)


def test_digits_and_synthetic_need_no_file(tmp_path: Path) -> None:
    assert locate(call("digits"), tmp_path)[0]
    datasets.download(call("digits"), tmp_path)
    with pytest.raises(StepError, match="no_such_set"):
        locate(call("no_such_set"), tmp_path)


def test_damaged_files_of_a_data_set_are_named(workshop: Workshop, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps({"data": [], "labels": []}))
    with pytest.raises(StepError, match="damaged") as caught:
        workshop.do(Data(call("CIFAR10"), root=str(tmp_path)))
    assert str(folder) in caught.value.reason


def test_a_failed_download_is_an_error_that_names_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(root: str, download: bool, **part: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "torchvision_set", lambda name: refused)
    with pytest.raises(StepError, match="no route to host") as caught:
        datasets.download(call("CIFAR10"), tmp_path)
    assert str(tmp_path) in caught.value.reason


def test_an_absent_data_set_is_downloaded_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path]] = []
    monkeypatch.setattr(datasets, "download", lambda source, root: asked.append((source.name, root)))
    (tmp_path / "out").mkdir()
    work = Work(inputs={}, out=tmp_path / "out", scratch=tmp_path, data_root=tmp_path / "data", download=True)
    from satdsl.backend.data import perform
    from satdsl.plan.steps import Step

    with pytest.raises(StepError, match="not there"):
        perform(Step(Data(call("CIFAR10"))), work)
    assert asked == [("CIFAR10", tmp_path / "data")]


def picture(path: Path, shade: int, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 0, 255 - shade)).save(path)


def test_a_folder_of_images_is_decoded_once_and_kept(workshop: Workshop, tmp_path: Path) -> None:
    for part, n in (("train", 6), ("val", 3)):
        for klass in ("ape", "bee"):
            for i in range(n):
                picture(tmp_path / "mine" / part / klass / f"{i}.png", 40 * i + 5 * (klass == "bee"), (20, 16 + i))
    data = workshop.do(Data(call("folder", path="mine", resize=8, limit=8), root=str(tmp_path)))
    facts = document(data / "facts.json")
    assert facts["classes"] == ["ape", "bee"]
    assert facts["shape"] == [3, 8, 8]
    assert (facts["train"], facts["val"]) == (8, 6)
    for file in (tmp_path / "mine").rglob("*.png"):
        file.unlink()
    settings = training(1, mean=(0.5,) * 3, std=(0.25,) * 3, holdout=None)
    trained = workshop.do(settings, data=data)
    rows = workshop.do(Evaluate(None, "val", None), weights=trained, data=data)
    assert len(arrays(rows / "rows.npz")["index"]) == 6


def test_images_of_several_sizes_need_a_resize(workshop: Workshop, tmp_path: Path) -> None:
    for part in ("train", "val"):
        picture(tmp_path / part / "ape" / "0.png", 1, (9, 9))
        picture(tmp_path / part / "ape" / "1.png", 1, (9, 10))
    with pytest.raises(StepError, match="shape") as caught:
        workshop.do(Data(call("folder", path="."), root=str(tmp_path)))
    assert "resize" in caught.value.help


def test_images_that_changed_since_the_data_step_are_refused(
    workshop: Workshop, few_digits: Path, tmp_path: Path
) -> None:
    facts = document(few_digits / "facts.json")
    (tmp_path / "facts.json").write_text(str(facts | {"digest": "0" * 64}).replace("'", '"').replace("None", "null"))
    with pytest.raises(StepError, match="are not those"):
        workshop.do(training(1), data=tmp_path)


def test_resized_digits_have_the_size_asked_for() -> None:
    data = datasets.load(call("digits", resize=16, limit=20, limit_val=10), Path("nowhere"))
    assert data.shape == (1, 16, 16)
    assert data.train.pixels.dtype == torch.uint8


# --- networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "millions"),
    [
        (call("preact_resnet18", width=64, layout="standard"), 11.17),
        (call("preact_resnet18", width=64, layout="sat"), 20.73),
        (call("resnet18", stem="cifar"), 11.17),
        (call("resnet50", stem="imagenet"), 23.5),
        (call("wide_resnet", depth=28, width=10), 36.5),
    ],
)
def test_networks_have_their_published_size(model: Choice, millions: float) -> None:
    with torch.device("meta"):
        network = build(model, (3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(
    ("model", "words"),
    [(call("no_such_net"), "no_such_net"), (call("wide_resnet", depth=29, width=1), "29 layers")],
)
def test_a_network_that_cannot_be_built_is_named(model: Choice, words: str) -> None:
    with pytest.raises(StepError, match=words):
        build(model, (3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)


def test_a_stored_network_is_rebuilt_with_its_normalisation(workshop: Workshop, few_digits: Path) -> None:
    out = workshop.do(training(1, mean=(0.25,), std=(0.5,)), data=few_digits)
    network = weights.load(out)
    assert not network.training
    assert torch.allclose(network.normalise(torch.full((1, 1, 2, 2), 0.75)), torch.ones(1, 1, 2, 2))
    assert set(document(out / "model.json")) >= {"model", "classes", "shape", "mean", "std", "head"}
