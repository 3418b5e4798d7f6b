"""Architectures of other libraries, layers that draw at random, and weights that were made elsewhere."""

from __future__ import annotations

import os
import random
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from satdsl.backend import weights
from satdsl.backend.architectures import Network
from satdsl.backend.artifact_files import sha256
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.models import build, check_head
from satdsl.backend.pretrained import load_pretrained
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.ir.steps import CatalogCall, Data, Evaluate, Head, Pretrained, SubsetTraining
from satdsl.ir.work import Progress, StepError

from .workshop import HOLDOUT, Workshop, call, columns_of, curves_of, document, pgd, sgd, training

VIT = call("timm", architecture="test_vit")
MOBILE = call("torchvision", architecture="mobilenet_v3_small")
CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def torchvision(name: str) -> CatalogCall:
    return call("torchvision", architecture=name)


def timm(name: str) -> CatalogCall:
    return call("timm", architecture=name)


def new(model: CatalogCall, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 5, seed: int = 0) -> Network:
    with weights.initial_weights(seed):
        return build(model, shape, classes, (0.5,) * shape[0], (0.25,) * shape[0])


def images(n: int, shape: tuple[int, int, int] = (3, 32, 32)) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(n))


def shaken(network: nn.Module) -> None:
    """Change every parameter and every running variance, as a training does."""
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=noise))
        for name, buffer in network.named_buffers():
            if name.endswith("running_var"):
                buffer.mul_(1.5)


@pytest.fixture(scope="module")
def big_digits(workshop: Workshop) -> Path:
    """48 digits of 32 x 32 pixels to train on, 20 to validate with."""
    return workshop.do(Data(call("digits", resize=32, limit=48, limit_val=20)))


# --- architectures by name ---------------------------------------------------------------------------

FOREIGN = [
    (VIT, "head"),
    (timm("test_resnet"), "fc"),
    (timm("test_convnext"), "head.fc"),
    (timm("test_nfnet"), "head.fc"),
    (timm("test_efficientnet_evos"), "classifier"),
    (MOBILE, "classifier.3"),
    (torchvision("efficientnet_b0"), "classifier.1"),
    (torchvision("shufflenet_v2_x0_5"), "fc"),
    (torchvision("densenet121"), "classifier"),
    (torchvision("squeezenet1_1"), None),
]


@pytest.mark.parametrize(("model", "head"), FOREIGN, ids=lambda value: getattr(value, "args", [("", "")])[0][1])
def test_a_frozen_twin_of_any_architecture_gives_its_logits_for_every_batch_size(
    model: CatalogCall, head: str | None
) -> None:
    network = new(model)
    attack_copy = AttackCopy(network)
    shaken(network)
    copy = attack_copy.refresh()
    assert network.training
    network.eval()
    assert network.head_name == head
    for n in (1, 3):
        x = images(n)
        with torch.no_grad():
            assert copy(x).shape == (n, 5)
            torch.testing.assert_close(copy(x), network(x), rtol=1e-4, atol=1e-5)


def test_a_twin_that_cannot_be_traced_is_the_network_itself_and_one_that_can_is_folded() -> None:
    assert not isinstance(AttackCopy(new(VIT)).refresh().network, fx.GraphModule)
    folded = AttackCopy(new(timm("test_resnet"))).refresh().network
    assert isinstance(folded, fx.GraphModule)
    used = [folded.get_submodule(str(node.target)) for node in folded.graph.nodes if node.op == "call_module"]
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in used)


class Activated(nn.BatchNorm2d):
    """A batch norm that does more than a batch norm."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


class Scaled(nn.Module):
    """A layer that computes something from a running statistic."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_var", torch.ones(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(self.running_var + 1e-5)


def test_a_twin_follows_statistics_that_a_layer_computes_with() -> None:
    network = nn.Sequential(Scaled(), nn.Flatten()).eval()
    attack_copy = AttackCopy(network)
    shaken(network)
    assert isinstance(attack_copy.refresh().network, fx.GraphModule)
    torch.testing.assert_close(attack_copy.refresh()(images(2)), network(images(2)))


def test_a_batch_norm_with_something_of_its_own_is_not_folded_away() -> None:
    Activated.__module__ = "torch.nn.activated"  # what fx takes for a layer of torch and does not look into
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Activated(4), nn.Flatten()).eval()
    x = images(2)
    torch.testing.assert_close(AttackCopy(network).refresh()(x), network(x))


def test_the_gradient_of_a_single_image_is_that_of_the_image_among_others(tmp_path: Path) -> None:
    """Not so in torch 2.14 on the CPU for convolutions before tokens, unless their weights lie channels last."""
    model = timm("xcit_nano_12_p16_224")
    description = weights.Description(model, ("a", "b", "c"), (3, 64, 64), CIFAR_MEAN, CIFAR_STD, 3)
    with weights.initial_weights(0):
        weights.save(tmp_path, description, description.build().state_dict())
    network, x = weights.load(tmp_path), images(3, (3, 64, 64))

    def gradient(of: nn.Module, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(of(x)[:, 0].sum(), x)[0]

    for computes in (network, AttackCopy(network).refresh()):
        among = gradient(computes, x)[:1]
        torch.testing.assert_close(gradient(computes, x[:1]), among, rtol=0, atol=1e-4 * float(among.abs().max()))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (VIT, (1, 48, 32)),
        (timm("test_resnet"), (1, 28, 28)),
        (MOBILE, (1, 32, 32)),
        (torchvision("vit_b_32"), (4, 32, 32)),
    ],
)
def test_an_architecture_takes_the_size_and_the_channels_of_the_images(
    model: CatalogCall, shape: tuple[int, int, int]
) -> None:
    assert new(model, shape).eval()(images(2, shape)).shape == (2, 5)


@pytest.mark.parametrize(
    ("model", "shape", "words", "way_out"),
    [
        (
            timm("convnext_tyni"),
            (3, 32, 32),
            "timm has no architecture called convnext_tyni",
            "did you mean `convnext_tiny`",
        ),
        (torchvision("resnet19"), (3, 32, 32), "torchvision has no architecture called resnet19", "resnet18, resnet34"),
        (timm("hf_hub:someone/something"), (3, 32, 32), "no architecture", "timm.list_models"),
        (torchvision("vgg11_bn"), (3, 8, 8), "cannot be built for 3x8x8 images of 5 classes", "resize=224"),
        (VIT, (3, 24, 24), r"timm\(\"test_vit\"\) cannot be built for 3x24x24", "resize=224"),
    ],
)
def test_an_architecture_that_cannot_be_is_named_with_the_way_out(
    model: CatalogCall, shape: tuple[int, int, int], words: str, way_out: str
) -> None:
    with pytest.raises(StepError, match=words) as raised:
        new(model, shape)
    assert way_out in raised.value.help


def test_without_timm_its_models_name_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(StepError, match="timm is not installed") as raised:
        new(VIT)
    assert raised.value.help == "pip install satdsl[timm]"


@pytest.mark.parametrize("model", [VIT, MOBILE], ids=["timm", "torchvision"])
def test_a_transfer_from_any_architecture_replaces_its_last_layer_alone(
    workshop: Workshop, big_digits: Path, model: CatalogCall
) -> None:
    source = workshop.do(training(1, model=model), data=big_digits)
    other = workshop.do(Data(call("synthetic", classes=3, shape=(1, 32, 32), train=30, val=12)))
    out = workshop.do(Head(call("mlp", hidden=8), sgd(2), (), None), weights=source, data=other)
    name = f"body.{weights.load(source).head_name}."
    before, after = (weights.load_weights(folder / "weights.safetensors") for folder in (source, out))
    assert {key for key in before if not key.startswith(name)} == {key for key in after if not key.startswith(name)}
    assert all(torch.equal(before[key], after[key]) for key in before if not key.startswith(name))
    assert after[f"{name}2.weight"].shape == (3, 8)
    assert weights.load(out)(images(2, (1, 32, 32))).shape == (2, 3)


def test_a_network_without_a_last_linear_layer_cannot_be_transferred() -> None:
    for model in (torchvision("squeezenet1_1"), timm("deit_tiny_distilled_patch16_224")):
        with pytest.raises(StepError, match="does not end in one linear layer"):
            check_head(new(model), model)


# --- layers that draw at random ----------------------------------------------------------------------

DROPS: dict[str, Any] = {"model": MOBILE, "subsets": (SubsetTraining(pgd(steps=1), 1.0),)}


def outcome(folder: Path) -> tuple[Any, bytes]:
    curves = [{k: v for k, v in row.items() if k != "seconds"} for row in curves_of(folder)]
    return curves, (folder / "weights.safetensors").read_bytes()


def test_dropout_is_drawn_from_the_seed_and_leaves_the_global_random_state_alone(
    workshop: Workshop, big_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in new(MOBILE).modules())
    masks: list[Tensor] = []
    dropout = F.dropout

    def watched(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if training:
            masks.append(dropout(torch.ones_like(input), p, True) > 0)
            return input * masks[-1] / (1 - p)
        return input

    monkeypatch.setattr(F, "dropout", watched)
    outcomes, drawn = [], []
    for state in (1, 2):
        torch.manual_seed(state)
        np.random.seed(state)
        random.seed(state)
        before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
        outcomes.append(outcome(workshop.do(training(2, **DROPS), data=big_digits)))
        after = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
        assert torch.equal(before[0], after[0])
        assert before[1:] == after[1:]
        drawn.append(list(masks))
        masks.clear()
    assert outcomes[0] == outcomes[1]
    first, second = drawn
    assert len(first) == len(second) == 4
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[2]), "both epochs drop the same units"
    workshop.do(training(2, **DROPS, seed=1), data=big_digits)
    assert not torch.equal(first[0], masks[0]), "another seed drops the same units"


def test_a_killed_training_with_dropout_continues_with_the_same_bits(
    workshop: Workshop, big_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    settings = training(3, **DROPS)
    whole = outcome(workshop.do(settings, data=big_digits))
    resumed_from: list[float] = []

    def kill(progress: Progress) -> None:
        if progress.note.startswith("epoch 3 of 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workshop.do(settings, scratch=tmp_path, report=kill, data=big_digits)
    torch.manual_seed(123)
    continued = workshop.do(settings, scratch=tmp_path, report=lambda p: resumed_from.append(p.done), data=big_digits)
    assert min(resumed_from) > 1, "it began anew"
    assert outcome(continued) == whole


# --- weights made elsewhere --------------------------------------------------------------------------


def pretrained(path: Path) -> Pretrained:
    return Pretrained(sha256(path), str(path))


SMALL = call("small_cnn", width=4)


@pytest.fixture(scope="module")
def trained(workshop: Workshop, few_digits: Path) -> Path:
    return workshop.do(training(1, model=SMALL), data=few_digits)


def state_of(folder: Path) -> dict[str, Tensor]:
    """The weights of a finished training as a script of its own would have named them."""
    found = weights.load_weights(folder / "weights.safetensors")
    return {name.removeprefix("body."): tensor for name, tensor in found.items()}


def prefixed(prefix: str) -> Callable[[dict[str, Tensor]], Any]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


WRITTEN: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": lambda state: state,
    "ordered, in half precision": lambda state: OrderedDict((n, t.half().float()) for n, t in state.items()),
    "our own": prefixed("body."),
    "data parallel": prefixed("module."),
    "compiled": prefixed("_orig_mod.module."),
    "state_dict": lambda state: {"epoch": 3, "best": torch.tensor(0.5), "state_dict": prefixed("model.")(state)},
    "nested twice": lambda state: {"model": {"state_dict": state}, "optimizer": {"lr": 0.1}},
    "ema": lambda state: {"ema": state, "step": 7},
    "with its normalisation": lambda state: (
        prefixed("model.")(state) | {"mu": torch.full((1, 1, 1, 1), 0.3055), "sigma": torch.full((1, 1, 1, 1), 0.376)}
    ),
    "in sequence": lambda state: (
        prefixed("1.")(state) | {"0.mean": torch.tensor([0.3055]), "0.std": torch.tensor(0.3761)}
    ),
    "without counters": lambda state: {n: t for n, t in state.items() if "num_batches" not in n},
}


@pytest.mark.parametrize("form", WRITTEN)
def test_weights_are_found_in_a_file_in_every_usual_form(trained: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(WRITTEN[form](state_of(trained)), path)
    network = weights.load(trained)
    loaded = build(SMALL, (1, 8, 8), 10, (0.3055,), (0.3761,)).eval()
    load_pretrained(loaded, pretrained(path), SMALL)
    tolerance = 1e-2 if "half" in form else 0
    written = loaded.state_dict()
    for name, value in network.state_dict().items():
        if "num_batches" not in name:
            torch.testing.assert_close(written[name], value, rtol=0, atol=tolerance)
    x = images(4, (1, 8, 8))
    # Equal weights at other addresses in memory may be added up in another order.
    torch.testing.assert_close(loaded(x), network(x), rtol=0, atol=max(tolerance, 1e-6))


def test_no_epochs_leave_pretrained_weights_as_they_are_and_some_train_them_on(
    workshop: Workshop, few_digits: Path, trained: Path
) -> None:
    file = pretrained(trained / "weights.safetensors")
    out = workshop.do(training(0, model=SMALL, pretrained=file), data=few_digits)
    assert (out / "weights.safetensors").read_bytes() == (trained / "weights.safetensors").read_bytes()
    assert curves_of(out) == []
    assert document(out / "selection.json")["chosen"] == 0
    rows = [
        columns_of(workshop.do(Evaluate(pgd(), "val", HOLDOUT), weights=folder, data=few_digits), "rows")
        for folder in (trained, out)
    ]
    assert all(np.array_equal(rows[0][name], rows[1][name]) for name in rows[0])
    still = workshop.do(training(1, model=SMALL, recipe=sgd(1, lr=1e-12), pretrained=file), data=few_digits)
    learnt, begun = state_of(still), state_of(trained)
    assert all(torch.allclose(learnt[n], begun[n], atol=1e-6) for n in begun if "running" not in n and "num" not in n)


class Intruder:
    """What a pickle can do to whoever loads it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_wants_more_than_tensors_gives_its_tensors_and_runs_nothing(
    trained: Path, tmp_path: Path
) -> None:
    path, mark = tmp_path / "weights.pt", tmp_path / "intruded"
    torch.save({"state_dict": state_of(trained), "extra": Intruder(mark)}, path)
    loaded = build(SMALL, (1, 8, 8), 10, (0.3055,), (0.3761,))
    load_pretrained(loaded, pretrained(path), SMALL)
    assert torch.equal(loaded.head.weight, weights.load(trained).head.weight)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "this pickle would have run nothing anyway"


def misfits() -> list[tuple[str, Callable[[dict[str, Tensor]], Any], str, str]]:
    def without(state: dict[str, Tensor]) -> Any:
        return {name: tensor for name, tensor in state.items() if not name.startswith("features.0")}

    def with_more(state: dict[str, Tensor]) -> Any:
        return state | {f"layer{i}.weight": torch.zeros(2) for i in range(5)}

    def with_classes(state: dict[str, Tensor]) -> Any:
        return state | {"fc.weight": torch.zeros(100, 16), "fc.bias": torch.zeros(100)}

    def wider(state: dict[str, Tensor]) -> Any:
        return state | {"features.0.weight": torch.zeros(8, 1, 3, 3)}

    def normalised(state: dict[str, Tensor]) -> Any:
        return state | {"normalize.mean": torch.tensor([0.5]), "normalize.std": torch.tensor([0.25])}

    return [
        ("missing", without, r"1 missing \(features.0.weight\)", "the architecture"),
        ("more", with_more, r"5 not in it \(layer0.weight, layer1.weight, layer2.weight, \.\.\.\)", "the architecture"),
        ("classes", with_classes, "fc.weight 100x16 instead of 10x16", "100 classes apart, the data set has 10"),
        ("shape", wider, r"features.0.weight 8x1x3x3 instead of 4x1x3x3", "the architecture"),
        (
            "normalisation",
            normalised,
            r"normalises images with mean=\[0.5\], std=\[0.25\]",
            "checkpoint(..., mean=[0.5], std=[0.25])",
        ),
        ("no tensors", lambda state: {"epoch": 3}, "holds no weights: its entries are `epoch`", "state_dict"),
        ("a tensor", lambda state: torch.zeros(3), "holds no weights: it is one tensor", "state_dict"),
    ]


@pytest.mark.parametrize(("name", "change", "words", "way_out"), misfits(), ids=[case[0] for case in misfits()])
def test_weights_that_do_not_fit_are_named_with_the_way_out(
    trained: Path, tmp_path: Path, name: str, change: Callable[[dict[str, Tensor]], Any], words: str, way_out: str
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(change(state_of(trained)), path)
    with pytest.raises(StepError, match=words) as raised:
        load_pretrained(build(SMALL, (1, 8, 8), 10, (0.3055,), (0.3761,)), pretrained(path), SMALL)
    assert way_out in raised.value.help


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_a_file_that_is_gone_changed_or_damaged_is_named(trained: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for content in (b"", b"PK not weights", (trained / "weights.safetensors").read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(StepError, match=f"{name} (is empty|is truncated|is a text|cannot be read as weights)"):
            load_pretrained(new(SMALL, (1, 8, 8), 10), pretrained(path), SMALL)
    before = pretrained(path)
    path.write_bytes(b"other")
    with pytest.raises(StepError, match="changed since"):
        load_pretrained(new(SMALL, (1, 8, 8), 10), before, SMALL)
    path.unlink()
    with pytest.raises(StepError, match="is not there"):
        load_pretrained(new(SMALL, (1, 8, 8), 10), before, SMALL)


# --- weights by other people's names -----------------------------------------------------------------


class CifarBlock(nn.Module):
    """A residual block with its layers called as in kuangliu's CIFAR networks, before or after activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, before: bool, short: str) -> None:
        super().__init__()
        self.before, self.short = before, short
        self.bn1 = nn.BatchNorm2d(inputs if before else outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.changes = stride != 1 or inputs != outputs
        if self.changes:
            across: nn.Module = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            if short == "shortcut":
                across = nn.Sequential(across, *([] if before else [nn.BatchNorm2d(outputs)]))
            self.add_module(short, across)

    def forward(self, x: Tensor) -> Tensor:
        across = self.get_submodule(self.short) if self.changes else nn.Identity()
        if self.before:
            active = self.bn1(x).relu()
            inner: Tensor = self.conv2(self.bn2(self.conv1(active)).relu())
            return inner + (across(active) if self.changes else x)
        inner = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (inner + across(x)).relu()


class CifarNetwork(nn.Module):
    """Stages of blocks under the names that a widespread implementation gives them."""

    def __init__(self, kind: str, stem: int, stages: list[tuple[int, int, int]], classes: int) -> None:
        super().__init__()
        before, short = kind != "post", "convShortcut" if kind == "wide" else "shortcut"
        self.kind, self.stages = kind, []
        self.conv1 = nn.Conv2d(3, stem, 3, 1, 1, bias=False)
        width = stem
        for i, (outputs, count, stride) in enumerate(stages, start=1):
            blocks = nn.Sequential()
            for j in range(count):
                blocks.append(CifarBlock(width, outputs, stride if j == 0 else 1, before, short))
                width = outputs
            self.stages.append(blocks)
            if kind == "wide":
                self.add_module(f"block{i}", nn.ModuleDict({"layer": blocks}))
            else:
                self.add_module(f"layer{i}", blocks)
        if kind == "wide":
            self.sub_block1 = nn.ModuleDict({"layer": nn.Sequential(CifarBlock(stem, 16, 1, True, short))})
        last = {"wide": "bn1", "pre": "bn", "post": "bn1"}[kind]
        self.last = nn.BatchNorm2d(stem if kind == "post" else width)
        self.add_module(last, self.last)
        self.add_module("fc" if kind == "wide" else "linear", nn.Linear(width, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        if self.kind == "post":
            x = self.last(x).relu()
        for blocks in self.stages:
            x = blocks(x)
        if self.kind != "post":
            x = self.last(x).relu()
        logits: Tensor = self.get_submodule("fc" if self.kind == "wide" else "linear")(x.mean((2, 3)))
        return logits


@pytest.mark.parametrize(
    ("model", "kind", "stem", "widths"),
    [
        (call("resnet18", stem="cifar"), "post", 64, (64, 128, 256, 512)),
        (call("preact_resnet18", width=8, layout="standard"), "pre", 8, (8, 16, 32, 64)),
        (call("wide_resnet", depth=16, width=2), "wide", 16, (32, 64, 128)),
    ],
    ids=["resnet18", "preact_resnet18", "wide_resnet"],
)
def test_weights_of_widespread_cifar_networks_are_read_by_their_own_names(
    tmp_path: Path, model: CatalogCall, kind: str, stem: int, widths: tuple[int, ...]
) -> None:
    stages = [(width, 2, 1 if i == 0 else 2) for i, width in enumerate(widths)]
    with weights.initial_weights(4):
        theirs = CifarNetwork(kind, stem, stages, classes=7)
    shaken(theirs)
    state = {name: tensor for name, tensor in theirs.state_dict().items() if not name.startswith("last.")}
    torch.save({"net": prefixed("module.")(state), "acc": 95.1}, tmp_path / "ckpt.pth")
    network = build(model, (3, 32, 32), 7, CIFAR_MEAN, CIFAR_STD)
    load_pretrained(network, pretrained(tmp_path / "ckpt.pth"), model)
    x = images(3)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (CIFAR_MEAN, CIFAR_STD))
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(x), theirs.eval()((x - mean) / std), rtol=1e-4, atol=1e-4)
