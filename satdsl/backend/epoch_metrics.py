"""Compute the curves of an epoch from the results of its batches."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from satdsl.backend.distributed import SINGLE_PROCESS, ProcessGroup
from satdsl.backend.epoch import Epoch
from satdsl.backend.losses import PassResult
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.work import StepError


def diverged(what: str) -> StepError:
    """Return the error of a training that has diverged; `what` has become not finite, and when."""
    return StepError(
        f"the training diverged: {what}",
        "lower the learning rate, warm it up, or clip the gradient (clip=1); with precision=bf16 try fp32",
    )


def _not_finite(formula: LossFormula | None, where: str) -> StepError:
    """Return the error of a loss that is not finite; one that divides may not be because of that."""
    if formula is None or not formula.divisors:
        what = f"the loss {formula.text}" if formula is not None else "the loss"
        return diverged(f"{where} {what} is NaN or infinite")
    divisors = " or ".join(formula.divisors)
    return StepError(
        f"{where} the loss {formula.text} is NaN or infinite",
        f"it divides by {divisors}, which can be 0: add a small number to it; or the training diverged",
    )


class EpochMetrics:
    """The results of an epoch's batches. They stay on the device until `curves` fetches all of them at once."""

    def __init__(self, epoch: Epoch, group: ProcessGroup = SINGLE_PROCESS) -> None:
        self.epoch = epoch
        self.group = group
        self.began = time.monotonic()
        self.losses = torch.zeros_like(epoch.loss_weights)
        self.right = torch.zeros_like(epoch.order, dtype=torch.uint8)
        self.fooled = torch.zeros_like(self.right)

    def update(self, batch: slice, result: PassResult) -> None:
        """Add the results of a batch."""
        self.losses[batch] = result.losses.detach()
        self.right[batch], self.fooled[batch] = result.right, result.fooled

    def curves(self, epoch: int) -> dict[str, Any]:
        """Return, of all images and of each subset, their number, mean unweighted loss in nats, and accuracy.

        `epoch`, counted from 0, is the one that is over.

        An attacked subset also has its attack's success: the share of its adversarial images that were taken for
        another class.

        Raises:
            StepError: The loss is no longer finite.
        """
        self.group.all_reduce([self.losses])
        self.group.all_reduce([self.right, self.fooled])
        loss, right, fooled = (of.double().cpu().numpy() for of in (self.losses, self.right, self.fooled))
        if not np.isfinite(loss).all():
            first = int(np.flatnonzero(~np.isfinite(loss))[0])
            batch = next(b for b, rows in enumerate(self.epoch.whole, start=1) if first < rows.stop)
            where = f"in batch {batch} of {len(self.epoch.whole)} of epoch {epoch + 1}"
            raise _not_finite(self.epoch.formula_of(int(self.epoch.subsets[first])), where)

        def means(of: np.ndarray) -> dict[str, Any]:
            n = int(of.sum())
            return {"n": n, "loss": float(loss[of].mean()), "accuracy": float(right[of].mean())} if n else {"n": 0}

        subsets = self.epoch.subsets
        rows = [means(subsets == s) for s in range(self.epoch.subset_count)]
        for s in self.epoch.attacked_subsets:
            if rows[s]["n"]:
                rows[s]["attack_success"] = float(fooled[subsets == s].mean())
        return means(np.ones(len(right), dtype=bool)) | {
            "subsets": rows,
            "attacked": self.epoch.attacked_images,
            "seconds": round(time.monotonic() - self.began, 3),
        }
