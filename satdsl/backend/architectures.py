"""Define the network architectures in plain PyTorch: each takes images in [0, 1] and normalises them itself.

Nothing of satdsl is imported here, because `satdsl export` copies the text of this file into the exported code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""

Body = Callable[[Shape, int], nn.Module]
"""Builds the body of a network from an image's shape and the number of classes."""


class Normalise(nn.Module):
    """Computes (x - mean) / std for each channel. Its buffers are not part of the stored weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Network(nn.Module):
    """A normalisation and a body: maps images [n, c, h, w] in [0, 1] to logits [n, classes].

    `head_name` is the name in the body of its last layer, which a transfer replaces; None if the body does not end in
    a linear layer. A grey channel is copied `repeat` times before the normalisation, so that a network for colour
    images can take grey ones; 1 leaves images as they are.
    """

    def __init__(
        self, body: nn.Module, mean: Sequence[float], std: Sequence[float], head_name: str | None, repeat: int = 1
    ) -> None:
        super().__init__()
        self.normalise = Normalise(mean, std)
        self.body = body
        self.head_name = head_name
        self.repeat = repeat

    def forward(self, x: Tensor) -> Tensor:
        if self.repeat != 1:
            x = x.repeat(1, self.repeat, 1, 1)
        logits: Tensor = self.body(self.normalise(x))
        return logits

    @property
    def head(self) -> nn.Module:
        """Return the last layer, or what took its place in a transfer."""
        assert self.head_name is not None
        return self.body.get_submodule(self.head_name)

    def replace_head(self, head: nn.Module) -> None:
        """Replace the last layer by `head`."""
        assert self.head_name is not None
        self.body.set_submodule(self.head_name, head)

    @property
    def feature_width(self) -> int:
        """Return the number of features that the last layer takes."""
        return next(layer.in_features for layer in self.head.modules() if isinstance(layer, nn.Linear))


# --- a small network for tiny images ----------------------------------------------------------------


class SmallCNN(nn.Module):
    """Three 3x3 convolutions of w, 2w and 4w channels (strides 2, 1, 2) with batch norm, a global mean and a head."""

    def __init__(
        self, channels: int, classes: int, width: int, activation: str = "relu", slope: float = 0.01, beta: float = 1.0
    ) -> None:
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for inputs, outputs, stride in zip(widths, widths[1:], (2, 1, 2), strict=False):
            active = nn.ReLU(inplace=True) if activation == "relu" else ACTIVATIONS[activation](slope, beta)
            layers += [_conv3x3(inputs, outputs, stride), nn.BatchNorm2d(outputs), active]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(x).mean((2, 3)))
        return logits


# --- forms of a network that its weights do not show --------------------------------------------------

ACTIVATIONS: Mapping[str, Callable[[float, float], nn.Module]] = {
    "relu": lambda slope, beta: nn.ReLU(),
    "leaky_relu": lambda slope, beta: nn.LeakyReLU(slope),
    "silu": lambda slope, beta: nn.SiLU(),
    "gelu": lambda slope, beta: nn.GELU(),
    "gelu_tanh": lambda slope, beta: nn.GELU(approximate="tanh"),
    "softplus": lambda slope, beta: nn.Softplus(beta),
    "elu": lambda slope, beta: nn.ELU(),
    "selu": lambda slope, beta: nn.SELU(),
    "mish": lambda slope, beta: nn.Mish(),
    "tanh": lambda slope, beta: nn.Tanh(),
}
"""By name: what builds an activation from the slope of `leaky_relu` below 0 and the `beta` of `softplus`."""


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow does under `SAME`: where an odd number is added, one more at the end."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(_padded(x, self, 0.0), self.weight, self.bias, self.stride)


class SameMaxPool2d(nn.MaxPool2d):
    """A max pooling that pads as TensorFlow does under `SAME`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(_padded(x, self, float("-inf")), self.kernel_size, self.stride)


def _padded(x: Tensor, layer: SameConv2d | SameMaxPool2d, value: float) -> Tensor:
    """Pad images so that a layer of stride s gives ceil(size / s) rows and columns."""
    kernel, stride = _side(layer.kernel_size), _side(layer.stride)
    height, width = ((kernel - stride) + (-size) % stride for size in (x.shape[-2], x.shape[-1]))
    return F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2), value=value)


def _side(size: Any) -> int:
    return int(size[0] if isinstance(size, tuple) else size)


def _formed(body: nn.Module, padding: str = "symmetric", bn_eps: float = 1e-5) -> nn.Module:
    """Return the body with this padding where layers have strides, and this number in the roots of its batch norms."""
    for name, layer in list(body.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = bn_eps
        elif padding == "same" and isinstance(layer, nn.Conv2d) and 1 < _side(layer.stride) <= _side(layer.kernel_size):
            body.set_submodule(name, _same(layer))
        elif padding == "same" and isinstance(layer, nn.MaxPool2d):
            body.set_submodule(name, SameMaxPool2d(layer.kernel_size, layer.stride))
    return body


def _same(conv: nn.Conv2d) -> SameConv2d:
    """Return a convolution with the same weights that pads as under `SAME`; nothing is drawn for it."""
    kernel, stride, bias = _side(conv.kernel_size), _side(conv.stride), conv.bias is not None
    made = SameConv2d(conv.in_channels, conv.out_channels, kernel, stride, bias=bias, device="meta")
    made.weight, made.bias = conv.weight, conv.bias
    return made


# --- pre-activation residual networks ---------------------------------------------------------------


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and activation, and a shortcut around them.

    Where the block changes the number of channels or the size, the shortcut is a convolution with `shortcut_size` rows
    and columns. `shortcut` says of what: `activated` is the block's input after batch norm and activation, `input` the
    input itself; `raw` is the input for the shortcut and for the first 3x3 convolution, too. `strided` names the 3x3
    convolution with the stride.

    Source: He et al., 2016, "Identity Mappings in Deep Residual Networks".
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        shortcut: str = "activated",
        activation: Callable[[Tensor], Tensor] = F.relu,
        shortcut_size: int = 1,
        strided: str = "conv1",
        bias: bool = False,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if strided == "conv1" else (1, stride)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv3x3(inputs, outputs, first, bias)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv3x3(outputs, outputs, second, bias)
        self.activation = activation
        changes = stride != 1 or inputs != outputs
        size = shortcut_size
        self.shortcut = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=bias) if changes else None
        self.of = shortcut if changes else "identity"

    def forward(self, x: Tensor) -> Tensor:
        active = x if self.of == "raw" else self.activation(self.bn1(x))
        across: Tensor = x
        if self.shortcut is not None:
            across = self.shortcut(active if self.of == "activated" else x)
        residual: Tensor = self.conv2(self.activation(self.bn2(self.conv1(active))))
        return across + residual


class PreActResNet(nn.Module):
    """A 3x3 stem, stages of `PreActBlock`s, batch norm, activation, the global mean and a linear layer.

    `stages` lists (channels, number of blocks, stride of the first block) of each stage. `shortcut` is that of the
    blocks; of `first` and `mixmatch` the first stage has `activated`, the others have `input` and `raw`. Without
    `last_norm`, no batch norm and no activation come before the mean. `form` has the arguments of `_formed`.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        stem: int,
        stages: Sequence[tuple[int, int, int]],
        *,
        shortcut: str = "activated",
        activation: str = "relu",
        slope: float = 0.01,
        beta: float = 1.0,
        shortcut_size: int = 1,
        strided: str = "conv1",
        bias: bool = False,
        last_norm: bool = True,
        stem_stride: int = 1,
        **form: Any,
    ) -> None:
        super().__init__()
        self.activation = F.relu if activation == "relu" else ACTIVATIONS[activation](slope, beta)
        later = {"first": "input", "mixmatch": "raw"}
        self.conv1 = _conv3x3(channels, stem, stem_stride, bias)
        blocks: list[nn.Module] = []
        width = stem
        for number, (outputs, count, stride) in enumerate(stages):
            of = later.get(shortcut, shortcut) if number or shortcut not in later else "activated"
            for i in range(count):
                step = stride if i == 0 else 1
                blocks.append(PreActBlock(width, outputs, step, of, self.activation, shortcut_size, strided, bias))
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(width) if last_norm else None
        self.fc = nn.Linear(width, classes)
        _initialise(self)
        _formed(self, **form)

    def forward(self, x: Tensor) -> Tensor:
        features = self.blocks(self.conv1(x))
        if self.bn is not None:
            features = self.activation(self.bn(features))
        logits: Tensor = self.fc(features.mean((2, 3)))
        return logits


def _conv3x3(inputs: int, outputs: int, stride: int, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)


def _initialise(model: nn.Module) -> None:
    """Draw the weights of convolutions as in He et al., 2015 ("Delving Deep into Rectifiers"), in fan-out mode."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


# --- by name -----------------------------------------------------------------------------------------


def small_cnn(shape: Shape, classes: int, *, width: int, **form: Any) -> nn.Module:
    """Build a small network for tiny images. `form` has the arguments of `SmallCNN`."""
    return SmallCNN(shape[0], classes, width, **form)


def preact_resnet18(shape: Shape, classes: int, *, width: int, layout: str = "standard", **form: Any) -> nn.Module:
    """Build a pre-activation ResNet-18 with stages of w, 2w, 4w and 8w channels.

    The layout `sat` is that of the released SAT code: stages of 2w, 4w, 8w and 8w channels after a stem of w. `form`
    has the arguments of `PreActResNet`.
    """
    w = width
    widths = (2 * w, 4 * w, 8 * w, 8 * w) if layout == "sat" else (w, 2 * w, 4 * w, 8 * w)
    stages = [(outputs, 2, stride) for outputs, stride in zip(widths, (1, 2, 2, 2), strict=True)]
    return PreActResNet(shape[0], classes, w, stages, **form)


def wide_resnet(shape: Shape, classes: int, *, depth: int, width: int, **form: Any) -> nn.Module:
    """Build WRN-depth-width (Zagoruyko and Komodakis, 2016): three stages of (depth - 4) / 6 blocks each.

    `form` has the arguments of `PreActResNet`.
    """
    blocks, left = divmod(depth - 4, 6)
    if left or blocks < 1:
        raise ValueError(f"a wide ResNet cannot have {depth} layers: depth is 6n + 4")
    k = width
    stages = [(16 * k, blocks, 1), (32 * k, blocks, 2), (64 * k, blocks, 2)]
    return PreActResNet(shape[0], classes, 16, stages, **form)


def resnet(depth: int) -> Callable[..., nn.Module]:
    """Return what builds torchvision's ResNet of this depth.

    The stem `cifar` is a 3x3 convolution of stride 1 without pooling, `imagenet` one of 7x7 and stride 2 with pooling;
    `pool` and `stem_stride` change that. `bottleneck` is, for 50 layers and more, the width of the first 3x3
    convolutions; 64 is what was published. Their variant `v1_5` has its strides in the 3x3 convolutions, `v1` in the
    first 1x1 ones. `form` has the arguments of `_formed`.
    """

    def build(
        shape: Shape,
        classes: int,
        *,
        stem: str = "imagenet",
        pool: str = "usual",
        stem_stride: int | None = None,
        variant: str = "v1_5",
        activation: str = "relu",
        slope: float = 0.01,
        beta: float = 1.0,
        bottleneck: int = 64,
        **form: Any,
    ) -> nn.Module:
        from torchvision import models

        made = getattr(models, f"resnet{depth}")
        body: nn.Module = made(weights=None, num_classes=classes, width_per_group=bottleneck)
        if stem == "cifar":
            body.conv1 = _conv3x3(shape[0], 64, stem_stride or 1)
        elif shape[0] != 3 or stem_stride not in (None, 2):
            body.conv1 = nn.Conv2d(shape[0], 64, 7, stem_stride or 2, padding=3, bias=False)
        if pool == "none" or (pool == "usual" and stem == "cifar"):
            body.maxpool = nn.Identity()
        for name, layer in list(body.named_modules()):
            if variant == "v1" and isinstance(layer, models.resnet.Bottleneck):
                layer.conv1.stride, layer.conv2.stride = layer.conv2.stride, layer.conv1.stride
            elif activation != "relu" and isinstance(layer, nn.ReLU):
                body.set_submodule(name, ACTIVATIONS[activation](slope, beta))
        _initialise(body)
        return _formed(body, **form)

    return build


def torchvision_model(shape: Shape, classes: int, *, architecture: str) -> nn.Module:
    """Build any of torchvision's classification models, without auxiliary classifiers.

    For images that do not have three channels the first convolution is built again, as `nn.Conv2d` initialises it.
    """
    from torchvision import models

    channels, *size = shape
    settings: dict[str, Any] = {}
    if architecture.startswith("vit_"):
        settings = {"image_size": size[0]}
    elif architecture.startswith("maxvit"):
        settings = {"input_size": tuple(size)}
    elif architecture in ("googlenet", "inception_v3"):
        settings = {"aux_logits": False, "init_weights": True}
    body: nn.Module = models.get_model(architecture, weights=None, num_classes=classes, **settings)
    if channels != 3:
        name, first = next((name, part) for name, part in body.named_modules() if isinstance(part, nn.Conv2d))
        body.set_submodule(name, _for_channels(first, channels))
    return body


def _for_channels(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    """Return a convolution like `conv` that takes this many channels."""
    sizes: Any = {name: getattr(conv, name) for name in ("kernel_size", "stride", "padding", "dilation", "groups")}
    return nn.Conv2d(channels, conv.out_channels, bias=conv.bias is not None, **sizes)


def timm_model(shape: Shape, classes: int, *, architecture: str) -> nn.Module:
    """Build any of timm's architectures; one that is made for a fixed image size is made for the size in `shape`."""
    import timm

    settings: dict[str, Any] = {"pretrained": False, "num_classes": classes, "in_chans": shape[0]}
    config = timm.get_pretrained_cfg(architecture)
    if config is not None and config.fixed_input_size:
        settings["img_size"] = shape[1:]
    body: nn.Module = timm.create_model(architecture, **settings)
    return body


ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {
    "small_cnn": small_cnn,
    "preact_resnet18": preact_resnet18,
    "wide_resnet": wide_resnet,
    **{f"resnet{depth}": resnet(depth) for depth in (18, 34, 50, 101, 152)},
    "torchvision": torchvision_model,
    "timm": timm_model,
}
"""The function that builds each model's body from an image's shape, the number of classes and the model's settings."""


def head_name(body: nn.Module, classes: int) -> str | None:
    """Return the name in `body` of the last linear layer that gives a logit for each class; None if there is none.

    timm says itself which layer it is. Its architectures with several such layers (for distillation) have no last one.
    """
    config = getattr(body, "pretrained_cfg", None)
    linear = [n for n, part in body.named_modules() if isinstance(part, nn.Linear) and part.out_features == classes]
    if config is None:
        return linear[-1] if linear else None
    return config["classifier"] if config["classifier"] in linear else None


def linear(features: int, classes: int) -> nn.Module:
    """Build one linear layer."""
    return nn.Linear(features, classes)


def mlp(features: int, classes: int, *, hidden: int) -> nn.Module:
    """Build one hidden layer with ReLU, and a linear layer."""
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes))


HEADS: Mapping[str, Callable[..., nn.Module]] = {"linear": linear, "mlp": mlp}
"""By a head's name: what builds it from the number of features, the number of classes and the head's settings."""


def new_head(head: Mapping[str, Any], features: int, classes: int) -> nn.Module:
    """Build the last layer of a transfer."""
    settings = {name: value for name, value in head.items() if name != "name"}
    return HEADS[head["name"]](features, classes, **settings)


def untrained(
    *,
    model: Mapping[str, Any],
    classes: int,
    shape: Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    body_classes: int | None = None,
    head: Mapping[str, Any] | None = None,
    repeat: int = 1,
    body: Body | None = None,
) -> Network:
    """Build a network for images of this shape; its weights are drawn from the global random state.

    `model` holds the `name` and the settings of an architecture. After a transfer `head` holds those of the layer that
    replaced the one for `body_classes`, and `repeat` says how often a grey channel is copied. `body` builds the body of
    an architecture that is none of `ARCHITECTURES`.
    """
    settings = {name: value for name, value in model.items() if name != "name"}
    built_for = classes if body_classes is None else body_classes
    channels, height, width = shape
    taken = channels * repeat, height, width
    built = ARCHITECTURES[model["name"]](taken, built_for, **settings) if body is None else body(taken, built_for)
    network = Network(built, mean, std, head_name(built, built_for), repeat)
    if head is not None:
        network.replace_head(new_head(head, network.feature_width, classes))
    return network
