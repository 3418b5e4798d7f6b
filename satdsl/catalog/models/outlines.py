"""Say what weights each architecture has, by name and shape, without building it.

So a file of weights is compared with an architecture before anything runs. `tests/realfiles/test_checkpoint_files.py`
holds these outlines against the networks that `backend.architectures` builds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from satdsl.ir.steps import CatalogCall
from satdsl.weight_files.matching import Shape, Shapes

Outline = Callable[[CatalogCall, int, int], Shapes]
"""Returns the shape of each weight of a network for images of so many channels, and so many classes."""

Named = Iterator[tuple[str, Shape]]


def small_cnn(call: CatalogCall, channels: int, classes: int) -> Shapes:
    def parts() -> Named:
        inputs = channels
        for place, outputs in ((0, call["width"]), (3, 2 * call["width"]), (6, 4 * call["width"])):
            yield f"features.{place}.weight", (outputs, inputs, 3, 3)
            yield from _norm(f"features.{place + 1}", outputs)
            inputs = outputs
        yield from _linear("fc", inputs, classes)

    return dict(parts())


def preact_resnet18(call: CatalogCall, channels: int, classes: int) -> Shapes:
    w = call["width"]
    widths = (2 * w, 4 * w, 8 * w, 8 * w) if call["layout"] == "sat" else (w, 2 * w, 4 * w, 8 * w)
    stages = [(outputs, 2, stride) for outputs, stride in zip(widths, (1, 2, 2, 2), strict=True)]
    return dict(_preact(call, channels, classes, w, stages))


def wide_resnet(call: CatalogCall, channels: int, classes: int) -> Shapes:
    blocks, k = (call["depth"] - 4) // 6, call["width"]
    stages = [(16 * k, blocks, 1), (32 * k, blocks, 2), (64 * k, blocks, 2)]
    return dict(_preact(call, channels, classes, 16, stages))


def resnet(depth: int) -> Outline:
    """Return the outline of torchvision's ResNet of this depth."""
    counts = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}[depth]
    deep = depth >= 50

    def outline(call: CatalogCall, channels: int, classes: int) -> Shapes:
        def parts() -> Named:
            kernel = 3 if call["stem"] == "cifar" else 7
            yield "conv1.weight", (64, channels, kernel, kernel)
            yield from _norm("bn1", 64)
            inputs = 64
            for stage, count in enumerate(counts):
                width = 64 * 2**stage
                for block in range(count):
                    at, outputs = f"layer{stage + 1}.{block}", 4 * width if deep else width
                    inner = call.get("bottleneck", 64) * 2**stage
                    if deep:
                        layers = [(inner, inputs, 1), (inner, inner, 3), (outputs, inner, 1)]
                    else:
                        layers = [(outputs, inputs, 3), (outputs, outputs, 3)]
                    for number, (to, of, size) in enumerate(layers, start=1):
                        yield f"{at}.conv{number}.weight", (to, of, size, size)
                        yield from _norm(f"{at}.bn{number}", to)
                    if block == 0 and (stage or inputs != outputs):
                        yield f"{at}.downsample.0.weight", (outputs, inputs, 1, 1)
                        yield from _norm(f"{at}.downsample.1", outputs)
                    inputs = outputs
            yield from _linear("fc", inputs, classes)

        return dict(parts())

    return outline


def _preact(call: CatalogCall, channels: int, classes: int, stem: int, stages: list[tuple[int, int, int]]) -> Named:
    """Give the weights of a pre-activation ResNet: (channels, number of blocks, stride) of each stage."""
    across, bias = call.get("shortcut_size", 1), call.get("bias", False)

    def conv(name: str, *shape: int) -> Named:
        yield f"{name}.weight", shape
        if bias:
            yield f"{name}.bias", shape[:1]

    yield from conv("conv1", stem, channels, 3, 3)
    number, width = 0, stem
    for outputs, count, stride in stages:
        for block in range(count):
            at = f"blocks.{number}"
            yield from _norm(f"{at}.bn1", width)
            yield from conv(f"{at}.conv1", outputs, width, 3, 3)
            yield from _norm(f"{at}.bn2", outputs)
            yield from conv(f"{at}.conv2", outputs, outputs, 3, 3)
            if width != outputs or (block == 0 and stride != 1):
                yield from conv(f"{at}.shortcut", outputs, width, across, across)
            number, width = number + 1, outputs
    if call.get("last_norm", True):
        yield from _norm("bn", width)
    yield from _linear("fc", width, classes)


def _norm(name: str, channels: int) -> Named:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)


def _linear(name: str, inputs: int, outputs: int) -> Named:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)
