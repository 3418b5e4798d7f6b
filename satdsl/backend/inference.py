"""A network and images to its logits: passes in which nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from satdsl.backend.images import EVALUATION_BATCH, Images

REPORT_SECONDS = 0.2
"""Signs of life come no more often."""

GRADIENT_MEMORY = 2**29
"""Bytes that the layers' outputs and their gradients may take where a score needs a backward pass."""


@contextmanager
def in_evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Inside, every module is in evaluation mode; afterwards each is as it was."""
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
    """Inside, convolutions and matrix products round to float32, not to the shorter TF32 of some GPUs."""
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
    """How many images to put through `network` at a time where all that its layers give is kept for a backward pass.

    As many as `GRADIENT_MEMORY` holds of what one image ([1, c, h, w]) makes, and of `per_image` further numbers.
    """
    numbers = [image.numel() + per_image]
    taps = [module.register_forward_hook(_counting(numbers)) for module in network.modules()]
    try:
        with torch.inference_mode():
            network(image)
    finally:
        for tap in taps:
            tap.remove()
    # As much again for the gradients on their way back.
    return max(1, min(EVALUATION_BATCH, GRADIENT_MEMORY // (2 * image.element_size() * sum(numbers))))


def _counting(numbers: list[int]) -> Callable[..., None]:
    def count(module: nn.Module, args: object, output: object) -> None:
        if isinstance(output, Tensor):
            numbers.append(output.numel())

    return count


def logits(network: nn.Module, images: Images, device: str) -> Tensor:
    """The logits [n, classes] in evaluation mode, in single precision, on `device`."""
    with in_evaluation_mode(network), full_precision(), torch.inference_mode():
        return torch.cat([network(x) for x, _ in images.batches(EVALUATION_BATCH, device)])
