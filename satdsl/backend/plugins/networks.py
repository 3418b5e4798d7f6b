"""Lend a network to a plug-in: in evaluation mode, without gradients of its parameters, and to be given back as it is.

The weights are compared bit by bit with what they were, by their sums as whole numbers; that takes one pass over them,
where an attack takes many over all activations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from satdsl.backend.plugins.calling import Plugin

_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, eq=False)
class _State:
    """What a network is at a moment: its modes, what wants a gradient, and its weights and statistics."""

    modes: list[tuple[nn.Module, bool]]
    wanting: list[tuple[nn.Parameter, bool, Tensor | None]]
    names: list[str]
    tensors: list[Tensor]
    sums: Tensor | None

    @classmethod
    def of(cls, network: nn.Module) -> _State:
        modes = [(module, module.training) for module in network.modules()]
        wanting = [(p, p.requires_grad, p.grad) for p in network.parameters()]
        named = [*network.named_parameters(), *network.named_buffers()]
        tensors = [tensor for _, tensor in named]
        return cls(modes, wanting, [name for name, _ in named], tensors, _sums(tensors))

    def restore(self) -> None:
        for module, mode in self.modes:
            module.training = mode
        for parameter, wanted, gradient in self.wanting:
            parameter.requires_grad_(wanted)
            parameter.grad = gradient

    def changed(self, network: nn.Module) -> str:
        """Return the name of a weight or statistic that is not what it was; empty where all are."""
        now = [tensor for _, tensor in [*network.named_parameters(), *network.named_buffers()]]
        if len(now) != len(self.tensors):
            return "a tensor that it adds or removes"
        for name, before, after in zip(self.names, self.tensors, now, strict=True):
            if before is not after:
                return name
        sums = _sums(now)
        if sums is None or self.sums is None or torch.equal(sums, self.sums):
            return ""
        return self.names[int((sums != self.sums).nonzero()[0, 0])]


def _sums(tensors: list[Tensor]) -> Tensor | None:
    """Return the sum of each tensor's bits, read as whole numbers."""
    if not tensors:
        return None
    sums = []
    for tensor in tensors:
        whole = tensor.detach()
        if not whole.is_complex() and whole.element_size() in _WHOLE and whole.dtype != torch.bool:
            whole = whole.view(_WHOLE[whole.element_size()])
        sums.append(whole.sum(dtype=torch.int64))
    return torch.stack(sums)


@contextmanager
def lent(network: nn.Module, plugin: Plugin) -> Iterator[None]:
    """Let a plug-in use a network: evaluation mode, gradients by the images, none by the parameters.

    Afterwards, and after an error, modes and flags are what they were.

    Raises:
        StepError: It changed a weight or a statistic of the network.
    """
    before = _State.of(network)
    try:
        for module, mode in before.modes:
            if mode:
                module.training = False
        for parameter, wanted, _ in before.wanting:
            if wanted:
                parameter.requires_grad_(False)
        with torch.enable_grad():
            yield
        changed = before.changed(network)
    finally:
        before.restore()
    if changed:
        raise plugin.wrong(
            f"changes the network that it is given ({changed})",
            "leave weights, statistics and modes alone: no `network.train()`, no optimiser, no assignment; "
            "work on `copy.deepcopy(network)`",
        )
