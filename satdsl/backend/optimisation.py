"""Make the steps of an optimiser, with gradient clipping and a moving average of the weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import get_ema_multi_avg_fn

from satdsl.backend.distributed import SINGLE_PROCESS, ProcessGroup
from satdsl.backend.recipes import Recipe


class Optimisation:
    """A network, its optimiser, and the moving average of its weights if the recipe keeps one."""

    def __init__(self, network: nn.Module, recipe: Recipe, group: ProcessGroup = SINGLE_PROCESS) -> None:
        self.network = network
        self.recipe = recipe
        self.group = group
        self.optimiser = recipe.optimiser(network.parameters())
        self.average = None if recipe.ema is None else ExponentialMovingAverage(network, recipe.ema)

    @property
    def result(self) -> nn.Module:
        """Return the network that is scored, selected and kept: the one with the average weights, if there is one."""
        return self.network if self.average is None else self.average.network

    def step(self, loss: Tensor, epoch: float) -> None:
        """Make one step down the gradient of `loss`, with the learning rate after `epoch` completed epochs.

        Of several ranks' losses the sum is meant. A gradient longer than `clip`, over all weights, is scaled down to
        it (Pascanu et al., 2013).
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate(epoch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.group.all_reduce([p.grad for p in self.network.parameters() if p.grad is not None])
        if self.recipe.clip is not None:
            clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimiser.step()
        if self.average is not None:
            self.average.update(self.network)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": None if self.average is None else self.average.network.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])


class ExponentialMovingAverage:
    """The average a <- decay * a + (1 - decay) * w after each step, of weights and statistics."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self._mean = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        numbers = [pair for pair in pairs if pair[0].is_floating_point()]
        self._mean([average for average, _ in numbers], [tensor for _, tensor in numbers], None)
        for counter, tensor in pairs:
            if not counter.is_floating_point():
                counter.copy_(tensor)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
