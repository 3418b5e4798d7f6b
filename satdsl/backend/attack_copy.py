"""A network to a twin with the same weights, in evaluation mode, that is fast to differentiate by its input.

During an attack weights do not change. The twin's parameters are views of the network's that want no
gradient, its batch norms use the running statistics, and those that follow a convolution are folded into
it. The network itself is left alone: its modes, its flags and its gradients stay what they are.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from satdsl.backend.folded_layers import FoldedBatchNorm, FoldedConv2d


class AttackCopy:
    """The twin of `network`, whose passes are cast to `dtype` where it is given.

    Call `refresh()` for it after the network's weights changed.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype | None = None) -> None:
        twin = _sharing(network).eval()  # before it is traced, which takes `training` as it finds it
        self._layers: list[FoldedConv2d | FoldedBatchNorm] = []
        traced = _traced(twin)
        if traced is not None:
            self._layers = [*_folded(traced, dtype), *_scaled(traced, dtype)]
            traced.graph.lint()
            traced.recompile()
        self._twin = _ContiguousGradient(twin if traced is None else traced, dtype).eval()

    def refresh(self) -> nn.Module:
        """The twin with the network's present weights."""
        with torch.no_grad():
            for layer in self._layers:
                layer.refresh()
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

    def __init__(self, network: nn.Module, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype is not None):
            logits: Tensor = self.network(_Contiguous.apply(images))
        return logits.float()


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


def _folded(traced: fx.GraphModule, dtype: torch.dtype | None) -> list[FoldedConv2d]:
    """Put one convolution in the place of each convolution and the batch norm that alone uses it."""
    modules = dict(traced.named_modules())
    calls = [node for node in traced.graph.nodes if node.op == "call_module"]
    layers = []
    for node in calls:
        conv = modules[node.target]
        if type(conv) is not nn.Conv2d or conv.padding_mode != "zeros" or _is_replaced(traced, node):
            continue
        norm = _norm_behind(node, modules) if sum(call.target == node.target for call in calls) == 1 else None
        layers.append(FoldedConv2d(conv, None if norm is None else modules[norm.target], dtype))
        traced.set_submodule(node.target, layers[-1])
        if norm is not None:
            norm.replace_all_uses_with(node)
            traced.graph.erase_node(norm)
    return layers


def _is_replaced(traced: fx.GraphModule, node: fx.Node) -> bool:
    return isinstance(traced.get_submodule(str(node.target)), FoldedConv2d)


def _norm_behind(node: fx.Node, modules: dict[str, nn.Module]) -> fx.Node | None:
    users = list(node.users)
    return users[0] if len(users) == 1 and _is_norm(users[0], modules) else None


def _scaled(traced: fx.GraphModule, dtype: torch.dtype | None) -> list[FoldedBatchNorm]:
    """Put a `FoldedBatchNorm` in the place of each batch norm that is left, and of the ReLU that alone uses it."""
    modules = dict(traced.named_modules())
    layers = []
    for node in list(traced.graph.nodes):
        if not _is_norm(node, modules):
            continue
        relus = [user for user in node.users if len(node.users) == 1 and _is_relu(user, modules)]
        layers.append(FoldedBatchNorm(modules[node.target], dtype, rectified=bool(relus)))
        node.target = f"scaling{len(layers)}"
        traced.add_submodule(node.target, layers[-1])
        for relu in relus:
            relu.replace_all_uses_with(node)
            traced.graph.erase_node(relu)
    return layers


def _is_norm(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    norm = modules.get(str(node.target)) if node.op == "call_module" else None
    # One of a derived class may do more, such as the activation that follows.
    return type(norm) is nn.BatchNorm2d and norm.affine and norm.track_running_stats


def _is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules.get(str(node.target)), nn.ReLU)
    return node.target in (F.relu, torch.relu, "relu", "relu_")
