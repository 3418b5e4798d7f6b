"""Checkpoints of torchvision's and timm's architectures are compared in `check`, by what the library itself builds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from satdsl import user_cache
from satdsl.check import library_networks
from satdsl.compile import check_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding

SPEC = """sat 1
dataset d = synthetic(classes=10, shape=[3, 32, 32], train=40, val=20)
model   m = checkpoint("w.pth", arch={arch}, mean=[0, 0, 0], std=[1, 1, 1])
recipe  nothing = sgd(epochs=0)
train   t = m on d using nothing
evaluate t {{ clean = clean accuracy on val }}
table "T" = rows(t.clean)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(user_cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def findings(folder: Path, arch: str, network: nn.Module) -> list[Finding]:
    torch.save({"state_dict": {f"module.{name}": of for name, of in network.state_dict().items()}}, folder / "w.pth")
    (folder / "x.sat").write_text(SPEC.format(arch=arch), "utf-8")
    try:
        return list(check_file(folder / "x.sat").warnings)
    except SpecError as error:
        return list(error.findings)


def test_weights_of_another_architecture_of_a_library_are_found(tmp_path: Path, cache: Path) -> None:
    squeeze = torchvision.models.squeezenet1_1(num_classes=10)
    assert findings(tmp_path, 'torchvision("squeezenet1_1")', squeeze) == []
    (kept,) = (cache / "networks").iterdir()
    kept.write_text('{"shapes": ')  # a damaged answer is asked for again
    (found,) = findings(tmp_path, 'torchvision("squeezenet1_1")', torchvision.models.squeezenet1_0(num_classes=10))
    assert found.code == "E519"
    assert "features.0.weight 96x3x7x7 instead of 64x3x3x3" in found.message


def test_a_library_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = torchvision.models.squeezenet1_1(num_classes=10)
    assert findings(tmp_path, 'torchvision("squeezenet1_1")', network) == []
    monkeypatch.setattr(library_networks, "_asked", lambda question: pytest.fail("asked again"))
    assert findings(tmp_path, 'torchvision("squeezenet1_1")', network) == []
    network.classifier[1] = nn.Conv2d(512, 7, 1)
    assert [one.code for one in findings(tmp_path, 'torchvision("squeezenet1_1")', network)] == ["E519"]


def test_what_no_library_answers_is_left_to_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Linear(3, 10)
    assert findings(tmp_path, 'torchvision("no_such_network")', network) == []
    monkeypatch.setattr(library_networks, "_asked", lambda question: pytest.fail("asked again"))
    assert findings(tmp_path, 'torchvision("no_such_network")', network) == []
    monkeypatch.setattr(library_networks, "asks", False)  # as in a language server
    assert findings(tmp_path, 'torchvision("resnet18")', network) == []
