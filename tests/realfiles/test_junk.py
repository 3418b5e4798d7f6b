"""What lies about in folders: left out with a word, or refused with a reason, all kinds at once and never hanging."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from satdsl import folder_contents
from satdsl.backend import datasets
from satdsl.backend.dataset_paths import size_on_disk
from satdsl.backend.dataset_readers import caltech256, imagenet
from satdsl.catalog import catalog
from satdsl.check import check
from satdsl.diagnostics import SpecError
from satdsl.image_folders import images_below, listing, shown
from satdsl.ir.work import StepError
from tests.realfiles.folder_tree import album, codes, found, message, picture


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return album(tmp_path / "pictures")


def messages(folder: Path, code: str) -> str:
    return "\n".join(finding.message for finding in found(folder) if finding.code == code)


def helps(folder: Path) -> str:
    return "\n".join(f"{finding.reason}; {finding.help}" for finding in found(folder))


def classes(folder: Path) -> tuple[str, ...]:
    return datasets.load(catalog().call("folder", ("path", "."), ("resize", 8)), folder).classes


# --- left out ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", ".git", "$RECYCLE.BIN", "__pycache__", "#recycle"],
)
@pytest.mark.parametrize("place", ["train", "val/cat"])
def test_a_folder_that_programs_leave_is_no_class_and_its_images_do_not_count(pictures, name, place):
    before = folder_contents.read(pictures).digest
    picture(pictures / place / name / "0-checkpoint.png")
    assert f"`{place}/{name}`" in message(pictures, "E310")
    assert [finding.severity for finding in found(pictures)] == ["warning"]
    assert folder_contents.read(pictures).digest == before
    assert classes(pictures) == ("cat", "dog")


def test_files_that_programs_leave_are_no_images(pictures):
    before = folder_contents.read(pictures).digest
    for name in ("train/.DS_Store", "train/cat/Thumbs.db", "val/dog/desktop.ini", "train/README.md", "train/cat/n.txt"):
        (pictures / name).write_bytes(b"x")
    assert codes(pictures) == []
    (pictures / "train/cat/._0.png").write_bytes(b"\x00\x05\x16\x07")
    assert "`train/cat/._0.png`" in message(pictures, "E310")
    assert folder_contents.read(pictures).digest == before


def test_each_kind_is_said_once_with_its_count_and_all_kinds_at_once(pictures):
    for i in range(7):
        picture(pictures / f"train/loose{i}.png")
        (pictures / f"train/cat/{i}.GIF").write_bytes(b"GIF89a")
    for name in ("a.avif", "b.heic", "c.npy", "d.tar"):
        (pictures / "val/dog" / name).write_bytes(b"x")
    (pictures / "train/bird.tar.gz").write_bytes(b"x")
    picture(pictures / "train/.cache/1.png")
    shutil.copy(pictures / "train/cat/0.png", pictures / "val/cat/copy.png")
    shutil.copy(pictures / "train/cat/1.png", pictures / "train/dog/copy.png")
    said = messages(pictures, "E310")
    assert "7 images of" in said
    assert "`train/loose0.png`, `train/loose1.png`, `train/loose2.png`, ..." in said
    assert "11 files of" in said
    assert "7 .gif" in said
    assert "1 archive" in said
    assert codes(pictures) == ["E309", "E310", "E310", "E310", "E310", "E311"]


@pytest.mark.parametrize("make", ["pipe", "socket"])
def test_a_pipe_that_is_called_like_an_image_is_not_waited_for(pictures, make, monkeypatch):
    monkeypatch.chdir(pictures / "train/cat")
    if make == "pipe":
        os.mkfifo("x.png")
    else:
        socket.socket(socket.AF_UNIX).bind("x.png")
    assert f"`train/cat/x.png` is a {make}" in message(pictures, "E310")
    assert len(datasets.load(catalog().call("folder", ("path", "."), ("resize", 8)), pictures).train) == 8


def test_a_link_to_a_device_is_not_read(pictures):
    (pictures / "train/cat/zero.png").symlink_to("/dev/zero")
    assert "`train/cat/zero.png` is a device" in message(pictures, "E310")


# --- layouts -------------------------------------------------------------------------------------


def test_a_level_of_folders_too_much_is_an_error(tmp_path):
    deep = album(tmp_path / "deep", ("train/cat", "train/dog"))
    assert codes(deep) == ["E308"]
    assert "the only class in train/ is `train`" in message(deep, "E308")
    assert "move what is in `train/train/` up into `train/`" in helps(deep)


def test_a_level_too_much_that_is_called_differently_in_both_parts_is_an_error(tmp_path):
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            picture(tmp_path / "deep" / part / part / name / "0.png")
    assert "the only class in train/ is `train` and the only class in val/ is `val`" in message(
        tmp_path / "deep", "E308"
    )


@pytest.mark.parametrize("others", [("valid",), ("test",), ("Val",), ("validation", "Test")])
def test_other_words_for_val_are_known(pictures, others):
    (pictures / "val").rename(pictures / others[0])
    for name in others[1:]:
        (pictures / name).mkdir()
    assert codes(pictures) == ["E306"]
    assert f"did you mean `{others[0]}/`" in helps(pictures)
    assert f"ln -s {others[0]} val" in helps(pictures)


def test_a_capital_train_and_a_folder_around_and_an_archive_are_known(pictures, tmp_path):
    (pictures / "train").rename(pictures / "Train")
    assert "did you mean `Train/`" in helps(pictures)
    (pictures / "Train").rename(pictures / "train")
    (tmp_path / "outer").mkdir()
    pictures.rename(tmp_path / "outer/inner")
    assert "outer/inner`? it has both" in helps(tmp_path / "outer")
    shutil.rmtree(tmp_path / "outer/inner/val")
    (tmp_path / "outer/inner/val.tar").write_bytes(b"x")
    assert "unpack `val.tar` first" in helps(tmp_path / "outer/inner")


def test_a_part_that_is_a_broken_link_or_a_file_is_no_traceback(pictures):
    shutil.rmtree(pictures / "train")
    shutil.rmtree(pictures / "val")
    (pictures / "train").symlink_to("/nowhere/at/all")
    (pictures / "val").write_text("x")
    said = messages(pictures, "E306")
    assert "is a link that leads nowhere, to `/nowhere/at/all`" in said
    assert "val` is no folder" in said


def test_classes_in_one_part_only_and_empty_ones_are_both_said(pictures):
    (pictures / "val/dog").rename(pictures / "val/Dog")
    (pictures / "train/bird").mkdir()
    (pictures / "train/bird/1.gif").write_bytes(b"GIF89a")
    said = messages(pictures, "E308")
    assert "only in train/: `bird`, `dog`; only in val/: `Dog`" in said
    assert "1 class of" in said
    assert "has no images in train/: `bird`" in said
    assert "did you mean `dog` by `Dog`" in helps(pictures)
    assert "there are 1 .gif" in helps(pictures)
    with pytest.raises(StepError, match="differ in classes"):
        classes(pictures)


def test_a_file_in_the_place_of_a_class_folder_is_said(pictures):
    shutil.rmtree(pictures / "val/dog")
    (pictures / "val/dog").write_text("x")
    assert "val/dog` is a file" in helps(pictures)


def test_images_without_class_folders_are_an_error(pictures):
    shutil.rmtree(pictures / "train")
    picture(pictures / "train/0.png")
    assert codes(pictures) == ["E308"]
    assert "1 image lies in it directly" in helps(pictures)


# --- repeated ------------------------------------------------------------------------------------


def test_the_same_image_in_both_parts_is_counted(pictures):
    for i in range(2):
        shutil.copy(pictures / f"train/cat/{i}.png", pictures / f"val/cat/copy{i}.png")
    assert "2 of the 6 validation images" in message(pictures, "E311")
    assert "`val/cat/copy0.png` is `train/cat/0.png`" in message(pictures, "E311")


def test_the_same_image_in_two_classes_is_counted(pictures):
    (pictures / "train/dog/linked.png").symlink_to("../cat/0.png")
    shutil.copy(pictures / "train/cat/1.png", pictures / "val/dog/other.png")
    assert "2 images of" in message(pictures, "E309")
    assert "`train/cat/0.png` is `train/dog/linked.png`" in message(pictures, "E309")


def test_empty_files_are_no_copies_of_each_other(pictures):
    for name in ("train/cat/e.png", "train/dog/e.png", "val/cat/e.png"):
        (pictures / name).write_bytes(b"")
    assert not {"E309", "E311"} & set(codes(pictures))


# --- what cannot be read -------------------------------------------------------------------------


def test_what_may_not_be_read_is_named(pictures, monkeypatch):
    real = folder_contents.opened

    def refused(place: str | os.PathLike[str]) -> object:
        if str(place).endswith(("cat/1.png", "dog/1.png")):
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    monkeypatch.setattr(folder_contents, "opened", refused)
    said = messages(pictures, "E306")
    assert "4 files or folders in" in said
    assert "`train/cat/1.png` (Permission denied)" in said
    with pytest.raises(StepError, match="cannot be read"):
        classes(pictures)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(pictures):
    (pictures / "train/cat").chmod(0)
    assert "`train/cat` (Permission denied)" in messages(pictures, "E306")
    (pictures / "train/cat").chmod(0o755)


def test_very_deep_folders_are_read_or_named(pictures, monkeypatch):
    monkeypatch.chdir(pictures / "train/cat")
    for _ in range(30):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save("deep.png")
    assert "File name too long" in messages(pictures, "E306")


def test_names_are_shown_so_that_they_can_be_printed():
    assert shown(os.fsdecode(b"caf\xe9.png")) == r"caf\xe9.png"
    assert shown("a\nb\x1b[31m") == r"a\nb\x1b[31m"
    assert shown("café") == "café"


# --- other data sets, and files that specifications name -----------------------------------------


def test_caltech256_has_no_class_more_for_what_lies_about(tmp_path):
    base = tmp_path / "caltech256/256_ObjectCategories"
    for name in ("001.ak47", "002.flag"):
        for i in range(3):
            picture(base / name / f"{i}.jpg")
    before = caltech256(catalog().call("Caltech256", ("resize", 8)), tmp_path)
    picture(base / ".ipynb_checkpoints/1.jpg")
    (base / "001.ak47/._0.jpg").write_bytes(b"x")
    after = caltech256(catalog().call("Caltech256", ("resize", 8)), tmp_path)
    assert after.train.labels.tolist() == before.train.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_imagenet_leaves_junk_out_and_refuses_circles(tmp_path, monkeypatch):
    known = {"classes": ["one", "two"], "wnids": ["n2", "n1"]}
    monkeypatch.setattr("satdsl.backend.dataset_readers.listed", lambda choice, fact: tuple(known[fact]))
    for part in ("train", "val"):
        for wnid in ("n1", "n2", "__MACOSX"):
            picture(tmp_path / "imagenet" / part / wnid / "a" / "1.png")
            picture(tmp_path / "imagenet" / part / wnid / "0.png")
    (tmp_path / "imagenet/train/n1/._0.png").write_bytes(b"x")
    read = imagenet(catalog().call("ImageNet200", ("resize", 8)), tmp_path)
    assert read.train.labels.tolist() == [1, 1, 0, 0]
    assert [read.train.pixels.path(i).name for i in range(2)] == ["0.png", "1.png"]
    (tmp_path / "imagenet/train/n1/up").symlink_to("..")
    with pytest.raises(OSError, match="leads back"):
        images_below(tmp_path / "imagenet/train/n1")
    with pytest.raises(StepError, match="leads back"):
        datasets.read(catalog().call("ImageNet200", ("resize", 8)), tmp_path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pipe", "it is a pipe"),
        ("folder", "it is a folder"),
        ("link", "it is a link that leads nowhere, to `gone.txt`"),
    ],
)
def test_a_named_file_that_is_none_is_refused_without_waiting(tmp_path, kind, reason):
    named = tmp_path / "hard.txt"
    {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda path: os.symlink("gone.txt", path)}[kind](named)
    text = 'sat 1\ndataset d = digits()\nsplit s of d { A = examples listed in "hard.txt"; B = rest }\n'
    with pytest.raises(SpecError) as error:
        check(str(tmp_path / "spec.sat"), text)
    (one,) = [finding for finding in error.value.findings if finding.code == "E306"]
    assert one.reason == reason


@pytest.mark.parametrize(
    "line", ['use "pipe.sat"', 'model m = checkpoint("pipe.pt", arch=small_cnn())', 'dataset e = folder("pipe.pt")']
)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path, line):
    os.mkfifo(tmp_path / "pipe.sat")
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(SpecError) as error:
        check(str(tmp_path / "spec.sat"), f"sat 1\ndataset d = digits()\n{line}\n")
    assert [finding.code for finding in error.value.findings] == ["E306"]


def test_the_size_of_a_folder_is_that_of_its_images(pictures):
    (pictures / "train/notes.txt").symlink_to("nowhere")
    (pictures / "train/cat/linked.png").symlink_to("0.png")
    files = [file for file in pictures.rglob("*.png") if file.is_file()]
    assert size_on_disk(catalog().call("folder", ("path", ".")), pictures) == sum(f.stat().st_size for f in files)


def test_a_listing_never_opens_a_file(pictures):
    os.mkfifo(pictures / "train/cat/x.png")
    counts = {name: len(list(part.images())) for name, part in listing(pictures).parts.items() if part is not None}
    assert counts == {"train": 8, "val": 4}
