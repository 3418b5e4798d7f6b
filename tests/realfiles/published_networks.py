"""Networks as their authors define them: the names of their weights, and what they compute, written down once more.

Each class follows the published definition (its address stands in the docstring) in the names of its layers and in what
it does with an image. Widths and depths are arguments where the authors', too, are or where it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (1, 2, 2, 2)
"""Of the stages of a ResNet-18."""


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=bias)


def flat_mean(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


def in_order(blocks: Sequence[nn.Module]) -> nn.Sequential:
    return nn.Sequential(*blocks)


class Normalised(nn.Module):
    """RobustBench's and AugMix's way: constants stored beside the weights, as `mu` and `sigma`."""

    def __init__(self, mu: Sequence[float], sigma: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mu", torch.tensor(mu).view(1, -1, 1, 1))
        self.register_buffer("sigma", torch.tensor(sigma).view(1, -1, 1, 1))

    def normalised(self, x: Tensor) -> Tensor:
        return (x - self.get_buffer("mu")) / self.get_buffer("sigma")


# --- pre-activation ResNet-18 -----------------------------------------------------------------------


class KuangliuPreActBlock(nn.Module):
    """kuangliu/pytorch-cifar, models/preact_resnet.py; RobustBench's PreActBlockV2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, outputs, stride=stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs)
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.bn1(x))
        skip = self.shortcut(a) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(a)))) + skip


class FastPreActBlock(KuangliuPreActBlock):
    """locuslab/fast_adversarial, CIFAR10/preact_resnet.py; RobustBench's PreActBlock."""

    def forward(self, x: Tensor) -> Tensor:
        skip = self.shortcut(x) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x)))))) + skip


class PreActResNet18(Normalised):
    """kuangliu's network; `last` adds the batch norm that Wong et al., Rice et al. and others put before the mean."""

    def __init__(self, block: Any, width: int, classes: int, *, last: bool, stem_stride: int = 1) -> None:
        super().__init__((0.49, 0.48, 0.44), (0.25, 0.24, 0.26))
        self.conv1 = conv(3, width, stride=stem_stride)
        before = width
        for stage, (outputs, stride) in enumerate(
            zip((width, 2 * width, 4 * width, 8 * width), STRIDES, strict=True), 1
        ):
            pair = in_order([block(before, outputs, stride), block(outputs, outputs, 1)])
            setattr(self, f"layer{stage}", pair)
            before = outputs
        if last:
            self.bn = nn.BatchNorm2d(before)
        self.linear = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.normalised(x))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        if hasattr(self, "bn"):
            x = F.relu(self.bn(x))
        return self.linear(flat_mean(x))


def padded_as_tensorflow(x: Tensor, stride: int) -> Tensor:
    return F.pad(x, (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1))


class DeepMindPreActBlock(nn.Module):
    """google-deepmind/deepmind-research, adversarial_robustness/pytorch/model_zoo.py (_PreActBlock)."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stride, self.activation = stride, activation
        self.batchnorm_0 = nn.BatchNorm2d(inputs)
        self.conv_2d_1 = nn.Conv2d(inputs, outputs, 3, stride, bias=False)
        self.batchnorm_1 = nn.BatchNorm2d(outputs)
        self.conv_2d_2 = conv(outputs, outputs)
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 3, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.shortcut(padded_as_tensorflow(x, self.stride)) if hasattr(self, "shortcut") else x
        a = self.conv_2d_1(padded_as_tensorflow(self.activation(self.batchnorm_0(x)), self.stride))
        return self.conv_2d_2(self.activation(self.batchnorm_1(a))) + skip


class DeepMindPreActResNet18(nn.Module):
    """The same file; it normalises with constants that are not stored."""

    def __init__(self, width: int, classes: int, activation: Callable[[Tensor], Tensor] = F.silu) -> None:
        super().__init__()
        self.activation = activation
        self.conv_2d = conv(3, width)
        before = width
        for stage, (outputs, stride) in enumerate(zip((width, 2 * width, 4 * width, 8 * width), STRIDES, strict=True)):
            pair = [(before, outputs, stride), (outputs, outputs, 1)]
            setattr(self, f"layer_{stage}", in_order([DeepMindPreActBlock(*sizes, activation) for sizes in pair]))
            before = outputs
        self.batchnorm = nn.BatchNorm2d(before)
        self.logits = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_2d((x - 0.5) / 0.25)
        for stage in (self.layer_0, self.layer_1, self.layer_2, self.layer_3):
            x = stage(x)
        return self.logits(flat_mean(self.activation(self.batchnorm(x))))


# --- wide ResNets -----------------------------------------------------------------------------------


class TradesBlock(nn.Module):
    """yaodongyu/TRADES, models/wideresnet.py (after xternalz/WideResNet-pytorch), with any activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Any, first: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = activation()
        self.conv1 = conv(inputs, outputs, stride=stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = activation()
        self.conv2 = conv(outputs, outputs)
        self.same = inputs == outputs
        self.first = first
        if not self.same:
            self.convShortcut = conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        a = self.relu1(self.bn1(x))
        if not self.same:
            x = a
        residual = self.conv2(self.relu2(self.bn2(self.conv1(a))))
        return residual + (x if self.same else self.convShortcut(x))


class MixMatchBlock(TradesBlock):
    """YU1ut/MixMatch-pytorch, models/wideresnet.py; kekmodel/FixMatch-pytorch.

    Where the number of channels changes, only the first stage normalises and activates before the block: in the other
    stages what `bn1` and `relu1` give is not used.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.same:
            return x + self.conv2(self.relu2(self.bn2(self.conv1(self.relu1(self.bn1(x))))))
        if self.first:
            x = self.relu1(self.bn1(x))
        return self.convShortcut(x) + self.conv2(self.relu2(self.bn2(self.conv1(x))))


class TensorFlowBlock(TradesBlock):
    """The wide ResNet of brain-research/realistic-ssl-evaluation: `activate_before_residual` in the first stage."""

    def forward(self, x: Tensor) -> Tensor:
        a = self.relu1(self.bn1(x))
        skip = x if self.same else self.convShortcut(a if self.first else x)
        return skip + self.conv2(self.relu2(self.bn2(self.conv1(a))))


class Stage(nn.Module):
    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layer = in_order(blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class TradesWideResNet(nn.Module):
    """yaodongyu/TRADES; `sub_block1` is there and is not used. Images are taken as they are, in [0, 1]."""

    def __init__(
        self,
        depth: int,
        width: int,
        classes: int,
        *,
        block: Any = TradesBlock,
        activation: Any = nn.ReLU,
        unused: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.conv1 = conv(3, 16)
        before = 16
        for number, stride in ((1, 1), (2, 2), (3, 2)):
            outputs, made = 16 * width * 2 ** (number - 1), []
            for i in range((depth - 4) // 6):
                made.append(
                    block(before if i == 0 else outputs, outputs, stride if i == 0 else 1, activation, number == 1)
                )
            setattr(self, f"block{number}", Stage(made))
            if number == 1 and unused:
                self.sub_block1 = Stage([block(16, outputs, 1, activation, True)])
            before = outputs
        self.bn1 = nn.BatchNorm2d(before)
        self.relu = activation()
        self.fc = nn.Linear(before, classes)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(flat_mean(self.relu(self.bn1(x))))


class AugMixWideResNet(Normalised):
    """RobustBench's Hendrycks2020AugMixWRNNet: the network of google-research/augmix after its normalisation."""

    def __init__(self, depth: int, width: int, classes: int) -> None:
        super().__init__((0.5,) * 3, (0.5,) * 3)
        for name, layer in TradesWideResNet(depth, width, classes).named_children():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return TradesWideResNet.forward(self, self.normalised(x))  # type: ignore[arg-type]


class DeepMindBlock(nn.Module):
    """google-deepmind/deepmind-research, adversarial_robustness/pytorch/model_zoo.py (_Block)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.batchnorm_0 = nn.BatchNorm2d(inputs)
        self.conv_0 = nn.Conv2d(inputs, outputs, 3, stride, bias=False)
        self.batchnorm_1 = nn.BatchNorm2d(outputs)
        self.conv_1 = conv(outputs, outputs)
        self.shortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        a = F.silu(self.batchnorm_0(x))
        skip = x if self.shortcut is None else self.shortcut(a)
        a = self.conv_0(padded_as_tensorflow(a, self.stride))
        return skip + self.conv_1(F.silu(self.batchnorm_1(a)))


class BlockGroup(nn.Module):
    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.block = in_order(blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class DeepMindWideResNet(nn.Module):
    """The same file, with Swish; it normalises with constants that are not stored."""

    def __init__(self, depth: int, width: int, classes: int) -> None:
        super().__init__()
        self.init_conv = conv(3, 16)
        groups, before = [], 16
        for outputs, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            rest = [DeepMindBlock(outputs, outputs, 1) for _ in range((depth - 4) // 6 - 1)]
            groups.append(BlockGroup([DeepMindBlock(before, outputs, stride), *rest]))
            before = outputs
        self.layer = in_order(groups)
        self.batchnorm = nn.BatchNorm2d(before)
        self.logits = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(self.init_conv((x - 0.5) / 0.25))
        return self.logits(flat_mean(F.silu(self.batchnorm(x))))


class MeliketoyBlock(nn.Module):
    """meliketoy/wide-resnet.pytorch, networks/wide_resnet.py."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, outputs, bias=True)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs, stride=stride, bias=True)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride, bias=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))


class MeliketoyWideResNet(nn.Module):
    def __init__(self, depth: int, width: int, classes: int) -> None:
        super().__init__()
        self.conv1 = conv(3, 16, bias=True)
        before = 16
        for number, stride in ((1, 1), (2, 2), (3, 2)):
            outputs = 16 * width * 2 ** (number - 1)
            rest = [MeliketoyBlock(outputs, outputs, 1) for _ in range((depth - 4) // 6 - 1)]
            setattr(self, f"layer{number}", in_order([MeliketoyBlock(before, outputs, stride), *rest]))
            before = outputs
        self.bn1 = nn.BatchNorm2d(before, momentum=0.9)
        self.linear = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.linear(flat_mean(F.relu(self.bn1(x))))


# --- ResNets ----------------------------------------------------------------------------------------


class PlainBlock(nn.Module):
    """kuangliu/pytorch-cifar, models/resnet.py (BasicBlock); MadryLab/robustness, cifar_models/resnet.py."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, skip: str) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, stride=stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width), nn.BatchNorm2d(width)
        self.skip = skip
        if stride > 1 or inputs != width:
            setattr(self, skip, nn.Sequential(conv(inputs, width, 1, stride), nn.BatchNorm2d(width)))

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + getattr(self, self.skip, nn.Identity())(x))


class Bottleneck(nn.Module):
    """The same files (Bottleneck): stride in the 3x3 convolution; `v1` of He et al. has it in the first 1x1 one."""

    expansion = 4
    first = False

    def __init__(self, inputs: int, width: int, stride: int, skip: str) -> None:
        super().__init__()
        one, two = (stride, 1) if self.first else (1, stride)
        self.conv1, self.bn1 = conv(inputs, width, 1, one), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, stride=two), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        self.skip = skip
        if stride > 1 or inputs != 4 * width:
            setattr(self, skip, nn.Sequential(conv(inputs, 4 * width, 1, stride), nn.BatchNorm2d(4 * width)))

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(a)) + getattr(self, self.skip, nn.Identity())(x))


class FirstBottleneck(Bottleneck):
    """The bottleneck of He et al., 2015, as Caffe and TensorFlow have it."""

    first = True


class ResNet(nn.Module):
    """A post-activation ResNet under kuangliu's names (`shortcut`, `linear`) or torchvision's (`downsample`, `fc`).

    `stem` is "3x3" as for CIFAR, "3x3 pool" for code that replaces torchvision's first convolution alone, or "7x7".
    """

    def __init__(self, block: Any, counts: Sequence[int], classes: int, stem: str, *, torchvision: bool) -> None:
        super().__init__()
        skip, head = ("downsample", "fc") if torchvision else ("shortcut", "linear")
        self.stem, self.head = stem, head
        self.conv1 = conv(3, 64, 7, 2) if stem == "7x7" else conv(3, 64)
        self.bn1 = nn.BatchNorm2d(64)
        before = 64
        for stage, count in enumerate(counts):
            made = []
            for i in range(count):
                made.append(block(before, 64 * 2**stage, 2 if stage and i == 0 else 1, skip))
                before = 64 * 2**stage * block.expansion
            setattr(self, f"layer{stage + 1}", in_order(made))
        setattr(self, head, nn.Linear(before, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        if self.stem != "3x3":
            x = F.max_pool2d(x, 3, 2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return getattr(self, self.head)(flat_mean(x))
