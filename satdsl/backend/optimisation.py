"""Make the steps of an optimiser, with gradient clipping, perturbed weights and an average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import get_ema_multi_avg_fn

from satdsl.backend.distributed import SINGLE_PROCESS, ProcessGroup
from satdsl.backend.perturbations import Perturbation
from satdsl.backend.recipes import Recipe

T = TypeVar("T")


class Optimisation:
    """A network, its optimiser, and the moving average of its weights if the recipe keeps one."""

    def __init__(self, network: nn.Module, recipe: Recipe, group: ProcessGroup = SINGLE_PROCESS) -> None:
        self.network = network
        self.recipe = recipe
        self.group = group
        self.optimiser = recipe.optimiser(network.parameters())
        self.average = None if recipe.ema is None else ExponentialMovingAverage(network, recipe.ema)
        self.of_epochs = None if recipe.swa is None else EpochAverage(network, recipe.swa)
        self.perturbation = None if recipe.perturb is None else Perturbation.of(recipe.perturb, network)

    @property
    def result(self) -> nn.Module:
        """Return the network that is scored, selected and kept: the one with the average weights, if there is one."""
        average = self.average or self.of_epochs
        return self.network if average is None else average.network

    @property
    def renormalised(self) -> list[nn.Module]:
        """Return the networks besides that take statistics of batches."""
        return [] if self.of_epochs is None else [self.of_epochs.network]

    def step(self, passed: Callable[[], tuple[T, Tensor]], epoch: float) -> T:
        """Make one step down the gradient of a loss, with the learning rate after `epoch` completed epochs.

        `passed` makes a pass and gives what is to be returned of it, and the loss; of several ranks' losses the sum is
        meant. A gradient longer than `clip`, over all weights, is scaled down to it (Pascanu et al., 2013). Where
        weights are perturbed, `passed` is called once more there, for the gradient of the step.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate(epoch)
        result = self._find_gradient(passed)
        with self._perturbed(passed, epoch):
            if self.recipe.clip is not None:
                clip_grad_norm_(self.network.parameters(), self.recipe.clip)
            self.optimiser.step()
        if self.average is not None:
            self.average.update(self.network)
        return result

    @contextmanager
    def _perturbed(self, passed: Callable[[], tuple[T, Tensor]], epoch: float) -> Iterator[None]:
        """Let the step inside be made with the gradient at the perturbed weights, where there are such."""
        perturbation = self.perturbation
        if perturbation is None or epoch < perturbation.begins:
            yield
            return
        perturbation.perturb()
        self._find_gradient(passed)
        perturbation.before_step()
        yield
        perturbation.after_step()

    def _find_gradient(self, passed: Callable[[], tuple[T, Tensor]]) -> T:
        if self.perturbation is not None:
            self.perturbation.begin_pass()
        result, loss = passed()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.group.all_reduce([p.grad for p in self.network.parameters() if p.grad is not None])
        return result

    def end_epoch(self, completed: int, images: Iterable[Tensor]) -> None:
        """Take the weights after `completed` epochs into the average of epochs. `images` are the epoch's batches."""
        if self.of_epochs is not None:
            self.of_epochs.update(self.network, completed, images, self.recipe.dtype)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": None if self.average is None else self.average.network.state_dict(),
            "of_epochs": None if self.of_epochs is None else self.of_epochs.network.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])
        if self.of_epochs is not None:
            self.of_epochs.network.load_state_dict(state["of_epochs"])


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


class EpochAverage:
    """The equal average of the weights after epoch `begins` and after each later one (Izmailov et al., 2018: SWA with a
    cycle of one epoch). Until then it is the network itself.

    Batch-norm statistics of averaged weights are not the average of statistics: they are taken anew, as the mean over
    the epoch's batches of augmented images, before attacks. Dropout and the like stay off while they are.
    """

    def __init__(self, network: nn.Module, begins: int) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.begins = begins

    @torch.no_grad()
    def update(
        self,
        network: nn.Module,
        completed: int,
        images: Iterable[Tensor],
        dtype: torch.dtype | None,
    ) -> None:
        """Take in a network after `completed` epochs, of the last of which `images` are the batches."""
        if completed <= self.begins:
            self.network.load_state_dict(network.state_dict())
            return
        share = 1 / (completed - self.begins + 1)
        for average, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(weight, share)
        norms = [layer for layer in self.network.modules() if isinstance(layer, _BatchNorm)]
        if norms:
            _take_statistics(self.network, norms, images, dtype)


def _take_statistics(
    network: nn.Module, norms: Sequence[_BatchNorm], images: Iterable[Tensor], dtype: torch.dtype | None
) -> None:
    """Let batch norms have the mean statistics of some batches."""
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.training = True
    for number, batch in enumerate(images, start=1):
        # The mean over the batches so far. With a momentum of None a norm would ask the device for their number.
        for norm in norms:
            norm.momentum = 1 / number
        with torch.autocast(batch.device.type, dtype, enabled=dtype is not None):
            network(batch)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum, norm.training = momentum, False


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
