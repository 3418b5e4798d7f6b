"""Follow a recipe: its optimiser, the learning rate at each moment of the training, and the loss of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from satdsl.backend.registry import bound, check_known
from satdsl.backend.schedules import Moment
from satdsl.catalog.schedules import ScheduleEntry
from satdsl.ir.steps import CatalogCall


@dataclass(frozen=True)
class Recipe:
    """The settings that all recipes have, and the call that they come from."""

    choice: CatalogCall
    epochs: int
    batch: int
    lr: float
    schedule: CatalogCall
    warmup: int
    label_smoothing: float
    reduction: str
    ema: float | None
    clip: float | None
    dtype: torch.dtype | None
    """The number format that passes are cast to; None: as they are."""
    swa: int | None = None
    perturb: CatalogCall | None = None

    @classmethod
    def of(cls, choice: CatalogCall) -> Recipe:
        """Return the settings of a call; raise StepError for a schedule that this version has not."""
        schedule = choice.get("schedule", CatalogCall("constant"))
        check_known("schedule", schedule)
        return cls(
            choice=choice,
            epochs=int(choice["epochs"]),
            batch=int(choice["batch"]),
            lr=float(choice["lr"]),
            schedule=schedule,
            warmup=int(choice.get("warmup", 0)),
            label_smoothing=float(choice.get("label_smoothing", 0)),
            reduction=choice.get("reduction", "weighted_mean"),
            ema=choice.get("ema"),
            clip=choice.get("clip"),
            dtype=torch.bfloat16 if choice.get("precision") == "bf16" else None,
            swa=choice.get("swa"),
            perturb=choice.get("perturb"),
        )

    def optimiser(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        optimiser: Optimizer = bound("recipe", self.choice)(parameters)
        return optimiser

    def learning_rate(self, epoch: float) -> float:
        """Return the learning rate after `epoch` completed epochs.

        In warm-up it rises linearly, epoch by epoch, and is `lr` in the last of the `warmup` epochs. A schedule with
        a rise of its own has no warm-up, and changes the learning rate within an epoch, too.
        """
        if not ScheduleEntry.of(self.schedule).rise:
            epoch = math.floor(epoch)
            if epoch < self.warmup:
                return self.lr * (epoch + 1) / self.warmup
        return self.lr * self._factor(Moment(epoch, self.epochs, self.warmup))

    @cached_property
    def _factor(self) -> Callable[[Moment], float]:
        return bound("schedule", self.schedule)

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return each image's training loss [n]: cross-entropy, with label smoothing where asked for.

        `labels` are int64 [n], or distributions [n, classes].
        """
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)


def reduced(losses: Tensor, loss_weights: Tensor, reduction: str, whole: Tensor | None = None) -> Tensor:
    """Return the loss that is minimised, of a batch's losses l and loss weights w, both [n].

    `weighted_mean` is sum(w l) / sum(w), as the paper's released code has it; `mean` is sum(w l) / n, its
    equation 2. A batch whose weights are all 0 gives 0. Where these are only a part of a batch, `whole` has
    the loss weights of all of it, and the parts' results add up to the batch's.
    """
    total = (loss_weights * losses).sum()
    whole = loss_weights if whole is None else whole
    if reduction == "mean":
        return total / len(whole)
    return total / whole.sum().clamp_min(torch.finfo(losses.dtype).tiny)
