"""Weights are measured in the network that they were trained in: whichever code made them, or the checker says a word.

Every network is written from its published definition (`published_networks.py`), with random weights and statistics,
and saved as its authors save it. What satdsl loads has to give the same logits; and the form that satdsl would assume
gives others wherever its arguments differ, so that no test passes by chance.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from published_networks import (
    AugMixWideResNet,
    Bottleneck,
    DeepMindPreActResNet18,
    DeepMindWideResNet,
    FastPreActBlock,
    FirstBottleneck,
    KuangliuPreActBlock,
    MeliketoyWideResNet,
    MixMatchBlock,
    PlainBlock,
    PreActResNet18,
    ResNet,
    TensorFlowBlock,
    TradesWideResNet,
)
from torch import Tensor, nn

import satdsl
from satdsl.api import RunError
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.models import Network, build
from satdsl.backend.other_forms import agreeing
from satdsl.backend.pretrained import load_pretrained
from satdsl.catalog import catalog
from satdsl.catalog.models import ModelEntry
from satdsl.ir.steps import Pretrained
from satdsl.ir.work import StepError

CLASSES = 5

Reference = Callable[[], nn.Module]
Saved = Callable[[nn.Module], Any]


def plain(network: nn.Module) -> Any:
    return network.state_dict()


def parallel(network: nn.Module) -> Any:
    """As a training script saves a `DataParallel` network, with what else it keeps."""
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    return {"epoch": 200, "state_dict": state, "optimizer": {"lr": 0.1}, "best_acc": 51.5}


def under_net(network: nn.Module) -> Any:
    """As kuangliu's main.py saves it."""
    return {"net": {f"module.{name}": t for name, t in network.state_dict().items()}, "acc": 95.0, "epoch": 3}


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


def preact(block: Any, last: bool, **more: Any) -> Reference:
    return lambda: PreActResNet18(block, 8, CLASSES, last=last, **more)


def wide(**more: Any) -> Reference:
    return lambda: TradesWideResNet(16, 2, CLASSES, **more)


def resnet(block: Any, counts: tuple[int, ...], stem: str, torchvision: bool = False) -> Reference:
    return lambda: ResNet(block, counts, CLASSES, stem, torchvision=torchvision)


def of_torchvision(name: str, **more: Any) -> Reference:
    from torchvision import models

    return lambda: getattr(models, name)(weights=None, num_classes=CLASSES, **more)


def eps_of_tensorflow() -> nn.Module:
    from functools import partial

    from torchvision import models

    return models.resnet18(weights=None, num_classes=CLASSES, norm_layer=partial(nn.BatchNorm2d, eps=1e-3))


IN_FILE = ((0.49, 0.48, 0.44), (0.25, 0.24, 0.26))
AS_THEY_ARE = ((0.0,) * 3, (1.0,) * 3)
HALVES = ((0.5,) * 3, (0.5,) * 3)
DEEPMIND = ((0.5,) * 3, (0.25,) * 3)

W = {"depth": 16, "width": 2}
EIGHTEEN, FIFTY = (2, 2, 2, 2), (3, 4, 6, 3)

PUBLISHED: list[tuple[str, Reference, Saved, tuple[Any, Any], str, dict[str, Any]]] = [
    ("kuangliu PreActResNet18", preact(KuangliuPreActBlock, False), under_net, IN_FILE, "preact_resnet18",
     {"width": 8, "last_norm": False}),
    ("fast_adversarial PreActResNet18", preact(FastPreActBlock, True), plain, IN_FILE, "preact_resnet18",
     {"width": 8, "shortcut": "input"}),
    ("robust_overfitting PreActResNet18", preact(KuangliuPreActBlock, True), plain, IN_FILE, "preact_resnet18",
     {"width": 8}),
    ("RobustBench PreActBlock", preact(FastPreActBlock, False), plain, IN_FILE, "preact_resnet18",
     {"width": 8, "shortcut": "input", "last_norm": False}),
    ("manifold mixup PreActResNet18, 64 pixels", preact(KuangliuPreActBlock, True, stem_stride=2), plain, IN_FILE,
     "preact_resnet18", {"width": 8, "stem_stride": 2}),
    ("DeepMind PreActResNet18 Swish", lambda: DeepMindPreActResNet18(8, CLASSES), plain, DEEPMIND, "preact_resnet18",
     {"width": 8, "shortcut": "input", "shortcut_size": 3, "padding": "same", "activation": "silu"}),
    ("TRADES WRN-34-10", wide(unused=True), plain, AS_THEY_ARE, "wide_resnet", W),
    ("RST WRN-28-10", wide(), parallel, AS_THEY_ARE, "wide_resnet", W),
    ("AugMix WRN-40-2", lambda: AugMixWideResNet(16, 2, CLASSES), plain, HALVES, "wide_resnet", W),
    ("WRN with SiLU in the layout of TRADES", wide(activation=nn.SiLU), plain, AS_THEY_ARE, "wide_resnet",
     {**W, "activation": "silu"}),
    ("WRN with GELU (Pang et al.)", wide(activation=nn.GELU), plain, AS_THEY_ARE, "wide_resnet",
     {**W, "activation": "gelu"}),
    ("WRN with softplus (Xie et al.)", wide(activation=lambda: nn.Softplus(10)), plain, AS_THEY_ARE, "wide_resnet",
     {**W, "activation": "softplus", "beta": 10.0}),
    ("DeepMind WRN-28-10 Swish", lambda: DeepMindWideResNet(16, 2, CLASSES), plain, DEEPMIND, "wide_resnet",
     {**W, "activation": "silu", "padding": "same"}),
    ("MixMatch and FixMatch WRN-28-2", wide(block=MixMatchBlock, activation=leaky), parallel, AS_THEY_ARE,
     "wide_resnet", {**W, "activation": "leaky_relu", "slope": 0.1, "shortcut": "mixmatch"}),
    ("TensorFlow's WRN-28-2 for semi-supervised learning", wide(block=TensorFlowBlock, activation=leaky, eps=1e-3),
     plain, AS_THEY_ARE, "wide_resnet",
     {**W, "activation": "leaky_relu", "slope": 0.1, "shortcut": "first", "bn_eps": 1e-3}),
    ("meliketoy WRN-28-10", lambda: MeliketoyWideResNet(16, 2, CLASSES), under_net, HALVES, "wide_resnet",
     {**W, "bias": True, "shortcut": "input", "strided": "conv2"}),
    ("kuangliu ResNet18", resnet(PlainBlock, EIGHTEEN, "3x3"), under_net, IN_FILE, "resnet18", {"stem": "cifar"}),
    ("MadryLab CIFAR ResNet50", resnet(Bottleneck, FIFTY, "3x3"), plain, IN_FILE, "resnet50", {"stem": "cifar"}),
    ("torchvision resnet18", of_torchvision("resnet18"), plain, HALVES, "resnet18", {}),
    ("torchvision resnet50", of_torchvision("resnet50"), parallel, HALVES, "resnet50", {}),
    ("ResNet-50 v1", resnet(FirstBottleneck, FIFTY, "7x7", True), plain, HALVES, "resnet50", {"variant": "v1"}),
    ("resnet18 with a 3x3 stem and its max pooling", resnet(PlainBlock, EIGHTEEN, "3x3 pool", True), plain, HALVES,
     "resnet18", {"stem": "cifar", "pool": "max"}),
    ("resnet18 with the eps of TensorFlow", eps_of_tensorflow, plain, HALVES, "resnet18", {"bn_eps": 1e-3}),
]  # fmt: skip

TOLD = {"width", "depth", "last_norm", "bias", "stem", "shortcut_size"}
"""Arguments that the weights in a file tell: without them it cannot be loaded."""

NAMED = {"padding", "shortcut"}
"""Arguments that DeepMind's names tell."""


def trained(made: Reference, seed: int = 0) -> nn.Module:
    """The network with weights and statistics as different from their start as after a training."""
    torch.manual_seed(seed)
    network = made().eval()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.normal_(0, 0.3)
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.02, 0.1)
    return network


class Outside(nn.Module):
    """The normalisation that a training script does before its network sees an image."""

    def __init__(self, mean: Any, std: Any) -> None:
        super().__init__()
        self.mean, self.std = (nn.Buffer(torch.tensor(part).view(1, -1, 1, 1)) for part in (mean, std))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def saved(contents: Any, folder: Path) -> Pretrained:
    path = folder / "weights.pth"
    torch.save(contents, path)
    return Pretrained(hashlib.sha256(path.read_bytes()).hexdigest(), str(path))


def loaded(file: Pretrained, name: str, arguments: dict[str, Any], normalisation: tuple[Any, Any]) -> Network:
    model = catalog().call(name, *(ModelEntry.of(name).defaults | arguments).items())
    network = build(model, (3, 32, 32), CLASSES, *normalisation)
    load_pretrained(network, file, model)
    return network.eval()


def images(n: int = 3) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(n))


def logits(network: nn.Module) -> Tensor:
    """Logits in double precision, in which the order of a sum makes no difference."""
    with torch.no_grad():
        return copy.deepcopy(network).double()(images().double())


@pytest.mark.parametrize(
    ("made", "save", "normalisation", "name", "arguments"),
    [case[1:] for case in PUBLISHED],
    ids=[case[0] for case in PUBLISHED],
)
def test_a_published_network_gives_the_logits_of_its_authors_code(
    tmp_path: Path, made: Reference, save: Saved, normalisation: Any, name: str, arguments: dict[str, Any]
) -> None:
    reference = trained(made)
    own = hasattr(reference, "mu") or normalisation is DEEPMIND
    wanted = reference if own else nn.Sequential(Outside(*normalisation), reference)
    file = saved(save(reference), tmp_path)
    network = loaded(file, name, arguments, normalisation)
    truth = logits(wanted)
    assert truth.std() > 0.01
    torch.testing.assert_close(logits(network), truth, rtol=1e-5, atol=1e-5)
    with torch.no_grad():  # the copy that attacks are computed with, whose layers are folded
        torch.testing.assert_close(
            AttackCopy(network).refresh()(images()).double(), truth, rtol=1e-3, atol=1e-3 * float(truth.abs().max())
        )
    for argument in arguments.keys() - TOLD:
        others = {each: value for each, value in arguments.items() if each != argument}
        if argument in NAMED and normalisation is DEEPMIND:
            with pytest.raises(StepError, match="whose form is another"):
                loaded(file, name, others, normalisation)
        else:
            assumed = loaded(file, name, others, normalisation)
            assert (logits(assumed) - truth).abs().max() > 1e-3, f"{argument} makes no difference here"


# --- the classes of RobustBench itself --------------------------------------------------------------


def robustbench(file: str) -> Any:
    """A file of the installed package, without the rest, which needs much that no network of these does."""
    found = find_spec("robustbench")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs pip install --no-deps robustbench")
    path = Path(found.submodule_search_locations[0]) / "model_zoo/architectures" / file
    spec = spec_from_file_location(f"robustbench_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rb_preact(block: str, **more: Any) -> Reference:
    def made() -> nn.Module:
        code = robustbench("resnet.py")
        return code.PreActResNet(getattr(code, block), [2, 2, 2, 2], num_classes=CLASSES, **more)

    return made


def rb_deepmind(name: str, activation: str, **more: Any) -> Reference:
    def made() -> nn.Module:
        code = robustbench("dm_wide_resnet.py")
        chosen = {"Swish": code.Swish, "ReLU": nn.ReLU}[activation]
        return getattr(code, name)(num_classes=CLASSES, activation_fn=chosen, mean=(0.5,) * 3, std=(0.25,) * 3, **more)

    return made


def rb_resnet(name: str) -> Reference:
    return lambda: change_head(getattr(robustbench("resnet.py"), name)())


def rb_wide(**more: Any) -> Reference:
    return lambda: robustbench("wide_resnet.py").WideResNet(16, CLASSES, 2, **more)


def change_head(network: Any) -> nn.Module:
    network.linear = nn.Linear(network.linear.in_features, CLASSES)
    return network


ROBUSTBENCH: list[tuple[str, Reference, tuple[Any, Any], str, dict[str, Any]]] = [
    ("Wong2020Fast", rb_preact("PreActBlock"), AS_THEY_ARE, "preact_resnet18",
     {"shortcut": "input", "last_norm": False}),
    ("PreActBlock with out_shortcut", rb_preact("PreActBlock", bn_before_fc=True, out_shortcut=True), AS_THEY_ARE,
     "preact_resnet18", {}),
    ("Rice2020Overfitting L2", rb_preact("PreActBlockV2", bn_before_fc=True), AS_THEY_ARE, "preact_resnet18", {}),
    ("Gowal2021Improving R18", rb_deepmind("DMPreActResNet", "Swish"), DEEPMIND, "preact_resnet18",
     {"shortcut": "input", "shortcut_size": 3, "padding": "same", "activation": "silu"}),
    ("Rebuffi2021Fixing 28-10", rb_deepmind("DMWideResNet", "Swish", depth=16, width=2), DEEPMIND, "wide_resnet",
     {**W, "activation": "silu", "padding": "same"}),
    ("DMWideResNet with ReLU", rb_deepmind("DMWideResNet", "ReLU", depth=16, width=2), DEEPMIND, "wide_resnet",
     {**W, "padding": "same"}),
    ("WideResNet", rb_wide(), AS_THEY_ARE, "wide_resnet", W),
    ("Chen2020Efficient", rb_wide(sub_block1=True), AS_THEY_ARE, "wide_resnet", W),
    ("ResNet18", rb_resnet("ResNet18"), AS_THEY_ARE, "resnet18", {"stem": "cifar"}),
    ("Engstrom2019Robustness", rb_resnet("ResNet50"), AS_THEY_ARE, "resnet50", {"stem": "cifar"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "normalisation", "name", "arguments"), [case[1:] for case in ROBUSTBENCH], ids=[c[0] for c in ROBUSTBENCH]
)
def test_a_network_of_robustbench_gives_the_logits_of_its_own_class(
    tmp_path: Path, made: Reference, normalisation: Any, name: str, arguments: dict[str, Any]
) -> None:
    reference = trained(made)
    network = loaded(saved(plain(reference), tmp_path), name, arguments, normalisation)
    truth = logits(reference)
    torch.testing.assert_close(logits(network), truth, rtol=1e-5, atol=1e-5)


# --- what the checker says --------------------------------------------------------------------------

SPEC = """sat 1
dataset d = folder("faces", resize=16)
model theirs = checkpoint("weights.pth", arch={arch}, mean=[0.49, 0.48, 0.44], std=[0.25, 0.24, 0.26])
recipe nothing = sgd(epochs=0)
train given = theirs on d using nothing
evaluate given {{ clean = clean accuracy on val }}
"""


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of one colour, each in the folder of the class that the network of fast_adversarial gives; its weights.

    No resizing changes an image of one colour.
    """
    place = tmp_path_factory.mktemp("faces")
    reference: Any = trained(lambda: PreActResNet18(FastPreActBlock, 8, 4, last=True))
    colours = torch.randint(0, 256, (96, 1, 1, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    numbers = colours.expand(-1, 16, 16, -1)
    with torch.no_grad():
        reference.linear.bias -= reference(numbers.permute(0, 3, 1, 2) / 255).mean(0)
        answers = reference(numbers.permute(0, 3, 1, 2) / 255).argmax(1).tolist()
    state = reference.state_dict()
    torch.save(state, place / "normalised.pth")
    torch.save({part: state[part] for part in state if part not in ("mu", "sigma")}, place / "weights.pth")
    for i, (image, label) in enumerate(zip(numbers.numpy(), answers, strict=True)):
        folder = place / "faces" / ("train", "val")[i % 2] / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:02}.png")
    assert len(list(place.glob("faces/*/*"))) == 8
    return place


def test_the_network_of_fast_adversarial_is_right_in_its_own_form_and_wrong_in_the_assumed_one(faces: Path) -> None:
    clean = {}
    for shortcut in ("input", "activated"):
        file = faces / f"{shortcut}.sat"
        file.write_text(SPEC.format(arch=f"preact_resnet18(width=8, shortcut={shortcut}, activation=relu)"), "utf-8")
        spec = satdsl.load(file, store=faces / "store", data=faces)
        assert "E516" not in [finding.code for finding in spec.findings]
        assert spec.run(progress=False).complete
        (clean[shortcut],) = [measured.value for measured in spec.measured]
    assert clean["input"] == 1.0
    assert clean["activated"] < 0.7


def warned(faces: Path, arch: str, more: str = "") -> list[str]:
    """The messages of E516 for weights of this architecture."""
    file = faces / "asked.sat"
    file.write_text(SPEC.format(arch=arch).replace(", mean=[0.49, 0.48, 0.44], std=[0.25, 0.24, 0.26]", more), "utf-8")
    return [finding.message for finding in satdsl.load(file).findings if finding.code == "E516"]


@pytest.mark.parametrize(
    ("arch", "more", "assumed"),
    [
        ("preact_resnet18()", "", "`shortcut=activated`, `activation=relu`, the data set's `mean` and `std`"),
        ("preact_resnet18", ", mean=none, std=none", "`shortcut=activated`, `activation=relu`"),
        ("preact_resnet18(64, standard, input)", ", mean=none, std=none", "`activation=relu`"),
        ("wide_resnet()", ", mean=none, std=none", "`activation=relu`"),
        ("wide_resnet(activation=leaky_relu)", ", mean=none, std=none", "`slope=0.01`, `shortcut=activated`"),
        ("resnet18(activation=relu, stem=cifar)", ", mean=none, std=none", "`pool=usual`"),
        ("resnet50(activation=relu)", ", mean=none, std=none", "`variant=v1_5`"),
        ("small_cnn()", "", "the data set's `mean` and `std`"),
    ],
)
def test_one_warning_names_all_that_the_file_does_not_tell(faces: Path, arch: str, more: str, assumed: str) -> None:
    assert warned(faces, arch, more) == [f"`weights.pth` does not tell all of its network; assumed: {assumed}"]


@pytest.mark.parametrize(
    "arch",
    [
        "preact_resnet18(shortcut=activated, activation=relu)",
        "wide_resnet(depth=34, activation=silu)",
        "wide_resnet(activation=leaky_relu, slope=0.1, shortcut=mixmatch)",
        "resnet18(activation=relu)",
        "resnet50(stem=cifar, pool=none, variant=v1_5, activation=relu)",
        "small_cnn()",
        'torchvision("resnet18")',
    ],
)
def test_who_has_said_which_network_is_not_warned(faces: Path, arch: str) -> None:
    assert warned(faces, arch, ", mean=[0, 0, 0], std=[1, 1, 1]") == []


def test_a_normalisation_in_the_file_need_not_be_said(faces: Path) -> None:
    file = faces / "asked.sat"
    arch = "preact_resnet18(width=8, shortcut=input)"
    text = SPEC.format(arch=arch).replace("weights.pth", "normalised.pth")
    file.write_text(text.replace(", mean=[0.49, 0.48, 0.44], std=[0.25, 0.24, 0.26]", ""), "utf-8")
    (warning,) = [finding for finding in satdsl.load(file).findings if finding.code == "E516"]
    assert warning.message.endswith("assumed: `activation=relu`")


@pytest.mark.parametrize("proof", ["clean=79% ± 0.5%", 'expect=(images="x.npy", logits="y.npy")'])
def test_who_proves_the_network_is_not_warned(faces: Path, proof: str) -> None:
    np.save(faces / "x.npy", np.zeros((2, 3, 16, 16), dtype=np.uint8))
    np.save(faces / "y.npy", np.zeros((2, 4), dtype=np.float32))
    assert warned(faces, "preact_resnet18()", f", {proof}") == []


TRIED = [case for case in PUBLISHED if case[-1].keys() - TOLD and not case[0].startswith(("ResNet-50", "DeepMind"))]


@pytest.mark.parametrize(
    ("made", "save", "normalisation", "name", "arguments"),
    [case[1:] for case in TRIED],
    ids=[case[0] for case in TRIED],
)
def test_a_proof_that_fails_names_the_form_that_is_right(
    tmp_path: Path, made: Reference, save: Saved, normalisation: Any, name: str, arguments: dict[str, Any]
) -> None:
    file = saved(save(trained(made)), tmp_path)
    told = {argument: of for argument, of in arguments.items() if argument in TOLD}
    given = loaded(file, name, told, normalisation)
    with torch.inference_mode():
        truth = loaded(file, name, arguments, normalisation)(images())

        def agrees(other: nn.Module) -> bool:
            return bool((other(images()) - truth).abs().max() < 1e-3 * truth.abs().max())

        model = catalog().call(name, *(ModelEntry.of(name).defaults | told).items())
        found = agreeing(given, model, (3, 32, 32), CLASSES, agrees)
    assert {part.partition("=")[0] for part in found.split(", ")} == arguments.keys() - TOLD


def test_a_run_whose_proof_fails_says_what_to_write(faces: Path) -> None:
    reference = torch.load(faces / "normalised.pth")
    network: Any = PreActResNet18(FastPreActBlock, 8, 4, last=True)
    network.load_state_dict(reference)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 16, 16), dtype=np.uint8)
    with torch.no_grad():
        answers = network.eval()(torch.from_numpy(pixels).float() / 255)
    np.save(faces / "x.npy", pixels)
    np.save(faces / "y.npy", answers.numpy())
    for proof in ('expect=(images="x.npy", logits="y.npy")', "clean=100%"):
        file = faces / "proved.sat"
        text = SPEC.format(arch="preact_resnet18(width=8, activation=relu)").replace("], std", f"], {proof}, std")
        file.write_text(text, "utf-8")
        with pytest.raises(RunError, match=r"with shortcut=input: write it"):
            satdsl.load(file, store=faces / "store", data=faces).run(progress=False)


# --- what weights do tell ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "name", "arguments", "words"),
    [
        (preact(KuangliuPreActBlock, False), "preact_resnet18", {"width": 8}, "(width=8, last_norm=false)"),
        (preact(KuangliuPreActBlock, True), "preact_resnet18", {}, "preact_resnet18(width=8)"),
        (wide(), "wide_resnet", {}, "wide_resnet(depth=16, width=2)"),
        (lambda: MeliketoyWideResNet(16, 2, CLASSES), "wide_resnet", W, "wide_resnet(depth=16, width=2, bias=true)"),
        (resnet(PlainBlock, EIGHTEEN, "3x3"), "resnet18", {}, "resnet18(stem=cifar)"),
        (of_torchvision("resnet18"), "resnet18", {"stem": "cifar"}, "resnet18()"),
        (lambda: DeepMindWideResNet(16, 2, CLASSES), "wide_resnet", W, "wide_resnet(..., padding=same)"),
        (lambda: DeepMindPreActResNet18(8, CLASSES), "preact_resnet18",
         {"width": 8, "shortcut": "input", "padding": "same"}, "shortcut_size=3, padding=same)"),
    ],
)  # fmt: skip
def test_weights_that_fit_another_form_alone_say_which(
    tmp_path: Path, made: Reference, name: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(StepError) as raised:
        loaded(saved(plain(trained(made)), tmp_path), name, arguments, IN_FILE)
    assert words in raised.value.help
