"""A recipe to an optimiser, a learning rate for each moment of the training, and the loss of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, AdamW, Optimizer

from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError


@dataclass(frozen=True)
class Recipe:
    """The settings of a recipe that both optimisers have, and the entry they come from."""

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

    @classmethod
    def of(cls, choice: CatalogCall) -> Recipe:
        """StepError for a schedule that this version has not."""
        schedule = choice.get("schedule", CatalogCall("constant"))
        if schedule.name not in ("constant", "step", "cosine", "cyclic"):
            raise StepError(f"this version has no schedule called {schedule.name}", "step, cosine, cyclic or constant")
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
        )

    def optimiser(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        c = self.choice
        if c.name == "sgd":
            return SGD(
                parameters,
                lr=self.lr,
                momentum=float(c.get("momentum", 0.9)),
                weight_decay=float(c.get("weight_decay", 0)),
                nesterov=bool(c.get("nesterov", False)),
            )
        if c.name == "adamw":
            return AdamW(
                parameters,
                lr=self.lr,
                betas=tuple(c.get("betas", (0.9, 0.999))),
                eps=float(c.get("epsilon", 1e-8)),
                weight_decay=float(c.get("weight_decay", 0.01)),
            )
        raise StepError(f"this version has no optimiser called {c.name}", "sgd or adamw")

    def learning_rate(self, epoch: float) -> float:
        """The learning rate after `epoch` completed epochs; only `cyclic` changes it within an epoch.

        In warm-up it rises linearly, epoch by epoch, and is `lr` in the last of the `warmup` epochs. `step`
        multiplies it by `factor` from each epoch in `at` on. `cosine` (Loshchilov and Hutter, 2017) lowers
        it over the epochs after the warm-up: lr/2 * (1 + cos(pi * t / T)), t = 0 .. T - 1. `cyclic` (Smith and
        Topin, 2018) rises linearly from 0 to `lr` at `peak` and falls linearly to 0 at the end.
        """
        if self.schedule.name == "cyclic":
            peak = float(self.schedule["peak"])
            return self.lr * min(epoch / peak, (self.epochs - epoch) / (self.epochs - peak))
        epoch = math.floor(epoch)
        if epoch < self.warmup:
            return self.lr * (epoch + 1) / self.warmup
        if self.schedule.name == "step":
            factor, drops = float(self.schedule["factor"]), sum(epoch >= at for at in self.schedule["at"])
            return self.lr * math.pow(factor, drops)
        if self.schedule.name == "cosine":
            share = (epoch - self.warmup) / (self.epochs - self.warmup)
            return self.lr * 0.5 * (1 + math.cos(math.pi * share))
        return self.lr

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Each image's training loss [n]: cross-entropy, with label smoothing where asked for."""
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)


def reduced(losses: Tensor, loss_weights: Tensor, reduction: str, whole: Tensor | None = None) -> Tensor:
    """A batch's losses l and loss weights w, both [n], to the one that is minimised.

    `weighted_mean` is sum(w l) / sum(w), as the paper's released code has it; `mean` is sum(w l) / n, its
    equation 2. A batch whose weights are all 0 gives 0. Where these are only a part of a batch, `whole` has
    the loss weights of all of it, and the parts' results add up to the batch's.
    """
    total = (loss_weights * losses).sum()
    whole = loss_weights if whole is None else whole
    if reduction == "mean":
        return total / len(whole)
    return total / whole.sum().clamp_min(torch.finfo(losses.dtype).tiny)
