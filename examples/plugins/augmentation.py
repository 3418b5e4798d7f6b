"""An augmentation of one's own: noise on the training images."""

import torch
from torch import Generator, Tensor

import satdsl.plugin as sat


@sat.augmentation
def static(images: Tensor, generator: Generator, *, std: float = 0.02) -> Tensor:
    """Gaussian noise, another for each image of each epoch."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return (images + std * noise).clamp(0, 1)
