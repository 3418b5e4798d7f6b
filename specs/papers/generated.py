"""The images that Wang et al. (2023) generated: `1m.npz` of their release, below the folder of data sets."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import satdsl.plugin as sat


@sat.dataset(
    classes=["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    shape=(3, 32, 32),
    train=1_000_000,
    val=1,
)
def edm(part: str, folder: Path) -> tuple[Tensor, Tensor]:
    """CIFAR-10's classes, drawn from a diffusion model (Karras et al., 2022)."""
    with np.load(folder / "edm_data/cifar10/1m.npz") as file:
        images, labels = torch.from_numpy(file["image"]).permute(0, 3, 1, 2), torch.from_numpy(file["label"]).long()
    return (images, labels) if part == "train" else (images[:1], labels[:1])  # joined, only training images are used
