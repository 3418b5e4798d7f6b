"""Define the layers that an `AttackCopy` has in place of convolutions and batch norms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from satdsl.backend import winograd


class FoldedConv2d(nn.Module):
    """A convolution, and the batch norm after it if there is one, as one convolution in channels-last layout."""

    weight: Tensor
    bias: Tensor | None
    transformed: Tensor | None

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self._sources = conv, norm  # whose parameters are not this module's
        self._shape: Any = conv.stride, conv.padding, conv.dilation, conv.groups
        plain = conv.kernel_size == (3, 3) and self._shape == ((1, 1), (1, 1), (1, 1), 1)
        biased = conv.bias is not None or norm is not None
        weight = conv.weight.detach().to(dtype, copy=True, memory_format=torch.channels_last)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", weight.new_zeros(len(weight)) if biased else None)
        wanted = (
            plain
            and weight.dtype == torch.float32
            and weight.device.type == "cpu"
            and min(weight.shape[:2]) >= winograd.CHANNELS
        )
        self.register_buffer("transformed", weight.new_empty((4, 4, *weight.shape[:2])) if wanted else None)

    def refresh(self) -> None:
        """Compute the folded weights from the present ones of the convolution and the batch norm."""
        conv, norm = self._sources
        if norm is None:
            self.weight.copy_(conv.weight)
            offset = conv.bias
        else:
            gain, offset = gain_and_offset(norm)
            torch.mul(conv.weight, gain.view(-1, 1, 1, 1), out=self.weight)
            offset = offset if conv.bias is None else offset + conv.bias * gain
        if self.bias is not None and offset is not None:
            self.bias.copy_(offset)
        if self.transformed is not None:
            winograd.transform(self.weight, self.transformed)

    def forward(self, x: Tensor) -> Tensor:
        if self.transformed is not None and winograd.pays(x):
            convolved: Tensor = winograd.Convolved.apply(x, self.transformed, self.bias)
            return convolved
        return torch.conv2d(x, self.weight, self.bias, *self._shape)


class FoldedBatchNorm(nn.Module):
    """A batch norm in evaluation mode that follows no convolution, together with the ReLU after it if `rectified`."""

    gain: Tensor
    offset: Tensor

    def __init__(self, norm: nn.BatchNorm2d, dtype: torch.dtype | None = None, *, rectified: bool) -> None:
        super().__init__()
        self._source = (norm,)  # whose parameters are not this module's
        self.rectified = rectified
        for name in ("gain", "offset"):
            self.register_buffer(name, norm.weight.detach().new_zeros((1, norm.num_features, 1, 1), dtype=dtype))

    def refresh(self) -> None:
        """Compute gain and offset from the present parameters of the batch norm."""
        for own, value in zip((self.gain, self.offset), gain_and_offset(*self._source), strict=True):
            own.copy_(value.view_as(own))

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = _Scaled.apply(x, self.gain, self.offset, self.rectified)
        return scaled


class _Scaled(torch.autograd.Function):
    """Computes x * gain + offset, and max(., 0) if rectified, in few passes over memory; differentiable once, by x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, offset: Tensor, rectified: bool) -> Tensor:
        scaled = torch.addcmul(offset, x, gain).to(x.dtype)
        ctx.rectified = rectified
        ctx.save_for_backward(gain, scaled.relu_() if rectified else gain)
        return scaled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        gain, result = ctx.saved_tensors
        if ctx.rectified:
            gradient = torch.ops.aten.threshold_backward(gradient, result, 0)
        return gradient * gain, None, None, None


def gain_and_offset(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return by what a batch norm in evaluation mode multiplies each channel, and what it then adds, each [channels].

    With gain = w / sqrt(var + eps), w * (x - mean) / sqrt(var + eps) + b is x * gain + (b - mean * gain).
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return gain, norm.bias - norm.running_mean * gain
