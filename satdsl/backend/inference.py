"""Pass images through a network that is not being trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from satdsl.backend.finite_numbers import require_finite_outputs
from satdsl.backend.images import EVALUATION_BATCH, Images

REPORT_SECONDS = 0.2
"""Progress is reported no more often."""

GRADIENT_MEMORY = 2**29
"""Bytes that the outputs of the layers and their gradients may take when a score needs a backward pass."""


@contextmanager
def in_evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put every module into evaluation mode; afterwards each has its own mode again."""
    training = [module for module in network.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def full_precision() -> Iterator[None]:
    """Let convolutions and matrix products round to float32, not to the shorter TF32 of some GPUs."""
    if not torch.cuda.is_available():
        yield
        return
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def batch_for_gradients(network: nn.Module, image: Tensor, per_image: int = 0) -> int:
    """Return how many images to pass through `network` at a time if a backward pass follows, which needs all outputs.

    The outputs of all layers for one image ([1, c, h, w]) are counted, and `per_image` further numbers are added;
    `GRADIENT_MEMORY` must hold them for every image of the batch.
    """
    numbers = [image.numel() + per_image]
    taps = [module.register_forward_hook(counting(numbers)) for module in network.modules()]
    try:
        with torch.inference_mode():
            network(image)
    finally:
        for tap in taps:
            tap.remove()
    # Twice, because the gradients by these outputs take as much again.
    return max(1, min(EVALUATION_BATCH, GRADIENT_MEMORY // (2 * image.element_size() * sum(numbers))))


def counting(numbers: list[int]) -> Callable[..., None]:
    """Return a hook that adds how many numbers a module gives to a list."""

    def count(module: nn.Module, args: object, output: object) -> None:
        if isinstance(output, Tensor):
            numbers.append(output.numel())

    return count


def logits(network: nn.Module, images: Images, device: str) -> Tensor:
    """Compute the logits [n, classes] in evaluation mode and single precision, on `device`.

    Raises:
        StepError: One is NaN or infinite.
    """
    with in_evaluation_mode(network), full_precision(), torch.inference_mode():
        found = torch.cat([network(x) for x, _ in images.batches(EVALUATION_BATCH, device)])
    require_finite_outputs(found, images.index)
    return found
