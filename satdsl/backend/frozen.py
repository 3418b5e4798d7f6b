"""A network to a twin with the same weights, in evaluation mode, that is fast to differentiate by its input.

During an attack weights do not change. The twin's parameters are views of the network's that want no
gradient, its batch norms use the running statistics, and those that follow a convolution are folded into
it. The network itself is left alone: its modes, its flags and its gradients stay what they are.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn


@dataclass(frozen=True)
class Fold:
    """A convolution and the batch norm behind it, and the one convolution that does the work of both."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    folded: nn.Conv2d

    def refresh(self) -> None:
        """Compute the folded weights from the present ones."""
        mean, var, scale, shift = (
            self.norm.running_mean,
            self.norm.running_var,
            self.norm.weight,
            self.norm.bias,
        )
        assert mean is not None
        assert var is not None
        assert self.folded.bias is not None
        gain = scale * torch.rsqrt(var + self.norm.eps)
        offset = mean if self.conv.bias is None else mean - self.conv.bias
        self.folded.weight.copy_(self.conv.weight * gain.view(-1, 1, 1, 1))
        self.folded.bias.copy_(shift - offset * gain)


class Frozen:
    """The twin of `network`. Call `refresh()` for it after the network's weights changed."""

    def __init__(self, network: nn.Module) -> None:
        twin = _sharing(network).eval()
        self._folds: list[Fold] = []
        traced = _traced(twin)
        if traced is not None:
            self._folds = _fold(traced)
        self._twin = _ContiguousGradient(twin if traced is None else traced).eval()

    def refresh(self) -> nn.Module:
        """The twin with the network's present weights."""
        with torch.no_grad():
            for fold in self._folds:
                fold.refresh()
        return self._twin


class _Contiguous(torch.autograd.Function):
    """The identity, whose gradient is contiguous."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        return images.view_as(images)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous()


class _ContiguousGradient(nn.Module):
    """A network whose inner layout (channels last, which is faster) does not show in its input's gradient."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(_Contiguous.apply(images))
        return logits


def _sharing(network: nn.Module) -> nn.Module:
    """A copy whose parameters and buffers are the same memory, and whose parameters want no gradient."""
    shared: dict[int, object] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in network.parameters()}
    shared |= {id(b): b for b in network.buffers()}
    return copy.deepcopy(network, shared)


class _Tracer(fx.Tracer):
    """Follows what is computed from buffers (running statistics), too: they change while a network trains."""

    proxy_buffer_attributes = True


def _traced(twin: nn.Module) -> fx.GraphModule | None:
    """The graph of a network in evaluation mode; None where its way depends on the values or the sizes in it.

    What foreign code raises on meeting a symbol in the place of a tensor can be anything.
    """
    tracer = _Tracer()
    try:
        graph = tracer.trace(twin)
        return fx.GraphModule(tracer.root, graph)
    except Exception:
        return None


def _fold(traced: fx.GraphModule) -> list[Fold]:
    """Put one convolution in the place of each convolution and the batch norm that alone uses it."""
    modules = dict(traced.named_modules())
    uses = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    folds = []
    for node in list(traced.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        before = node.args[0] if node.args else None
        if not _foldable(norm) or not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        conv = modules.get(str(before.target))
        if type(conv) is not nn.Conv2d or len(before.users) > 1 or uses.count(before.target) > 1:
            continue
        assert isinstance(norm, nn.BatchNorm2d)
        folded = copy.deepcopy(conv).to(memory_format=torch.channels_last)
        folded.bias = nn.Parameter(torch.empty_like(norm.bias), requires_grad=False)
        folds.append(Fold(conv, norm, folded))
        traced.set_submodule(str(before.target), folded)
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
    traced.graph.lint()
    traced.recompile()
    return folds


def _foldable(module: Tensor | nn.Module | None) -> bool:
    """A plain batch norm: one of a derived class may do more, such as the activation that follows."""
    return type(module) is nn.BatchNorm2d and module.affine and module.track_running_stats
