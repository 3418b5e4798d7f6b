"""What a checkpoint has to prove: the authors' logits for some images, and the clean accuracy that they state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import satdsl
from satdsl.api import RunError
from satdsl.backend.architectures import untrained

SPEC = """sat 1
dataset d = synthetic(classes=4, shape=[3, 8, 8], train=16, val=40, holdout=20%)
model m = checkpoint("net.pt", arch=small_cnn(width=4), mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25]{more})
recipe nothing = sgd(epochs=0)
train given = m on d using nothing
evaluate given {{ clean = clean accuracy on val }}
"""
BOTH = ', expect=(images="x.npy", logits="y.npy")'


def authors() -> nn.Module:
    """The network as its authors have it, with statistics of batch norm that are not those of a new one."""
    torch.manual_seed(0)
    net = untrained(model={"name": "small_cnn", "width": 4}, classes=4, shape=(3, 8, 8), mean=[0.5] * 3, std=[0.25] * 3)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
        net.head.weight.normal_()
    return net.eval()


IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)


def given(net: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        logits: Tensor = net(torch.from_numpy(images).float() / 255)
    return logits.numpy()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the steps on the data set alone leave is the same for all tests."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def spec(tmp_path: Path, store: Path) -> Callable[..., satdsl.Spec]:
    net = authors()
    torch.save(net.body.state_dict(), tmp_path / "net.pt")
    np.save(tmp_path / "x.npy", IMAGES)
    np.save(tmp_path / "y.npy", given(net, IMAGES))

    def make(more: str, **files: np.ndarray) -> satdsl.Spec:
        for name, array in files.items():
            np.save(tmp_path / f"{name}.npy", array)
        (tmp_path / "spec.sat").write_text(SPEC.format(more=more), "utf-8")
        return satdsl.load(tmp_path / "spec.sat", store=store, data=tmp_path)

    return make


def told(spec: satdsl.Spec) -> str:
    with pytest.raises(RunError) as raised:
        spec.run(progress=False, device="cpu")
    return str(raised.value)


def proved(spec: satdsl.Spec, store: Path) -> dict[str, Any]:
    spec.run(progress=False, device="cpu")
    ((_, key),) = spec.plan.named["given"]
    (found,) = [path for path in store.rglob("pretrained.json") if key in str(path)]
    document: dict[str, Any] = json.loads(found.read_text("utf-8"))["proof"]
    return document


WRITTEN = {
    "bytes": IMAGES,
    "floats": (IMAGES / 255).astype(np.float32),
    "doubles, channels last": np.moveaxis(IMAGES / 255, 1, -1),
    "bytes in Fortran order": np.asfortranarray(IMAGES),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_logits_that_the_network_gives_are_a_proof(spec: Any, store: Path, form: str) -> None:
    found = proved(spec(BOTH, x=WRITTEN[form]), store)
    assert found["images"] == found["same_class"] == 6
    assert found["largest_difference"] < 1e-4


def test_another_normalisation_is_refused_with_the_difference_and_the_classes(spec: Any) -> None:
    made = spec(BOTH)
    path = made.path
    path.write_text(path.read_text("utf-8").replace("std=[0.25, 0.25, 0.25]", "std=[0.1, 0.1, 0.1]"), "utf-8")
    text = told(made)
    assert "does not give the logits" in text
    assert "of 6 images are given the same class" in text
    assert "`mean` and `std`" in text


def training_mode() -> np.ndarray:
    return given(authors().train(), IMAGES)


WRONG: dict[str, tuple[Callable[[], dict[str, np.ndarray]], str]] = {
    "BGR": (lambda: {"x": IMAGES[:, ::-1]}, "red and blue are exchanged"),
    "softmax": (lambda: {"y": torch.tensor(given(authors(), IMAGES)).softmax(1).numpy()}, "they are probabilities"),
    "log softmax": (lambda: {"y": torch.tensor(given(authors(), IMAGES)).log_softmax(1).numpy()}, "logarithms"),
    "training mode": (lambda: {"y": training_mode()}, r"call model.eval()"),
    "half precision": (lambda: {"y": given(authors(), IMAGES) * 1.004}, "lower precision"),
    "normalised images": (lambda: {"x": (IMAGES / 255 - 0.5) / 0.25}, "before they are normalised"),
    "0 to 255 in floats": (lambda: {"x": IMAGES.astype(np.float32)}, "reach from 0 to 255"),
    "NaN": (lambda: {"y": np.full((6, 4), np.nan, np.float32)}, "not all finite"),
    "NaN in an image": (lambda: {"x": np.full((6, 3, 8, 8), np.nan, np.float32)}, "from 0 to 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_may_be_wrong_is_said(spec: Any, case: str) -> None:
    files, words = WRONG[case]
    assert words in told(spec(BOTH, **files()))


def test_nothing_is_measured_with_a_network_that_fails_its_proof(spec: Any, store: Path) -> None:
    made = spec(BOTH, y=given(authors(), IMAGES)[::-1].copy())
    told(made)
    kinds = {step.kind for key, step in made.plan.steps.items() if any(store.rglob(f"*{key}*/manifest.json"))}
    assert kinds <= {"data"}


def test_another_proof_is_proved_again(spec: Any, store: Path) -> None:
    first = spec(BOTH)
    proved(first, store)
    assert "does not give" in told(spec(BOTH, y=given(authors(), IMAGES) + 1))
    assert "changed since" in told_of_a_changed_file(first)


def told_of_a_changed_file(spec: satdsl.Spec) -> str:
    """Plan with one proof, and have another when it runs."""
    spec = satdsl.load(spec.path, store=spec.path.parent / "other", data=spec.data)
    assert spec.plan.steps
    np.save(spec.path.parent / "y.npy", np.zeros((6, 4), np.float32))
    return told(spec)


def test_the_stated_accuracy_is_compared_with_that_on_all_validation_images(spec: Any, store: Path) -> None:
    free = told(spec(", clean=100% ± 0%"))
    assert "of the 40 validation images" in free, "those of the hold-out are among them"
    right = int(free.split("validation images (")[1].split(")")[0])
    share = f"{right / 40:.2%}"
    found = proved(spec(f", clean={share} ± 0.01%"), store)
    assert found == {"clean": right / 40, "validation_images": 40}
    near = proved(spec(f", clean={(right + 1) / 40:.2%} +/- 2.5%"), store)
    assert near["clean"] == right / 40
    assert "its `clean` is" in told(spec(f", clean={(right + 1) / 40:.2%}")), "half a percent if nothing is written"


def test_a_smoke_run_proves_the_logits_and_not_the_accuracy(spec: Any, tmp_path: Path) -> None:
    from satdsl.compile import compile_file

    made = spec(BOTH + ", clean=100% ± 0%")
    compiled = compile_file(made.path, smoke=True)
    (settings,) = [step.settings for step in compiled.plan.steps.values() if step.kind == "train"]
    assert settings.pretrained.proof.images is not None
    assert settings.pretrained.proof.clean is None


# --- what check says -----------------------------------------------------------------------------------


def findings(spec: satdsl.Spec) -> list[tuple[str, str]]:
    return [(finding.code, finding.message) for finding in spec.findings]


MALFORMED: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "one image": ({"x": IMAGES[0]}, "uint8 of shape 3x8x8"),
    "whole numbers": ({"x": IMAGES.astype(np.int64)}, "int64 of shape 6x3x8x8"),
    "labels": ({"y": np.arange(6)}, "`logits` are int64 of shape 6"),
    "fewer logits": ({"y": np.zeros((5, 4), np.float32)}, "6 images, but logits of 5"),
    "other classes": ({"y": np.zeros((6, 10), np.float32)}, "are of 10 classes, the data set has 4"),
    "grey": ({"x": IMAGES[:, :1]}, "are 1x8x8, but the data set's have 3 channels"),
    "either": ({"x": IMAGES[:, :, :, :3]}, "could come first or last"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_proof_is_a_finding(spec: Any, case: str) -> None:
    files, words = MALFORMED[case]
    ((code, message),) = findings(spec(BOTH, **files))
    assert code == "E523"
    assert words in message


def test_files_that_are_no_arrays_are_findings(spec: Any, tmp_path: Path) -> None:
    made = spec(BOTH)
    whole = (tmp_path / "x.npy").read_bytes()
    for content, words in (
        (b"<html>", "not a .npy file"),
        (b"", "not a .npy file"),
        (whole[:500], "truncated"),
        (whole[:60], "damaged"),
    ):
        (tmp_path / "x.npy").write_bytes(content)
        (finding,) = satdsl.load(made.path).findings
        assert finding.code == "E523"
        assert words in finding.reason
    (tmp_path / "x.npy").unlink()
    (finding,) = satdsl.load(made.path).findings
    assert (finding.code, finding.reason) == ("E523", "No such file or directory")
