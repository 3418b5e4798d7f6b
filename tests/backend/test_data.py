"""Data sets: what is loaded, what a limit and a hold-out take, and what is said where one is absent."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from satdsl.backend import datasets, weights
from satdsl.backend.dataset_paths import locate
from satdsl.backend.download import download
from satdsl.backend.holdout import holdout_mask, split_holdout
from satdsl.backend.images import DataSet, Images, balanced_subsample, resized, unit_scale
from satdsl.backend.models import build
from satdsl.ir import draws
from satdsl.ir.steps import HOLDOUT_SEED, CatalogCall, Data, Evaluate, Holdout
from satdsl.ir.work import StepError

from .workshop import Workshop, arrays, call, columns_of, document, pgd, training


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
    assert np.bincount(labels[balanced_subsample(labels, 3, 30)]).tolist() == [2, 10, 10]
    assert len(balanced_subsample(labels, 3, None)) == 102


def test_a_holdout_is_stratified_and_follows_the_documented_draw() -> None:
    data = datasets.load(call("digits"), Path("nowhere"))
    parts = split_holdout(data, Holdout(0.15, "val"))
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
    other = split_holdout(data, Holdout(0.15, "train"))
    assert other.selection is not None
    assert len(other.train) + len(other.selection) == 1437
    assert not set(other.train.index.tolist()) & set(other.selection.index.tolist())
    assert len(other.val) == 360
    assert not holdout_mask(labels, 10, 0.0).any()


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=120),
    limit=st.none() | st.integers(1, 150),
    share=st.floats(0, 0.99),
    source=st.sampled_from(["val", "train"]),
)
def test_limits_and_holdouts_keep_every_image_its_index_and_every_class_its_share(
    labels: list[int], limit: int | None, share: float, source: Literal["val", "train"]
) -> None:
    whole = np.array(labels)
    chosen = balanced_subsample(whole, 5, limit)
    counts, there = np.bincount(whole[chosen], minlength=5), np.bincount(whole, minlength=5)
    quota = [len(labels) if limit is None else limit // 5 + (k < limit % 5) for k in range(5)]
    assert counts.tolist() == [min(n, q) for n, q in zip(there, quota, strict=True)]
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    index = torch.from_numpy(chosen)
    part = Images(index.to(torch.uint8).view(-1, 1, 1, 1), torch.from_numpy(whole[chosen]), index)
    other = part.at(torch.arange(len(part)))
    parts = split_holdout(DataSet(("a", "b", "c", "d", "e"), part, other), Holdout(share, source))
    rest, untouched = (parts.val, parts.train) if source == "val" else (parts.train, parts.val)
    assert parts.selection is not None
    held = parts.selection
    assert sorted([*rest.index.tolist(), *held.index.tolist()]) == chosen.tolist(), "a partition"
    assert len(untouched) == len(part)
    for images in (rest, held):
        assert images.index.tolist() == sorted(images.index.tolist())
        assert images.labels.tolist() == whole[images.index.numpy()].tolist()
        assert images.pixels[:].flatten().tolist() == images.index.tolist(), "pixels stay with their index"
    assert np.bincount(held.labels, minlength=5).tolist() == [draws.count(share, int(n)) for n in counts]
    again = split_holdout(DataSet(("a", "b", "c", "d", "e"), part, other), Holdout(share, source))
    assert again.selection is not None
    assert torch.equal(again.selection.index, held.index), "the same in every run"


@given(sizes=st.lists(st.integers(1, 60), min_size=2, max_size=4), resize=st.none() | st.integers(1, 12))
@settings(max_examples=10, deadline=None)
def test_a_limit_draws_the_same_images_at_every_size_and_larger_limits_hold_smaller_ones(
    sizes: list[int], resize: int | None
) -> None:
    whole = datasets.load(call("digits"), Path("nowhere")).train
    before: set[int] = set()
    for limit in sorted(sizes):
        some = datasets.load(call("digits", limit=limit, resize=resize), Path("nowhere")).train
        assert len(some) == limit
        assert before <= set(some.index.tolist())
        assert torch.equal(some.labels, whole.labels[some.index])
        assert tuple(some.pixels.shape[2:]) == ((resize or 8),) * 2
        before = set(some.index.tolist())


def test_a_resized_image_is_the_mean_of_what_a_pixel_covers() -> None:
    checks = np.kron(np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4) * 16, np.ones((1, 1, 4, 4), dtype=np.uint8))
    small = resized(torch.from_numpy(checks), 4).numpy()
    assert np.abs(small.astype(int) - checks[:, :, ::4, ::4]).max() <= 24, "bilinear filters reach beyond a pixel"
    assert abs(small.mean() - checks.mean()) < 1
    assert (resized(torch.full((2, 3, 9, 7), 77, dtype=torch.uint8), 5) == 77).all()


def test_synthetic_images_are_balanced_seeded_and_learnable(workshop: Workshop) -> None:
    def source(seed: int) -> CatalogCall:
        return call("synthetic", classes=4, shape=(3, 12, 12), train=200, val=80, seed=seed)

    first, again, other = (datasets.load(source(seed), Path(place)) for seed, place in ((0, "a"), (0, "b"), (1, "a")))
    assert torch.equal(first.train.pixels, again.train.pixels)
    assert not torch.equal(first.train.pixels, other.train.pixels)
    assert torch.bincount(first.train.labels).tolist() == [50] * 4
    data = workshop.do(Data(source(0)))
    settings = training(6, mean=(0.5,) * 3, std=(0.25,) * 3, holdout=None, augment=())
    out = workshop.do(Evaluate(None, "val", None), weights=workshop.do(settings, data=data), data=data)
    assert document(out / "facts.json")["accuracy"] > 0.6


def test_a_network_for_colours_sees_grey_images_as_three_equal_channels(workshop: Workshop, few_digits: Path) -> None:
    colours = workshop.do(Data(call("synthetic", classes=10, shape=(3, 8, 8), train=60, val=20, seed=0)))
    trained = workshop.do(training(1, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), holdout=None), data=colours)
    rows = columns_of(workshop.do(Evaluate(None, "val", None), weights=trained, data=few_digits), "rows")
    grey = datasets.load(call("digits", limit=200, limit_val=60), Path("nowhere")).val
    with torch.no_grad():
        predicted = weights.load(trained)(unit_scale(grey.pixels[:]).expand(-1, 3, -1, -1)).argmax(1)
    assert rows["correct"].tolist() == (predicted == grey.labels).tolist()
    attacked = workshop.do(Evaluate(pgd(), "val", None), weights=trained, data=few_digits)
    assert document(attacked / "facts.json")["accuracy"] <= document(attacked / "facts.json")["clean"]
    own = workshop.do(training(1, holdout=None), data=few_digits)
    with pytest.raises(StepError, match="takes 1x8x8 images"):
        workshop.do(Evaluate(None, "val", None), weights=own, data=colours)


def test_a_folder_of_grey_images_is_shown_as_colours(workshop: Workshop, tmp_path: Path) -> None:
    for part in ("train", "val"):
        (tmp_path / part / "ape").mkdir(parents=True)
        Image.new("L", (6, 6), 90).save(tmp_path / part / "ape" / "grey.png")
        Image.new("RGB", (6, 6), (10, 20, 30)).save(tmp_path / part / "ape" / "red.png")
    data = workshop.do(Data(call("folder", path=".", resize=6), root=str(tmp_path)))
    pixels = np.load(data / "train.npy")
    assert pixels[:, :, 0, 0].tolist() == [[90, 90, 90], [10, 20, 30]]


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
def test_what_cannot_be_downloaded_says_how_to_lay_it_out(workshop: Workshop, source: CatalogCall) -> None:
    with pytest.raises(StepError) as caught:
        workshop.do(Data(source))
    assert "train/" in caught.value.help
    with pytest.raises(StepError, match="not there"):
        download(source, workshop.root)


def test_digits_and_synthetic_need_no_file(tmp_path: Path) -> None:
    assert locate(call("digits"), tmp_path)[0]
    download(call("digits"), tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StepError, match="no_such_set"):
        locate(call("no_such_set"), tmp_path)


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
    assert len(columns_of(rows, "rows")["index"]) == 6


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
def test_networks_have_their_published_size(model: CatalogCall, millions: float) -> None:
    with torch.device("meta"):
        network = build(model, (3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(
    ("model", "words"),
    [(call("no_such_net"), "no_such_net"), (call("wide_resnet", depth=29, width=1), "29 layers")],
)
def test_a_network_that_cannot_be_built_is_named(model: CatalogCall, words: str) -> None:
    with pytest.raises(StepError, match=words):
        build(model, (3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)


def test_a_stored_network_is_rebuilt_with_its_normalisation(workshop: Workshop, few_digits: Path) -> None:
    out = workshop.do(training(1, mean=(0.25,), std=(0.5,)), data=few_digits)
    network = weights.load(out)
    assert not network.training
    assert torch.allclose(network.normalise(torch.full((1, 1, 2, 2), 0.75)), torch.ones(1, 1, 2, 2))
    assert set(document(out / "model.json")) >= {"model", "classes", "shape", "mean", "std", "head"}
