"""Image sizes: `resize=none` keeps images as they are, and nothing is enlarged where sizes agree already."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Resize

from satdsl.backend import datasets
from satdsl.backend.image_files import Decoding, UnusableImage, decode_image
from satdsl.catalog import catalog
from satdsl.compile import check_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding
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


def test_an_image_whose_shorter_side_has_the_size_is_only_cropped(tmp_path):
    made = folder_of(tmp_path, (12, 8))
    right = [pixels[:, 2:10] for name, pixels in made.items() if name.startswith("train")]
    assert np.array_equal(kept(tmp_path, tmp_path / "out", resize=8), np.stack(right))


def test_published_sets_are_scaled_as_everyone_scales_them():
    assert Decoding.of(catalog().call("ImageNet")) == Decoding(224, "drop", "ignore", enlarge=True)
    content = io.BytesIO()
    pixels = RNG.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(content, "PNG")
    theirs = CenterCrop(224)(Resize(256)(Image.fromarray(pixels)))
    ours = decode_image(Path("x.png"), content.getvalue(), Decoding(224))
    assert np.array_equal(ours.transpose(1, 2, 0), np.asarray(theirs))


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


def test_an_error_about_a_file_can_be_printed_and_sent_to_another_process(tmp_path):
    error = UnusableImage(tmp_path / os.fsdecode(b"caf\xe9.png"), "the file has 0 bytes", "remove it")
    assert str(error).encode("utf-8").endswith(rb"caf\xe9.png cannot be used: the file has 0 bytes; remove it")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# --- through check ------------------------------------------------------------------------------------------


def findings_of(root: Path, arguments: str, more: str = "") -> list[Finding]:
    """What `check` says of a folder that is used with these arguments."""
    (root / "main.sat").write_text(f'sat 1\ndataset d = folder("."{arguments})\n{more}')
    try:
        return list(check_file(root / "main.sat").warnings)
    except SpecError as error:
        return list(error.findings)


TRAINED = """model cnn = small_cnn(width=4)
recipe r = sgd(epochs=1)
attack a = pgd(norm=L2, eps={eps}, steps=5, step_size=0.1)
train net = cnn on d using r { attack all with a }
evaluate net { clean = clean accuracy on val }
"""


def test_the_checker_knows_the_size_of_images_that_are_left_as_they_are(tmp_path):
    folder_of(tmp_path, (20, 18))
    # The box of 3 x 18 x 20 pixels has a diagonal of 32.86.
    for eps, wrong in (("32.8", False), ("32.9", True)):
        found = findings_of(tmp_path, ", resize=none", TRAINED.replace("{eps}", eps))
        assert ("E601" in [finding.code for finding in found]) == wrong


def test_the_checker_refuses_several_sizes_without_resize(tmp_path):
    folder_of(tmp_path, (8, 8), (8, 8), (8, 9))
    (found,) = findings_of(tmp_path, ", resize=none")
    assert (found.code, found.severity) == ("E316", "error")
    assert "8x8 pixels (6: train/cat/0.png" in found.reason
    assert "8x9 pixels (2: train/dog/0.png, val/cat/1.png)" in found.reason
    assert findings_of(tmp_path, ", resize=8") == []


def test_the_checker_warns_of_small_images_that_are_enlarged_unasked(tmp_path):
    folder_of(tmp_path, (32, 32))
    (found,) = findings_of(tmp_path, "")
    assert (found.code, found.severity) == ("E317", "warning")
    assert "49 times as much" in found.reason
    for arguments in (", resize=none", ", resize=32", ", resize=224"):
        assert findings_of(tmp_path, arguments) == []


def test_photographs_are_not_warned_of(tmp_path):
    folder_of(tmp_path, (160, 120), (300, 200), per_class=1)
    assert findings_of(tmp_path, "") == []
