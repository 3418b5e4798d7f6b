"""Check what a plug-in's function returns, before anything is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.plugins.calling import Plugin

ROUNDING = 1e-5
"""How far outside [0, 1] a pixel may lie for arithmetic's sake; it is then clipped."""


def tensor(plugin: Plugin, value: Any, device: torch.device | str) -> Tensor:
    """Return what was returned as a tensor on `device`; a NumPy array becomes one."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, Tensor):
        raise plugin.wrong(f"returns {kind(value)}, not a tensor", "return a torch.Tensor")
    return value.to(device)


def shaped(plugin: Plugin, value: Tensor, shape: Sequence[int], what: str) -> Tensor:
    """Return a tensor that has this shape; `what` says what it is."""
    if tuple(value.shape) != tuple(shape):
        raise plugin.wrong(
            f"returns a tensor of shape {list(value.shape)}, not {list(shape)}", f"return {what}, {list(shape)}"
        )
    return value


def finite(plugin: Plugin, value: Tensor, what: str) -> Tensor:
    """Return a tensor without NaN and infinity; `what` says what its rows are: `images`."""
    broken = ~value.isfinite()
    if bool(broken.any()):
        count = int(broken.reshape(len(value), -1).any(1).sum()) if value.dim() else 1
        raise plugin.wrong(
            f"returns NaN or infinity for {count} of {len(value) if value.dim() else 1} {what}",
            "look for a division by 0, the logarithm or the root of 0, or a gradient that vanishes",
        )
    return value


def floating(plugin: Plugin, value: Tensor, what: str) -> Tensor:
    """Return a tensor of floating-point numbers, as float32."""
    if not value.is_floating_point():
        raise plugin.wrong(f"returns {what} as {value.dtype}, not as floating-point numbers", "return float32")
    return value.float()


def in_unit_range(plugin: Plugin, value: Tensor, help: str) -> Tensor:
    """Return images in [0, 1]; what lies outside by rounding is clipped."""
    outside = ((value < -ROUNDING) | (value > 1 + ROUNDING)).flatten(1).any(1)
    count = int(outside.sum())
    if count:
        raise plugin.wrong(
            f"returns {count} of {len(value)} images with pixels outside [0, 1] (from {float(value.min()):.4g} to "
            f"{float(value.max()):.4g})",
            help,
        )
    return value.clamp(0, 1)


def one_number_each(plugin: Plugin, value: Any, count: int, device: torch.device | str, what: str) -> Tensor:
    """Return one finite number for each image, [n]; truth values become 0 and 1."""
    numbers = shaped(plugin, tensor(plugin, value, device), [count], f"one {what} for each image")
    if numbers.is_complex():
        raise plugin.wrong(f"returns a {what} that is no real number", "return float32")
    return finite(plugin, numbers.double(), "images")


def kind(value: Any) -> str:
    """Return what a value is, for a sentence."""
    return "nothing" if value is None else f"a value of type {type(value).__name__}"
