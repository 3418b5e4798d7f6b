"""Image sizes: `resize=none` keeps images as they are, and nothing is enlarged where sizes agree already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from satdsl.backend import datasets
from satdsl.catalog import catalog
from satdsl.ir.work import StepError

RNG = np.random.default_rng(0)


def folder_of(root: Path, *sizes: tuple[int, int], per_class: int = 2) -> dict[str, np.ndarray]:
    """Make a folder of images of these sizes (width, height) in turn; return the pixels [h, w, 3] of each."""
    made = {}
    for part in ("train", "val"):
        for klass in ("cat", "dog"):
            (root / part / klass).mkdir(parents=True, exist_ok=True)
            for i in range(per_class):
                width, height = sizes[len(made) % len(sizes)]
                pixels = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
                made[f"{part}/{klass}/{i}.png"] = pixels
                Image.fromarray(pixels).save(root / part / klass / f"{i}.png")
    return made


def kept(root: Path, out: Path, **how: object) -> np.ndarray:
    """The pixels of the training images that the data step stores, [n, h, w, 3]."""
    source = catalog().call("folder", ("path", "."), *how.items())
    out.mkdir()
    datasets.store_pixels(datasets.load(source, root), out, lambda progress: None)
    return np.load(out / "train.npy").transpose(0, 2, 3, 1)


@pytest.mark.parametrize("resize", [8, None])
def test_images_that_have_the_size_already_are_left_as_they_are(tmp_path, resize):
    made = folder_of(tmp_path, (8, 8))
    right = [pixels for name, pixels in made.items() if name.startswith("train")]
    assert np.array_equal(kept(tmp_path, tmp_path / "out", resize=resize), np.stack(right))


def test_images_of_another_size_are_scaled_and_cropped_as_photographs_are(tmp_path):
    made = folder_of(tmp_path, (20, 18))
    with Image.open(tmp_path / "train/cat/0.png") as image:
        whole = image.resize((10, 9), Image.Resampling.BILINEAR)
    assert np.array_equal(kept(tmp_path, tmp_path / "out", resize=8)[0], np.asarray(whole.crop((1, 0, 9, 8))))
    assert made


def test_without_resize_an_image_need_not_be_a_square(tmp_path):
    made = folder_of(tmp_path, (20, 18))
    assert np.array_equal(kept(tmp_path, tmp_path / "out", resize=None)[0], made["train/cat/0.png"])


def test_without_resize_images_of_other_sizes_are_all_named(tmp_path):
    folder_of(tmp_path, (8, 8), (8, 8), (8, 9))
    with pytest.raises(
        StepError, match=r"2 of 8 images cannot be used: its shape is 3x9x8, others have 3x8x8 \(2: "
    ) as e:
        kept(tmp_path, tmp_path / "out", resize=None)
    assert "cat/2.png" not in str(e.value)
    assert "resize=" in e.value.help


def test_without_resize_both_parts_have_one_size(tmp_path):
    folder_of(tmp_path, (8, 8))
    for path in (tmp_path / "val").rglob("*.png"):
        Image.new("RGB", (9, 8)).save(path)
    with pytest.raises(StepError, match="8x8 pixels in train/ and 9x8 pixels in val/"):
        kept(tmp_path, tmp_path / "out", resize=None)


@pytest.mark.parametrize("keep", [datasets.store_pixels, datasets.store_file_list])
def test_all_files_that_are_no_images_are_named_together(tmp_path, keep):
    folder_of(tmp_path, (8, 8), per_class=8)
    for i in (0, 1, 3, 7):
        (tmp_path / f"train/dog/{i}.png").write_bytes(b"")
    (tmp_path / "val/cat/5.png").write_bytes((tmp_path / "val/cat/5.png").read_bytes()[:80])
    (tmp_path / "out").mkdir()
    data = datasets.load(catalog().call("folder", ("path", "."), ("resize", None)), tmp_path)
    with pytest.raises(StepError) as caught:
        keep(data, tmp_path / "out", lambda progress: None)
    assert caught.value.reason.startswith("5 of 32 images cannot be used: the file has 0 bytes (4: ")
    assert "train/dog/3.png, ...); a part of it is missing or damaged (1: " in caught.value.reason
