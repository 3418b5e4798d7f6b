"""Images and labels in NumPy files: what becomes of them, what keys depend on, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satdsl import array_files
from satdsl.backend import array_images, data
from satdsl.backend.images import DataSet, balanced_subsample, resized
from satdsl.compile import check_file
from satdsl.diagnostics import SpecError
from satdsl.ir.steps import CatalogCall, Data, Step
from satdsl.ir.work import StepError, Work
from satdsl.plan import saved
from satdsl.plan.expand import expand

Array = np.ndarray[Any, Any]


def write(folder: Path, part: str, images: Array, labels: Array) -> str:
    """Save a part, and return the arguments that name it."""
    np.save(folder / f"{part}_x.npy", images)
    np.save(folder / f"{part}_y.npy", labels)
    return f', {part}_images="{part}_x.npy", {part}_labels="{part}_y.npy"'


def source(folder: Path, more: str, classes: int = 3) -> CatalogCall:
    """What the checker makes of `arrays(classes=..., MORE)`."""
    file = folder / "x.sat"
    file.write_text(f"sat 1\ndataset d = arrays(classes={classes}{more})\n")
    return check_file(file).datasets["d"].table[()].source


def work(folder: Path) -> Work:
    out = Path(tempfile.mkdtemp(dir=folder))
    return Work({}, out, out, folder)


def stored(folder: Path, of: CatalogCall) -> DataSet:
    return array_images.store_arrays(of, work(folder).out, lambda progress: None)


def codes(folder: Path, more: str, classes: int = 3) -> list[str]:
    try:
        source(folder, more, classes)
    except SpecError as error:
        return [finding.code for finding in error.findings if finding.severity == "error"]
    return []


def images_of(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    order=st.sampled_from(["first", "last", "fortran"]),
    kind=st.sampled_from(["u1", "<f2", ">f4", "<f8"]),
    label=st.sampled_from(["u1", ">i4", "i8"]),
    column=st.booleans(),
    rows=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    seed=st.integers(0, 99),
)
def test_the_bytes_of_every_layout_and_type_are_those_that_were_saved(
    tmp_path: Path, n: int, channels: int, order: str, kind: str, label: str, column: bool, rows: Any, seed: int
) -> None:
    pixels = images_of((n, channels, 5, 6), seed)
    labels = np.arange(n) % 3
    as_saved = pixels.transpose(0, 2, 3, 1) if order == "last" else pixels
    if kind != "u1":
        as_saved = (as_saved / 255).astype(kind)
    as_saved = np.asfortranarray(as_saved) if order == "fortran" else np.ascontiguousarray(as_saved)
    first, last = sorted(min(row, n - 1) for row in rows)
    own = labels.astype(label)
    more = write(tmp_path, "val", as_saved, own[:, None] if column else own) + f", rows={first}..{last}"
    found = stored(tmp_path, source(tmp_path, more))
    assert np.array_equal(found.val.pixels.numpy(), pixels[first : last + 1])  # type: ignore[union-attr]
    assert found.val.labels.tolist() == labels[first : last + 1].tolist()
    assert found.val.index.tolist() == list(range(last - first + 1)), "an image is counted from the first of the rows"
    assert (len(found.train), found.shape) == (0, (channels, 5, 6))


def test_grey_images_without_a_side_for_channels_have_one(tmp_path: Path) -> None:
    pixels = images_of((4, 5, 6))
    found = stored(tmp_path, source(tmp_path, write(tmp_path, "train", pixels, np.arange(4) % 3)))
    assert np.array_equal(found.train.pixels.numpy()[:, 0], pixels)  # type: ignore[union-attr]


def test_limit_and_resize_are_those_of_every_data_set_and_pieces_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, labels = images_of((60, 3, 9, 9)), np.arange(60) % 3
    more = write(tmp_path, "train", pixels, labels) + write(tmp_path, "val", pixels[:7], labels[:7])
    of = source(tmp_path, more + ", limit=31, limit_val=4, resize=6")
    whole = stored(tmp_path, of)
    chosen = balanced_subsample(labels, 3, 31)
    import torch

    assert torch.equal(whole.train.pixels, resized(torch.from_numpy(pixels[chosen]), 6))  # type: ignore[arg-type]
    assert whole.train.index.tolist() == chosen.tolist()
    monkeypatch.setattr(array_images, "CHUNK", 4)
    again = stored(tmp_path, of)
    assert torch.equal(again.train.pixels, whole.train.pixels)  # type: ignore[arg-type]
    assert torch.equal(again.val.pixels, whole.val.pixels)  # type: ignore[arg-type]


def test_floats_between_the_levels_are_rounded_where_that_is_asked_for(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).random((5, 4, 4)) * 255
    more = write(tmp_path, "val", levels / 255, np.arange(5) % 3)
    assert codes(tmp_path, more) == ["E324"]
    found = stored(tmp_path, source(tmp_path, more + ", levels=round"))
    assert np.abs(found.val.pixels.numpy()[:, 0] - levels).max() <= 0.5  # type: ignore[union-attr]


def test_half_precision_is_near_enough_to_its_level(tmp_path: Path) -> None:
    every = np.arange(256).reshape(1, 16, 16)
    for kind in ("<f2", "<f4"):
        found = stored(tmp_path, source(tmp_path, write(tmp_path, "val", (every / 255).astype(kind), np.zeros(1, int))))
        assert np.array_equal(found.val.pixels.numpy()[:, 0], every)  # type: ignore[union-attr]


# --- keys and files ------------------------------------------------------------------------------


def test_a_key_depends_on_what_is_in_the_files_and_not_on_where_they_are(tmp_path: Path) -> None:
    pixels, labels = images_of((6, 3, 8, 8)), np.arange(6) % 3
    keys = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        more = write(tmp_path / name, "val", pixels, labels)
        plain = source(tmp_path / name, more)
        for same in (", layout=channels_first", ", rows=0..5", ", levels=round", ", mean=[0, 0, 0], std=[1, 1, 1]"):
            assert Step(Data(source(tmp_path / name, more + same))).key == Step(Data(plain)).key, same
        keys.append(Step(Data(plain)).key)
    assert keys[0] == keys[1]
    assert Step(Data(source(tmp_path / "there", more + ", rows=0..4"))).key != keys[0]
    write(tmp_path / "there", "val", pixels[::-1], labels)
    assert Step(Data(source(tmp_path / "there", more))).key != keys[0]


def test_the_data_step_refuses_a_file_that_changed_since_and_a_saved_plan_names_it(tmp_path: Path) -> None:
    more = write(tmp_path, "val", images_of((6, 8, 8)), np.arange(6) % 3)
    of = source(tmp_path, more)
    file = tmp_path / "plan.json"
    (tmp_path / "p.sat").write_text(
        f"sat 1\ndataset d = arrays(classes=3{more})\ndataset s = synthetic(classes=3, shape=[1, 8, 8])\n"
        "model m = small_cnn()\nrecipe r = sgd(epochs=1)\ntrain t = m on s using r\n"
        "evaluate t { c = clean accuracy on d.val }\n"
    )
    plan = expand(check_file(tmp_path / "p.sat"))
    saved.save(plan, file)
    assert saved.load(file).steps == plan.steps
    write(tmp_path, "val", images_of((6, 8, 8), seed=1), np.arange(6) % 3)
    with pytest.raises(StepError, match=r"val_x\.npy changed since the specification was compiled"):
        data.perform(Step(Data(of)), work(tmp_path))
    with pytest.raises(saved.UnusablePlan, match=r"val_x\.npy is not what it was"):
        saved.load(file)
    (tmp_path / "val_x.npy").unlink()
    with pytest.raises(StepError, match="arrays is not there"):
        data.perform(Step(Data(of)), work(tmp_path))


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = array_files._digest
    monkeypatch.setattr(array_files, "_digest", lambda path: read.append(path) or real(path))
    more = write(tmp_path, "val", images_of((6, 8, 8)) / 255, np.arange(6) % 3)
    first = source(tmp_path, more)
    assert len(read) == 2
    assert source(tmp_path, more) == first
    assert len(read) == 2
    place, before = tmp_path / "val_x.npy", (tmp_path / "val_x.npy").stat()
    content = bytearray(place.read_bytes())
    content[-8:] = np.float64(0).tobytes()
    place.write_bytes(content)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source(tmp_path, more) != first, "replaced under its old size and time"
    assert len(read) == 3
    for kept in array_files.user_cache.place("arrays").iterdir():
        kept.write_text("{")
    assert source(tmp_path, more) != first, "a damaged cache is no loss"


def test_checking_arrays_loads_no_torch(tmp_path: Path) -> None:
    more = write(tmp_path, "val", images_of((6, 8, 8)) / 255, np.arange(6) % 3)
    (tmp_path / "x.sat").write_text(f"sat 1\ndataset d = arrays(classes=3{more})\n")
    code = (
        "import sys; from pathlib import Path; from satdsl.compile import check_file\n"
        "check_file(Path(sys.argv[1])); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.sat")], check=True)


# --- what is refused -----------------------------------------------------------------------------

LABELS = np.arange(6) % 3
REFUSED: dict[str, tuple[Array, Array, str, str]] = {
    "objects": (np.array([{}] * 6), LABELS, "", "E320"),
    "complex": (np.zeros((6, 8, 8), complex), LABELS, "", "E320"),
    "bool": (np.zeros((6, 8, 8), bool), LABELS, "", "E320"),
    "ints": (np.zeros((6, 8, 8), np.int64), LABELS, "", "E320"),
    "flat": (np.zeros((6, 64), np.uint8), LABELS, "", "E320"),
    "none": (np.zeros((0, 8, 8), np.uint8), LABELS[:0], "", "E320"),
    "text": (np.array(["a"] * 6), LABELS, "", "E320"),
    "float labels": (np.zeros((6, 8, 8), np.uint8), LABELS / 1.0, "", "E320"),
    "two numbers each": (np.zeros((6, 8, 8), np.uint8), np.zeros((6, 2), int), "", "E320"),
    "both sides": (np.zeros((6, 3, 8, 1), np.uint8), LABELS, "", "E321"),
    "neither side": (np.zeros((6, 4, 8, 8), np.uint8), LABELS, "", "E321"),
    "fewer labels": (np.zeros((6, 8, 8), np.uint8), LABELS[:5], "", "E322"),
    "rows beyond": (np.zeros((6, 8, 8), np.uint8), LABELS, ", rows=3..6", "E322"),
    "rows of nothing": (np.zeros((6, 8, 8), np.uint8), LABELS, ", train_rows=3..4", "E322"),
    "label of no class": (np.zeros((6, 8, 8), np.uint8), LABELS + 1, "", "E323"),
    "negative label": (np.zeros((6, 8, 8), np.uint8), LABELS - 1, "", "E323"),
    "large label": (np.zeros((6, 8, 8), np.uint8), np.array([0, 1, 2, 0, 1, 2**63], np.uint64), "", "E323"),
    "to 255": (np.full((6, 8, 8), 255.0), LABELS, "", "E324"),
    "negative": (np.full((6, 8, 8), -0.5), LABELS, "", "E324"),
    "nan": (np.full((6, 8, 8), np.nan), LABELS, "", "E324"),
    "inf": (np.full((6, 8, 8), np.inf, np.float16), LABELS, "", "E324"),
    "means": (np.zeros((6, 3, 8, 8), np.uint8), LABELS, ", mean=[0.5]", "E301"),
    "too many classes": (np.zeros((6, 8, 8), np.uint8), LABELS, "", "E304"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_images_and_labels_is_refused(tmp_path: Path, case: str) -> None:
    images, labels, more, code = REFUSED[case]
    classes = 10**9 if case == "too many classes" else 3
    assert codes(tmp_path, write(tmp_path, "val", images, labels) + more, classes) == [code]


def test_a_truncated_file_and_a_pipe_are_no_arrays(tmp_path: Path) -> None:
    more = write(tmp_path, "val", images_of((6, 8, 8)), LABELS)
    content = (tmp_path / "val_x.npy").read_bytes()
    (tmp_path / "val_x.npy").write_bytes(content[:-1])
    assert codes(tmp_path, more) == ["E320"]
    (tmp_path / "val_x.npy").unlink()
    os.mkfifo(tmp_path / "val_x.npy")
    assert codes(tmp_path, more) == ["E306"]


def test_rows_may_depend_on_an_axis(tmp_path: Path) -> None:
    more = write(tmp_path, "val", images_of((6, 8, 8)), LABELS)
    file = tmp_path / "x.sat"
    file.write_text(
        "sat 1\nsweep { s = 1..2 }\n"
        f"dataset d = arrays(classes=3{more}, rows=(3*$s - 3)..(3*$s - 1))\n"
        "dataset e = synthetic(classes=3, shape=[1, 8, 8], train=30)\nmodel m = small_cnn()\nrecipe r = sgd(epochs=1)\n"
        "train t = m on e using r\nevaluate t { c = clean accuracy on d.val }\n"
    )
    table = check_file(file).datasets["d"].table
    assert {at: one.source["rows"] for at, one in table.items()} == {("1",): (0, 2), ("2",): (3, 5)}
