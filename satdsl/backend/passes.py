"""A network and images to its logits: passes in which nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from satdsl.backend.images import EVALUATION_BATCH, Images

REPORT_SECONDS = 0.2
"""Signs of life come no more often."""


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


def logits(network: nn.Module, images: Images, device: str) -> Tensor:
    """The logits [n, classes] in evaluation mode, in single precision, on `device`."""
    with in_evaluation_mode(network), full_precision(), torch.inference_mode():
        return torch.cat([network(x) for x, _ in images.batches(EVALUATION_BATCH, device)])
