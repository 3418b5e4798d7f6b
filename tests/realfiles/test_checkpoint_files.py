"""Files of weights as people publish them: each is read to the network that its authors have, or refused with a reason.

Every layout is made here, from a small network with random weights, and what is read gives the same logits to 1e-5.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_networks import TradesWideResNet
from safetensors.torch import save_file
from torch import Tensor, nn

import satdsl
from satdsl import user_cache
from satdsl.api import RunError
from satdsl.backend.architectures import untrained
from satdsl.backend.artifact_files import sha256
from satdsl.backend.models import build
from satdsl.backend.pretrained import load_pretrained
from satdsl.catalog.models import ModelEntry
from satdsl.check import library_networks
from satdsl.ir.steps import CatalogCall, Pretrained
from satdsl.ir.work import StepError

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2471, 0.2435, 0.2616]
State = dict[str, Tensor]


def model(name: str, **settings: Any) -> CatalogCall:
    entry = ModelEntry.of(name)
    return CatalogCall(name, tuple({**entry.defaults, **settings}.items()), entry.defaults)


SMALL = model("small_cnn", width=4)


def network(call: CatalogCall = SMALL, classes: int = 5, seed: int = 0) -> Any:
    """A network with weights and statistics that are not those of a new one."""
    torch.manual_seed(seed)
    made = untrained(model=call.document, classes=classes, shape=(3, 16, 16), mean=MEAN, std=STD).eval()
    with torch.no_grad():
        for part in made.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(std=0.2)
                part.running_var.uniform_(0.5, 2)
                part.weight.uniform_(0.5, 1.5)
                part.num_batches_tracked.fill_(7)
    return made


def state(seed: int = 0) -> State:
    return dict(network(seed=seed).body.state_dict())


def prefixed(prefix: str, of: State | None = None) -> State:
    return {prefix + name: tensor for name, tensor in (state() if of is None else of).items()}


def logits(of: nn.Module) -> Tensor:
    torch.manual_seed(9)
    with torch.no_grad():
        given: Tensor = of(torch.rand(4, 3, 16, 16))
    return given


def loaded(path: Path, call: CatalogCall = SMALL, entry: str | None = None, classes: int = 5) -> tuple[Any, Any]:
    made = build(call, (3, 16, 16), classes, tuple(MEAN), tuple(STD)).eval()
    return made, load_pretrained(made, Pretrained(sha256(path), str(path), entry), call)


def saved(value: Any, path: Path, **how: Any) -> Path:
    torch.save(value, path, **how)
    return path


def refusal(path: Path, entry: str | None = None, call: CatalogCall = SMALL) -> str:
    with pytest.raises(StepError) as raised:
        loaded(path, call, entry)
    return f"{raised.value}; {raised.value.help}".removeprefix(str(path)).strip()


# --- layouts that are read -----------------------------------------------------------------------------


class Recorded(dict):  # type: ignore[type-arg]
    """A mapping of a library's own class, as Lightning's AttributeDict or addict's Dict."""


class Schedule:
    """What training scripts keep beside the weights."""

    def __init__(self) -> None:
        self.values = [1, 2]
        self.scale = np.float64(0.5)


def normaliser(name: str) -> State:
    shape = (3, 1, 1)
    return {f"{name}.new_mean": torch.tensor(MEAN).view(shape), f"{name}.new_std": torch.tensor(STD).view(shape)}


def robustness() -> Any:
    """MadryLab/robustness and robust-models-transfer: the network twice, its normalisation twice, behind `module`."""
    inner = {f"model.{name}": tensor for name, tensor in state().items()} | normaliser("normalizer")
    inner |= {f"attacker.model.{name}": inner[f"model.{name}"] for name in state()} | normaliser("attacker.normalize")
    parallel = {f"module.{name}": tensor for name, tensor in inner.items()}
    return {"model": parallel, "optimizer": optimiser(), "schedule": Schedule(), "epoch": 90, "amp": None}


def test_what_an_architecture_does_not_use_may_be_in_each_copy_of_it(tmp_path: Path) -> None:
    # TRADES's wide ResNet has a block that it never uses, and robustness saves every network twice.
    wide = model("wide_resnet", depth=10, width=1)
    made = TradesWideResNet(10, 1, 5, unused=True).eval()
    copies = prefixed("module.model.", made.state_dict()) | prefixed("module.attacker.model.", made.state_dict())
    normalisers = normaliser("module.normalizer") | normaliser("module.attacker.normalize")
    network, _ = loaded(saved({"model": copies | normalisers}, tmp_path / "w.pt"), wide)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        wanted = made((images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))
        torch.testing.assert_close(network(images), wanted, rtol=0, atol=1e-5)


def optimiser() -> Any:
    made = network().body
    sgd = torch.optim.SGD(made.parameters(), lr=0.1, momentum=0.9)
    made(torch.rand(2, 3, 16, 16)).sum().backward()
    sgd.step()
    return sgd.state_dict()


def lightning() -> Any:
    beside = {
        "criterion.weight": torch.ones(5),
        "train_metric.confmat": torch.zeros(5, 5),
        "val_acc.total": torch.ones(()),
    }
    return {
        "state_dict": prefixed("net.") | beside,
        "hyper_parameters": Recorded(lr=0.1, optimiser=Schedule()),
        "pytorch-lightning_version": "2.0.0",
        "callbacks": {"best_model_score": torch.tensor(0.5)},
        "optimizer_states": [optimiser()],
    }


def beside() -> Any:
    return {
        "net": state(),
        "acc": np.float64(0.93),
        "best": np.float32(0.5),
        "losses": np.arange(4.0),
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "rng": (np.random.get_state(), torch.get_rng_state()),
        "epoch": np.int64(3),
        "labels": {"a", "b"},
        "type": torch.float16,
        "device": torch.device("cpu"),
    }


def averaged() -> Any:
    return torch.optim.swa_utils.AveragedModel(network().body).state_dict()


def shared() -> Any:
    """Weights that are pieces of one long vector, and one that is stored the other way round."""
    own = state()
    flat = torch.cat([own[name].flatten() for name in own if own[name].is_floating_point()])
    pieces, begin = {}, 0
    for name, tensor in own.items():
        if tensor.is_floating_point():
            pieces[name] = flat[begin : begin + tensor.numel()].view(tensor.shape)
            begin += tensor.numel()
        else:
            pieces[name] = tensor
    pieces["fc.weight"] = own["fc.weight"].t().contiguous().t()
    return pieces


LAYOUTS: dict[str, Callable[[], Any]] = {
    "plain": state,
    "robustness": robustness,
    "FeatureScatter": lambda: {"net": prefixed("module.basic_net."), "epoch": 199, "acc": 0.9},
    "lightning": lightning,
    "beside other things": beside,
    "in a mapping of another class": lambda: Recorded(state_dict=Recorded(state())),
    "DataParallel": lambda: prefixed("module."),
    "compiled": lambda: {"state_dict": prefixed("module._orig_mod.")},
    "compiled layer by layer": lambda: {n.replace("features.", "features._orig_mod."): t for n, t in state().items()},
    "SWA": averaged,
    "an unknown prefix": lambda: prefixed("my_classifier.backbone."),
    "an unknown key": lambda: {"robust_net": state(), "epoch": 3},
    "nested deeply": lambda: {"checkpoint": {"weights": {"student": state()}}},
    "in a list": lambda: [state(), 3, "sgd"],
    "model and ema that are equal": lambda: {"model": state(), "ema": state()},
    "an empty ema": lambda: {"model": state(), "model_ema": {}, "ema": None},
    "another ema, of other layers": lambda: {"model": state(), "ema": {"shadow": torch.zeros(3), "decay": 0.9}},
    "without counters": lambda: {n: t for n, t in state().items() if "num_batches" not in n},
    "as parameters": lambda: {
        n: nn.Parameter(t, t.is_floating_point()) if t.is_floating_point() else t for n, t in state().items()
    },
    "ordered": lambda: OrderedDict(state()),
    "doubles": lambda: {n: t.double() if t.is_floating_point() else t for n, t in state().items()},
    "last layer called last": lambda: {n.replace("fc.", "last."): t for n, t in state().items()},
    "last layer called linear": lambda: {n.replace("fc.", "linear."): t for n, t in state().items()},
    "last layer called classifier": lambda: {n.replace("fc.", "classifier."): t for n, t in state().items()},
    "pieces of one vector": shared,
    "in arrays": lambda: {n: t.numpy() for n, t in state().items()},
    "in arrays of another order": lambda: {n: np.asfortranarray(t.numpy()) for n, t in state().items()},
    "with mu and sigma": lambda: (
        prefixed("model.") | {"mu": torch.tensor(MEAN).view(1, 3, 1, 1), "sigma": torch.tensor(STD)}
    ),
    "in nn.Sequential": lambda: prefixed("1.") | {"0.mean": torch.tensor(MEAN), "0.std": torch.tensor(STD)},
    "normalisation in bytes": lambda: (
        prefixed("net.") | {"norm.mean": torch.tensor(MEAN) * 255, "norm.std": torch.tensor(STD) * 255}
    ),
    "a whole module": lambda: network().body,
    "a whole module, parallel": lambda: nn.DataParallel(network().body),
    "a whole module in a mapping": lambda: {"model": network().body, "epoch": 3, "optimizer": optimiser()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickles"])
def test_a_published_layout_gives_the_network_of_its_authors(tmp_path: Path, layout: str, zipped: bool) -> None:
    path = saved(LAYOUTS[layout](), tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    made, _ = loaded(path)
    torch.testing.assert_close(logits(made), logits(network()), rtol=0, atol=1e-5)


def test_python_s_own_pickle_and_safetensors_are_read_whatever_they_are_called(tmp_path: Path) -> None:
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"model": state(), "acc": 0.5}))
    save_file(prefixed("module."), tmp_path / "net.bin")
    save_file(state(), tmp_path / "net.pt")
    scripted = torch.jit.trace(network().body, torch.rand(1, 3, 16, 16))
    scripted.save(str(tmp_path / "script.pt"))
    torch.jit.script(nn.Sequential(nn.Identity(), network().body)).save(str(tmp_path / "script.best"))
    for name in ("net.pkl", "net.bin", "net.pt", "script.pt", "script.best"):
        made, _ = loaded(tmp_path / name)
        torch.testing.assert_close(logits(made), logits(network()), rtol=0, atol=1e-5, msg=name)


def test_an_archive_without_checksums_is_read_and_one_whose_bytes_changed_is_refused(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(False)
        path = saved(state(), tmp_path / "net.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    made, _ = loaded(path)
    torch.testing.assert_close(logits(made), logits(network()), rtol=0, atol=1e-5)
    content = bytearray(saved(state(), path).read_bytes())
    weight = state()["features.3.weight"].numpy().tobytes()
    content[content.index(weight) + 5] ^= 1
    path.write_bytes(content)
    assert "is damaged: its part" in refusal(path)


@pytest.mark.parametrize("type", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_single_and_that_is_recorded(tmp_path: Path, type: torch.dtype) -> None:
    half = {n: t.to(type) if t.is_floating_point() else t for n, t in state().items()}
    made, record = loaded(saved(half, tmp_path / "net.pt"))
    wanted = network()
    wanted.body.load_state_dict({n: t.float() for n, t in half.items()})
    torch.testing.assert_close(logits(made), logits(wanted), rtol=0, atol=1e-5)
    assert made.head.weight.dtype == torch.float32
    assert record["types"] == [str(type).removeprefix("torch.")]


OURS = [
    model("preact_resnet18", width=4),
    model("preact_resnet18", width=4, layout="sat"),
    model("wide_resnet", depth=10, width=1),
    model("wide_resnet", depth=28, width=2),
    *(model(f"resnet{depth}", stem=stem) for depth in (18, 34) for stem in ("cifar", "imagenet")),
    model("resnet50", stem="imagenet"),
    model("resnet101", stem="cifar"),
    model("resnet152", stem="imagenet"),
    SMALL,
]


@pytest.mark.parametrize("call", OURS, ids=lambda call: f"{call.name}-{dict(call.args)}"[:60])
def test_the_outline_of_an_architecture_is_that_of_its_network(call: CatalogCall) -> None:
    outline = ModelEntry.of(call).outline
    assert outline is not None
    for channels, classes in ((1, 7), (3, 10)):
        with torch.device("meta"):
            mean = [0.0] * channels
        made = untrained(
            model=call.document, classes=classes, shape=(channels, 32, 32), mean=mean, std=[1.0] * channels
        )
        own = {n: tuple(t.shape) for n, t in made.body.state_dict().items() if not n.endswith("num_batches_tracked")}
        assert own == outline(call, channels, classes)


def test_every_architecture_of_ours_has_an_outline() -> None:
    from satdsl.catalog import catalog

    ours = [entry for entry in catalog().entries("model") if isinstance(entry, ModelEntry)]
    assert all(entry.outline or entry.library or entry.from_file for entry in ours)


class Attack:
    """What a pickle can do to whoever loads it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.makedirs, (str(self.mark), 0o777, True)


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "intruded"
    content = {"state_dict": state(), "schedule": Attack(mark), Attack(mark): 1, "list": [Attack(mark)]}
    for zipped in (True, False):
        path = saved(content, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
        loaded(path)
        assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "this pickle would have run nothing anyway"


def test_functions_that_dill_wrote_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    dill, inner = types.ModuleType("dill"), types.ModuleType("dill._dill")

    def make(name: str) -> Any:
        def function(*args: Any, **named: Any) -> Any:
            return Recorded()

        function.__module__, function.__qualname__ = "dill._dill", name
        setattr(inner, name, function)
        return function

    create, load_type, new_type = (make(name) for name in ("_create_function", "_load_type", "_create_type"))
    monkeypatch.setitem(sys.modules, "dill", dill)
    monkeypatch.setitem(sys.modules, "dill._dill", inner)

    class Reduced:
        def __init__(self, *how: Any) -> None:
            self.how = how

        def __reduce__(self) -> Any:
            return self.how

    code = Reduced(load_type, ("CodeType",))
    schedule = Reduced(create, (code, {"__name__": "m"}, "<lambda>", None, None))
    custom = Reduced(new_type, (Reduced(load_type, ("type",)), "Config", (object,), {"lr": 0.1}))
    path = saved({"model": state(), "schedule": schedule, "config": [custom]}, tmp_path / "net.pt")
    monkeypatch.delitem(sys.modules, "dill._dill")
    made, _ = loaded(path)
    torch.testing.assert_close(logits(made), logits(network()), rtol=0, atol=1e-5)


# --- which of several networks ---------------------------------------------------------------------------


SEVERAL: dict[str, tuple[Callable[[], Any], tuple[str, str]]] = {
    "model and ema": (lambda: {"model": state(), "ema": state(1), "epoch": 3}, ("model", "ema")),
    "state_dict and state_dict_ema": (
        lambda: {"state_dict": prefixed("module."), "state_dict_ema": prefixed("module.", state(1))},
        ("state_dict", "state_dict_ema"),
    ),
    "student and teacher in one": (
        lambda: {"state_dict": prefixed("student.") | prefixed("teacher.", state(1))},
        ("student", "teacher"),
    ),
    "two copies in robustness": (
        lambda: {"model": prefixed("module.model.") | prefixed("module.attacker.model.", state(1))},
        ("model.module.model", "model.module.attacker.model"),
    ),
    "whole modules": (lambda: {"net": network().body, "best": network(seed=1).body}, ("net", "best")),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_of_several_networks_one_has_to_be_named(tmp_path: Path, case: str) -> None:
    make, names = SEVERAL[case]
    path = saved(make(), tmp_path / "net.pt")
    told = refusal(path)
    assert told.startswith("has several networks that fit: ")
    assert all(name in told for name in names)
    assert 'entry="' in told
    for seed, name in enumerate(names):
        made, record = loaded(path, entry=name)
        torch.testing.assert_close(logits(made), logits(network(seed=seed)), rtol=0, atol=1e-5)
        assert name in record["taken"]
    assert "has no weights at `other`" in refusal(path, entry="other")


def test_what_was_taken_and_what_was_left_is_recorded(tmp_path: Path) -> None:
    content = {"model": state(), "ema": {n: t for n, t in state(1).items() if n != "fc.bias"}}
    _, record = loaded(saved(content, tmp_path / "net.pt"))
    assert record["taken"] == "model"
    assert record["other_places"] == ["ema"]
    _, record = loaded(saved(lightning(), tmp_path / "net.ckpt"))
    assert record["taken"] == "state_dict.net"
    assert record["left_aside"] == ["criterion.weight", "train_metric.confmat", "val_acc.total"]


# --- files that are refused ------------------------------------------------------------------------------


def truncated(zipped: bool, keep: float) -> bytes:
    buffer = io.BytesIO()
    torch.save(state(), buffer, _use_new_zipfile_serialization=zipped)
    whole = buffer.getvalue()
    return whole[: int(len(whole) * keep)]


def packed(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"content")
    return buffer.getvalue()


def tarred(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def numpy_archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.zeros(3))
    return buffer.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 44730000\n"
DRIVE = b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>"
FILES: dict[str, tuple[bytes, str, str]] = {
    "Git LFS": (LFS, "is a pointer of Git LFS, of a file of 44,730,000 bytes", "git lfs pull"),
    "Google Drive": (
        DRIVE,
        "a page of a website, titled `Google Drive - Virus scan warning`",
        "asks for a confirmation",
    ),
    "GitHub": (b"\n\n<!DOCTYPE html>\n<html lang='en'>" + b"x" * 9000, "is a page of a website", "download the file"),
    "an error as JSON": (b'{"message": "Not Found", "status": "404"}', "is JSON", "Not Found"),
    "an error as text": (b"404: Not Found", "is a text", "404: Not Found"),
    "empty": (b"", "is empty", "download it again"),
    "zeros": (bytes(5000), "begins with zeros alone", "download it again"),
    "truncated zip": (truncated(True, 0.7), "is truncated", "download it again"),
    "truncated pickles": (truncated(False, 0.9), "is truncated: ", "bytes are missing"),
    "truncated early": (truncated(False, 0.05), "cannot be read as weights", "damaged"),
    "half a pickle": (pickle.dumps({"a": 1})[:-3], "cannot be read as weights", "damaged"),
    "a zip with weights in it": (packed("models/net.pth"), "a zip archive with `models/net.pth` in it", "unpack it"),
    "a zip of something else": (packed("readme.md"), "a zip archive without weights", "readme.md"),
    "a tar with weights in it": (tarred("net.pth"), "a tar archive with `net.pth` in it", "unpack it"),
    "a tar of PyTorch 0.1": (tarred("storages", "tensors", "pickle"), "before 0.2", "PyTorch 1.0"),
    "gzip": (b"\x1f\x8b\x08rest", "is packed with gzip", "unpack it"),
    "npz": (numpy_archive(), "an archive of NumPy arrays", "torch.save"),
    "Keras": (b"\x89HDF\r\n\x1a\nrest", "an HDF5 file, as Keras writes it", "torch.save"),
    "Keras 3": (packed("model.weights.h5"), "a model of Keras or TensorFlow", "torch.save"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0", "is an ONNX graph", "torch.save"),
    "safetensors, cut": (b"\x40\x01\0\0\0\0\0\0{", "is truncated", "download it again"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "is an image", "torch.save"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_holds_no_weights_is_called_what_it_is(tmp_path: Path, case: str) -> None:
    content, what, more = FILES[case]
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    told = refusal(path)
    assert what in told
    assert more in told
    assert "delete" not in told
    (finding,) = findings(tmp_path, "small_cnn(width=4)")
    assert finding.code == "E520"
    assert what in finding.message


def findings(folder: Path, arch: str, more: str = "", classes: int = 5) -> Any:
    """What check says of the file net.pth in a folder."""
    spec = folder / "spec.sat"
    shown = ", ".join(f"{value}" for value in MEAN), ", ".join(f"{value}" for value in STD)
    spec.write_text(
        "sat 1\n"
        f"dataset d = synthetic(classes={classes}, shape=[3, 16, 16], train=20, val=20)\n"
        f'model m = checkpoint("net.pth", arch={arch}, mean=[{shown[0]}], std=[{shown[1]}]{more})\n'
        "recipe nothing = sgd(epochs=0)\n"
        "train given = m on d using nothing\n"
        "evaluate given { clean = clean accuracy on val }\n",
        "utf-8",
    )
    return [finding for finding in satdsl.load(spec).findings if finding.code != "E516"]


def weight_normed() -> State:
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3, bias=False))
    return {n: t for n, t in state().items() if n != "features.0.weight"} | prefixed("features.0.", conv.state_dict())


def old_weight_norm() -> State:
    own = state()
    weight = own.pop("features.0.weight")
    return own | {"features.0.weight_g": weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1), "features.0.weight_v": weight}


def with_nan(name: str, value: float) -> State:
    own = {n: t.clone() for n, t in state().items()}
    own[name].view(-1)[0] = value
    return own


def quantised() -> State:
    own = state()
    own["fc.weight"] = torch.quantize_per_tensor(own["fc.weight"], 0.1, 0, torch.qint8)
    return own


CONTENT: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "another number of classes": (
        lambda: dict(network(classes=7).body.state_dict()),
        "E519",
        "fc.weight 7x16 instead of 5x16",
        "they tell 7 classes apart, the data set has 5",
    ),
    "another width": (
        lambda: dict(network(model("small_cnn", width=6)).body.state_dict()),
        "E519",
        "of another shape",
        "these weights are of small_cnn(width=6): write `arch=small_cnn(width=6)`",
    ),
    "another architecture": (
        lambda: {"net": prefixed("module.", dict(network(model("resnet18", stem="imagenet")).body.state_dict()))},
        "E519",
        "missing (features.0.weight",
        "these weights are of resnet18()",
    ),
    "a layer less": (lambda: {n: t for n, t in state().items() if n != "fc.bias"}, "E519", "1 missing (fc.bias)", ""),
    "a layer more": (lambda: state() | {"extra.weight": torch.zeros(3)}, "E519", "1 not in it (extra.weight)", ""),
    "a layer before": (
        lambda: prefixed("net.") | {"purifier.weight": torch.zeros(3, 3)},
        "E519",
        "1 more beside them (purifier.weight)",
        'entry="net"',
    ),
    "weight norm": (weight_normed, "E524", "a parametrisation", "remove_parametrizations"),
    "old weight norm": (old_weight_norm, "E524", "weight normalisation", "remove_weight_norm"),
    "quantised": (quantised, "E524", "a weight that is quantised: `fc.weight`", "float32"),
    "whole numbers": (lambda: {n: t.long() for n, t in state().items()}, "E524", "of the type int64", "float32"),
    "on meta": (lambda: {n: t.to("meta") for n, t in state().items()}, "E524", "without numbers", "float32"),
    "another normalisation": (
        lambda: prefixed("1.") | {"0.mean": torch.tensor([0.5] * 3), "0.std": torch.tensor([0.25] * 3)},
        "E522",
        "normalises images with mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25], the model with",
        "mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25]",
    ),
    "two normalisations": (
        lambda: {"model": prefixed("m.") | normaliser("n") | {"a.new_mean": torch.zeros(3, 1, 1)}},
        "E522",
        "several normalisations of images that differ",
        "entry=",
    ),
    "no weights": (lambda: {"epoch": 3, "lr": 0.1}, "E520", "holds no weights: its entries are `epoch`, `lr`", ""),
    "one tensor": (lambda: torch.zeros(3), "E520", "holds no weights: it is one tensor", ""),
    "an object": (lambda: Schedule(), "E520", "an object of the class", ""),
    "two networks": (lambda: {"model": state(), "ema": state(1)}, "E521", "`model` and `ema`", 'entry="model"'),
}


@pytest.mark.parametrize("case", CONTENT)
def test_weights_that_do_not_fit_are_a_finding_and_refused_at_the_run(tmp_path: Path, case: str) -> None:
    make, code, what, help = CONTENT[case]
    path = saved(make(), tmp_path / "net.pth")
    (finding,) = findings(tmp_path, "small_cnn(width=4)")
    assert finding.code == code
    assert what in finding.message
    assert help in finding.help
    told = refusal(path)
    assert what in told
    assert help in told


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("fc.bias", float("nan"), "NaN or infinite (fc.bias)"),
        ("features.0.weight", float("inf"), "NaN or infinite (features.0.weight)"),
        ("features.1.running_var", -1.0, "variances below zero (features.1.running_var)"),
    ],
)
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, name: str, value: float, words: str) -> None:
    assert words in refusal(saved(with_nan(name, value), tmp_path / "net.pth"))


def test_what_fits_is_no_finding(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        saved(LAYOUTS[layout](), tmp_path / "net.pth")
        assert findings(tmp_path, "small_cnn(width=4)") == [], layout
    saved({"model": state(), "ema": state(1)}, tmp_path / "net.pth")
    assert findings(tmp_path, "small_cnn(width=4)", ', entry="ema"') == []


@pytest.mark.parametrize(
    ("of", "arch", "meant"),
    [
        (model("wide_resnet", depth=16, width=2), "wide_resnet(depth=28, width=10)", "wide_resnet(depth=16, width=2)"),
        (model("preact_resnet18", width=8), "wide_resnet()", "preact_resnet18(width=8)"),
        (
            model("preact_resnet18", width=8, layout="sat"),
            "preact_resnet18(width=8)",
            "preact_resnet18(width=8, layout=sat)",
        ),
        (model("resnet18", stem="cifar"), "resnet18()", "resnet18(stem=cifar)"),
        (model("resnet34", stem="cifar"), "resnet18(stem=cifar)", "resnet34(stem=cifar)"),
    ],
)
def test_check_says_what_architecture_the_weights_are_of(
    tmp_path: Path, of: CatalogCall, arch: str, meant: str
) -> None:
    saved({"net": prefixed("module.", dict(network(of).body.state_dict()))}, tmp_path / "net.pth")
    (finding,) = findings(tmp_path, arch)
    assert finding.code == "E519"
    assert finding.help == f"these weights are of {meant}: write `arch={meant}`"
    assert findings(tmp_path, meant) == []


def test_a_library_s_network_is_compared_before_it_is_trained_if_not_in_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import squeezenet1_0

    monkeypatch.setattr(library_networks, "asks", False)
    monkeypatch.setenv(user_cache.VARIABLE, str(tmp_path / "cache"))
    torch.manual_seed(0)
    saved(squeezenet1_0(num_classes=7).state_dict(), tmp_path / "net.pth")
    assert findings(tmp_path, 'torchvision("squeezenet1_0")') == []
    spec = tmp_path / "spec.sat"
    spec.write_text(spec.read_text("utf-8").replace("16, 16]", "32, 32]"), "utf-8")
    found = satdsl.load(spec, store=tmp_path / "store", data=tmp_path)
    with pytest.raises(RunError, match="of another shape"):
        found.run(progress=False, device="cpu")


def test_what_a_file_says_of_its_normalisation_is_not_assumed(tmp_path: Path) -> None:
    own = dict(network(model("small_cnn", width=4)).body.state_dict())
    spec = "sat 1\nmodel m = checkpoint('net.pth', arch=small_cnn(width=4))\n".replace("'", '"')
    (tmp_path / "spec.sat").write_text(spec, "utf-8")
    for content, codes in ((own, ["E516"]), (prefixed("m.", own) | normaliser("normalizer"), [])):
        saved(content, tmp_path / "net.pth")
        assert [finding.code for finding in satdsl.load(tmp_path / "spec.sat").findings] == codes


def test_weights_from_a_file_are_read_before_anything_is_trained(tmp_path: Path) -> None:
    from satdsl.engine.scheduler import Scheduler

    saved(state(), tmp_path / "net.pth")
    findings(tmp_path, "small_cnn(width=4)")
    spec = tmp_path / "spec.sat"
    long = "model n = small_cnn()\nrecipe r = sgd(epochs=90)\ntrain t = n on d using r\n"
    long += "evaluate t { c = clean accuracy on val }\n"
    spec.write_text(spec.read_text("utf-8") + long, "utf-8")
    plan = satdsl.load(spec).plan
    scheduler = Scheduler(plan, {key: "new" for key, step in plan.steps.items() if step.kind != "data"})
    ((_, given),) = plan.named["given"]
    assert scheduler.next_ready() == given


def test_explain_says_which_network_is_taken_and_in_which_type(tmp_path: Path) -> None:
    half = {n: t.half() if t.is_floating_point() else t for n, t in state().items()}
    saved({"model": half, "ema": {n: t for n, t in state(1).items() if n != "fc.bias"}}, tmp_path / "net.pth")
    assert findings(tmp_path, "small_cnn(width=4)") == []
    shown = " ".join(str(satdsl.load(tmp_path / "spec.sat").explain()).split())
    assert "small_cnn, pretrained (`model`, not `ema`;" in shown


def test_a_run_records_what_it_read(tmp_path: Path) -> None:
    saved({"model": {n: t.half() if t.is_floating_point() else t for n, t in state().items()}}, tmp_path / "net.pth")
    assert findings(tmp_path, "small_cnn(width=4)") == []
    satdsl.load(tmp_path / "spec.sat", store=tmp_path / "store", data=tmp_path).run(progress=False, device="cpu")
    (found,) = (tmp_path / "store").rglob("pretrained.json")
    record = json.loads(found.read_text("utf-8"))
    assert (record["file"], record["taken"], record["types"]) == ("net.pth", "model", ["float16"])


def test_check_reads_a_file_of_weights_without_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    saved(robustness(), tmp_path / "net.pth")
    findings(tmp_path, "small_cnn(width=4)")
    code = (
        "import sys, satdsl; satdsl.load('spec.sat').check(); "
        "print([m for m in ('torch', 'safetensors') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
