"""Perturb weights along the gradient of a batch's loss, for the gradient of the step to be taken there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from satdsl.backend.registry import bound, entry_of
from satdsl.catalog.perturbations import PerturbationEntry
from satdsl.ir.steps import CatalogCall

Change = Callable[[Sequence[Tensor], Sequence[Tensor]], list[Tensor]]
"""(weights, their gradients) to what is added to each weight."""


@dataclass
class Perturbation:
    """The perturbation that a call stands for, of one network's weights.

    Batch norm's running statistics come from one pass of each step only: with `steps_there` from the pass at the
    perturbed weights, else from the one before.
    """

    network: nn.Module
    begins: int
    change: Change
    steps_there: bool
    _moved: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    _statistics: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, call: CatalogCall, network: nn.Module) -> Perturbation:
        """Return it; raise StepError for one that this version has not."""
        entry = entry_of(PerturbationEntry, call)
        return cls(network, entry.begins(call), bound("perturbation", call), entry.steps_there)

    @torch.no_grad()
    def begin_pass(self) -> None:
        """Keep the statistics as they are before a pass."""
        self._statistics = [buffer.clone() for buffer in self.network.buffers()]

    @torch.no_grad()
    def perturb(self) -> None:
        """Add to each weight what its gradient says; where the step is made there, forget the pass's statistics."""
        weights = [weight for weight in self.network.parameters() if weight.grad is not None]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        self._moved = list(zip(weights, self.change(weights, gradients), strict=True))
        for weight, by in self._moved:
            weight += by
        if self.steps_there:
            self._restore_statistics()

    @torch.no_grad()
    def before_step(self) -> None:
        """Go back to the weights and to their statistics, unless the step is made at the perturbed ones."""
        if not self.steps_there:
            self._go_back()
            self._restore_statistics()

    @torch.no_grad()
    def after_step(self) -> None:
        """Take off what was added where the step was made at the perturbed weights."""
        if self.steps_there:
            self._go_back()

    def _go_back(self) -> None:
        for weight, by in self._moved:
            weight -= by
        self._moved = []

    def _restore_statistics(self) -> None:
        for buffer, kept in zip(self.network.buffers(), self._statistics, strict=True):
            buffer.copy_(kept)
