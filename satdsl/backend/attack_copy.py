"""Make a copy of a network, in evaluation mode, whose gradient by the input is fast to compute.

Attacks pass each image through the network many times while its weights stay the same, and need no gradient by the
weights. The copy uses this:

- Its parameters share the memory of the network's and want no gradient. After a step of the optimiser they are
  current without copying anything.
- Its batch norms use the running statistics, so each is an affine map of its channels, and one that follows a
  convolution is folded into it. With gain = w / sqrt(var + eps),
  BN(conv(x, W)) = conv(x, gain * W) + (b - mean * gain).
  The product is new memory, so `refresh` must compute it again when weights or statistics have changed.
- The network itself is left alone: its modes, its flags and its gradients stay as they are.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from satdsl.backend.folded_layers import FoldedBatchNorm, FoldedConv2d


class AttackCopy:
    """A copy of `network` for attacks; its passes are cast to `dtype` unless that is None.

    `refresh()` returns it. Call that again after the network's weights or statistics have changed.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype | None = None) -> None:
        shared = _sharing(network).eval()  # before tracing, which follows the mode that it finds
        self._layers: list[FoldedConv2d | FoldedBatchNorm] = []
        traced = _traced(shared)
        if traced is not None:
            self._layers = [*_folded(traced, dtype), *_scaled(traced, dtype)]
            traced.graph.lint()
            traced.recompile()
        self._copy = PassedCopy(shared if traced is None else traced, dtype).eval()
        self._copy.unfolded = PassedCopy(_sharing(network), dtype).eval()

    def refresh(self) -> nn.Module:
        """Return the copy with the network's present weights."""
        with torch.no_grad():
            for layer in self._layers:
                layer.refresh()
        return self._copy


class _Contiguous(torch.autograd.Function):
    """The identity; its gradient is contiguous."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        return images.view_as(images)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous()


class PassedCopy(nn.Module):
    """A network whose inner layout, channels last for speed, does not change the layout of its input's gradient."""

    def __init__(self, network: nn.Module, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype is not None):
            logits: Tensor = self.network(_Contiguous.apply(images))
        return logits.float()


def _sharing(network: nn.Module) -> nn.Module:
    """Return a copy that shares the memory of parameters and buffers, and whose parameters want no gradient.

    `deepcopy` takes its second argument as what is copied already: each parameter's copy is a view of it.
    """
    shared: dict[int, object] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in network.parameters()}
    shared |= {id(b): b for b in network.buffers()}
    return copy.deepcopy(network, shared)


class _Tracer(fx.Tracer):
    """Traces what is computed from buffers (running statistics), too, because they change while a network trains."""

    proxy_buffer_attributes = True


def _traced(network: nn.Module) -> fx.GraphModule | None:
    """Return the graph of a network in evaluation mode; None if its control flow depends on values or sizes.

    Other people's code can raise anything when it meets a symbol in place of a tensor.
    """
    tracer = _Tracer()
    try:
        graph = tracer.trace(network)
        return fx.GraphModule(tracer.root, graph)
    except Exception:
        return None


def _folded(traced: fx.GraphModule, dtype: torch.dtype | None) -> list[FoldedConv2d]:
    """Replace each convolution, and the batch norm after it if nothing else uses its output, by one convolution.

    A convolution that is called twice keeps its batch norms, which can differ from call to call.
    """
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
    """Replace each remaining batch norm, and the ReLU that alone uses its output, by a `FoldedBatchNorm`."""
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
    # A derived class can do more, such as the activation that follows.
    return type(norm) is nn.BatchNorm2d and norm.affine and norm.track_running_stats


def _is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules.get(str(node.target)), nn.ReLU)
    return node.target in (F.relu, torch.relu, "relu", "relu_")
