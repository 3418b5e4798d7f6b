"""An architecture's name and settings to a network that takes images in [0, 1] and gives logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.plan.steps import Choice
from satdsl.plan.work import StepError


class Normalise(nn.Module):
    """(x - mean) / std for each channel. Not part of the stored weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Network(nn.Module):
    """Normalisation and a body whose last layer is `body.fc`: [n, c, h, w] in [0, 1] to logits [n, classes].

    `repeat` copies a grey channel that often before the normalisation (1: as it is), so that a network for
    colour images takes grey ones.
    """

    def __init__(self, body: nn.Module, mean: Sequence[float], std: Sequence[float], repeat: int = 1) -> None:
        super().__init__()
        self.normalise = Normalise(mean, std)
        self.body = body
        self.repeat = repeat

    def forward(self, x: Tensor) -> Tensor:
        if self.repeat != 1:
            x = x.repeat(1, self.repeat, 1, 1)
        logits: Tensor = self.body(self.normalise(x))
        return logits

    @property
    def head(self) -> nn.Module:
        """The last layer, or what stands in its place after a transfer."""
        head = self.body.fc
        assert isinstance(head, nn.Module)
        return head

    def replace_head(self, head: nn.Module) -> None:
        """Put `head` in the place of the last layer."""
        self.body.fc = head

    @property
    def feature_width(self) -> int:
        """How many features the last layer takes."""
        return next(layer.in_features for layer in self.head.modules() if isinstance(layer, nn.Linear))


# --- a small network for tiny images ----------------------------------------------------------------


class SmallCNN(nn.Module):
    """3x3 convolutions of w, 2w and 4w channels (strides 2, 1, 2) with batch norm, then the global mean."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv_norm_relu(channels, width, stride=2),
            *_conv_norm_relu(width, 2 * width, stride=1),
            *_conv_norm_relu(2 * width, 4 * width, stride=2),
        )
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(x).mean((2, 3)))
        return logits


def _conv_norm_relu(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [_conv3x3(inputs, outputs, stride), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


# --- pre-activation residual networks ---------------------------------------------------------------


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, beside a shortcut.

    He et al., 2016, "Identity Mappings in Deep Residual Networks".
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv3x3(inputs, outputs, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv3x3(outputs, outputs, 1)
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        across: Tensor = x if self.shortcut is None else self.shortcut(active)
        residual: Tensor = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return across + residual


class PreActResNet(nn.Module):
    """A 3x3 stem, stages of `PreActBlock`s, batch norm, ReLU, the global mean and a linear layer.

    `stages` has (channels, blocks, stride of the first block) for each stage.
    """

    def __init__(self, channels: int, classes: int, stem: int, stages: Sequence[tuple[int, int, int]]) -> None:
        super().__init__()
        self.conv1 = _conv3x3(channels, stem, 1)
        blocks: list[nn.Module] = []
        width = stem
        for outputs, count, stride in stages:
            for i in range(count):
                blocks.append(PreActBlock(width, outputs, stride if i == 0 else 1))
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        features = F.relu(self.bn(self.blocks(self.conv1(x)))).mean((2, 3))
        logits: Tensor = self.fc(features)
        return logits


def _conv3x3(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def _initialise(model: nn.Module) -> None:
    """Convolutions as in He et al., 2015 ("Delving Deep into Rectifiers"), fan-out mode."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


# --- by name -----------------------------------------------------------------------------------------


def small_cnn(model: Choice, channels: int, classes: int) -> nn.Module:
    return SmallCNN(channels, classes, int(model["width"]))


def preact_resnet18(model: Choice, channels: int, classes: int) -> nn.Module:
    """Layout `sat` is that of the released SAT code: stages of 2w, 4w, 8w, 8w channels after a stem of w."""
    w = int(model["width"])
    widths = (2 * w, 4 * w, 8 * w, 8 * w) if model.get("layout") == "sat" else (w, 2 * w, 4 * w, 8 * w)
    stages = [(width, 2, stride) for width, stride in zip(widths, (1, 2, 2, 2), strict=True)]
    return PreActResNet(channels, classes, w, stages)


def wide_resnet(model: Choice, channels: int, classes: int) -> nn.Module:
    """WRN-depth-width (Zagoruyko and Komodakis, 2016): three stages of (depth - 4) / 6 blocks."""
    depth, k = int(model["depth"]), int(model["width"])
    if depth < 10 or (depth - 4) % 6:
        raise StepError(f"a wide ResNet cannot have {depth} layers", "depth is 6n + 4: 10, 16, 22, 28, 34, 40 or 70")
    stages = [(16 * k, (depth - 4) // 6, 1), (32 * k, (depth - 4) // 6, 2), (64 * k, (depth - 4) // 6, 2)]
    return PreActResNet(channels, classes, 16, stages)


def torchvision_resnet(model: Choice, channels: int, classes: int) -> nn.Module:
    """torchvision's ResNet; stem `cifar` is a 3x3 convolution of stride 1 without pooling."""
    from torchvision import models

    body: nn.Module = getattr(models, model.name)(weights=None, num_classes=classes)
    if model.get("stem") == "cifar":
        body.conv1, body.maxpool = _conv3x3(channels, 64, 1), nn.Identity()
    elif channels != 3:
        body.conv1 = nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False)
    _initialise(body)
    return body


ARCHITECTURES: Mapping[str, Callable[[Choice, int, int], nn.Module]] = {
    "small_cnn": small_cnn,
    "preact_resnet18": preact_resnet18,
    "wide_resnet": wide_resnet,
    **{f"resnet{depth}": torchvision_resnet for depth in (18, 34, 50, 101, 152)},
}
"""By a model's name: what builds its body from (settings, channels, classes)."""


def build(model: Choice, shape: Sequence[int], classes: int, mean: Sequence[float], std: Sequence[float]) -> Network:
    """An untrained network for images of this (channels, height, width), its weights drawn globally."""
    if model.name not in ARCHITECTURES:
        raise StepError(f"this version cannot build the model {model.name}")
    if len(mean) != shape[0] or len(std) != shape[0]:
        raise StepError(f"images have {shape[0]} channels, but the normalisation has {len(mean)}")
    return Network(ARCHITECTURES[model.name](model, shape[0], classes), mean, std)


def new_head(head: Choice, features: int, classes: int) -> nn.Module:
    """The last layer of a transfer: `linear`, or `mlp` with one hidden layer and ReLU."""
    if head.name == "linear":
        return nn.Linear(features, classes)
    if head.name == "mlp":
        hidden = int(head["hidden"])
        return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes))
    raise StepError(f"this version has no head called {head.name}", "linear() or mlp(hidden=512)")
