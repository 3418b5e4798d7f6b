"""Exported networks: what they compute where satdsl is not, and what cannot be exported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from satdsl.backend import export, weights
from satdsl.backend.weights import Description
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

from .user_code import plugin
from .workshop import call

CLASSES = ("zero", "one", "two")
MLP = call("mlp", hidden=6)


def described(model: CatalogCall, channels: int = 3, side: int = 16, head: CatalogCall | None = None) -> Description:
    """A network for colour images; after a transfer it takes grey ones."""
    normalisation = (0.4, 0.5, 0.6)[:channels], (0.2, 0.25, 0.3)[:channels]
    shape, repeat = ((channels, side, side), 1) if head is None else ((1, side, side), channels)
    return Description(model, CLASSES, shape, *normalisation, 3 if head is None else 7, head, repeat)


MINE = """
from torch import nn
from layers import norm

@sat.model
def mine(classes: int, channels: int, *, width: int = 4) -> nn.Module:
    import layers
    return nn.Sequential(nn.Conv2d(channels, width, 3), norm(width), layers.Mean(), nn.Linear(width, classes))
"""
LAYERS = """
from torch import nn
norm = nn.BatchNorm2d
class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))
"""
NETWORKS = {
    "small_cnn": described(call("small_cnn", width=4), channels=1, side=8),
    "preact_resnet18": described(call("preact_resnet18", width=2, layout="sat")),
    "wide_resnet": described(call("wide_resnet", depth=10, width=1)),
    "resnet18": described(call("resnet18", stem="imagenet"), side=32),
    "transfer": described(call("small_cnn", width=4), head=MLP),
    "timm": described(call("timm", architecture="test_vit"), side=32, head=MLP),
    "torchvision": described(call("torchvision", architecture="shufflenet_v2_x0_5"), side=32),
    "plugin": described(plugin(MINE, "mine", width=5, files={"layers.py": LAYERS}), channels=1, side=8),
}


def forms(name: str) -> tuple[str, ...]:
    """Those that a network is written in here; an export to ONNX takes seconds."""
    every = ("torch", "safetensors", "onnx")
    return {"transfer": every, "plugin": every, "torchvision": ("safetensors",)}.get(name, ("torch", "safetensors"))


ELSEWHERE = """
import importlib.util, sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "satdsl":
            raise ImportError("satdsl is not here")

sys.meta_path.insert(0, Absent())

import numpy as np
import torch

torch.set_num_threads(1)

def program(folder):
    return torch.export.load(folder / "model.pt2").module()

def code(folder):
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.CLASSES == ("zero", "one", "two")
    return module.load()

def session(folder):
    import onnxruntime

    found = onnxruntime.InferenceSession(folder / "model.onnx")
    return lambda images: torch.from_numpy(found.run(None, {"images": images.numpy()})[0])

root = Path(sys.argv[1])
for images in root.glob("*.npy"):
    x = torch.from_numpy(np.load(images))
    for form, load in (("torch", program), ("safetensors", code), ("onnx", session)):
        folder = root / images.stem / form
        if folder.is_dir():
            network = load(folder)
            with torch.no_grad():
                one, all = network(x[:1]), network(x)
            np.savez(folder / "logits.npz", one=one.numpy(), all=all.numpy())
assert not any(name.partition(".")[0] == "satdsl" for name in sys.modules)
"""
"""Loads every export below a folder in a Python that has no satdsl, and leaves the logits of its images."""


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each network's artifact, images, exports, and the logits that these gave elsewhere."""
    root = tmp_path_factory.mktemp("exports")
    for name, description in NETWORKS.items():
        artifact = root / name / "artifact"
        artifact.mkdir(parents=True)
        noise = torch.Generator().manual_seed(0)
        with weights.initial_weights(0):
            network = description.build()
        for key, buffer in network.named_buffers():
            if "running" in key:
                buffer.add_(torch.rand(buffer.shape, generator=noise))
        weights.save(artifact, description, network.state_dict())
        np.save(root / f"{name}.npy", torch.rand(5, *description.shape, generator=noise).numpy())
        for form in export.FORMS:
            if form in forms(name):
                (root / name / form).mkdir()
                about = export.write(artifact, form, root / name / form)
                assert about["parameters"] == sum(p.numel() for p in network.parameters())
    subprocess.run([sys.executable, "-I", "-c", ELSEWHERE, str(root)], check=True, timeout=200)
    return root


@pytest.mark.parametrize("name", NETWORKS)
def test_an_export_gives_the_same_logits_where_satdsl_is_not(exports: Path, name: str) -> None:
    x = torch.from_numpy(np.load(exports / f"{name}.npy"))
    with torch.no_grad():
        expected = weights.load(exports / name / "artifact")(x).numpy()
    assert expected.std() > 1e-3
    for form in forms(name):
        tolerance = 1e-4 if form == "onnx" else 1e-6
        with np.load(exports / name / form / "logits.npz") as logits:
            assert np.abs(logits["all"] - expected).max() <= tolerance * max(1, np.abs(expected).max())
            assert np.abs(logits["one"] - expected[:1]).max() <= tolerance * max(1, np.abs(expected).max())


def test_an_export_has_the_weights_of_the_artifact(exports: Path) -> None:
    stored = weights.load_weights(exports / "transfer/artifact/weights.safetensors")
    written = weights.load_weights(exports / "transfer/safetensors/model.safetensors")
    assert stored.keys() == written.keys()
    assert all(torch.equal(stored[name], written[name]) for name in stored)


def test_the_architectures_that_go_along_know_nothing_of_satdsl() -> None:
    for description in NETWORKS.values():
        text = export.source(description)
        assert "import satdsl" not in text
        assert "from satdsl" not in text


@pytest.mark.parametrize(
    ("name", "form", "packages"),
    [
        ("small_cnn", "safetensors", ("torch", "safetensors")),
        ("resnet18", "safetensors", ("torch", "safetensors", "torchvision")),
        ("timm", "safetensors", ("torch", "safetensors", "timm")),
        ("timm", "torch", ("torch",)),
        ("timm", "onnx", ("onnxruntime",)),
    ],
)
def test_an_export_says_what_it_needs(name: str, form: str, packages: tuple[str, ...]) -> None:
    assert export.requirements(NETWORKS[name], form) == packages


def test_without_onnx_its_export_names_the_packages(
    exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(StepError, match="onnx and onnxscript are not installed") as raised:
        export.write(exports / "small_cnn/artifact", "onnx", tmp_path)
    assert raised.value.help == "pip install satdsl[onnx]"


def test_what_torch_cannot_follow_has_another_way_out(
    exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = weights.Network.forward

    def by_value(self: weights.Network, x: torch.Tensor) -> torch.Tensor:
        return forward(self, x) if x.sum() > 0 else x

    monkeypatch.setattr(weights.Network, "forward", by_value)
    with pytest.raises(StepError, match=r"torch\.export cannot follow small_cnn: ") as raised:
        export.write(exports / "small_cnn/artifact", "torch", tmp_path)
    assert raised.value.help == "export it with --format safetensors"
