"""The outcomes of an epoch's batches to its curves."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch

from satdsl.backend.distributed import SINGLE_PROCESS, ProcessGroup
from satdsl.backend.epoch import Epoch
from satdsl.backend.losses import PassResult
from satdsl.ir.work import StepError


class EpochMetrics:
    """Gathers an epoch's outcomes on the device; `curves` is the first to ask for them."""

    def __init__(self, epoch: Epoch, group: ProcessGroup = SINGLE_PROCESS) -> None:
        self.epoch = epoch
        self.group = group
        self.began = time.monotonic()
        self.losses = torch.zeros_like(epoch.loss_weights)
        self.right = torch.zeros_like(epoch.order, dtype=torch.uint8)
        self.fooled = torch.zeros_like(self.right)

    def count(self, batch: slice, outcome: PassResult) -> None:
        self.losses[batch] = outcome.losses.detach()
        self.right[batch], self.fooled[batch] = outcome.right, outcome.fooled

    def curves(self) -> dict[str, Any]:
        """Of the images in the batches, all and each subset: their number, mean unweighted loss (nats), accuracy.

        An attacked subset also has its attack's success, the share of its adversarial images that were taken for
        another class. StepError where the loss is no longer finite.
        """
        self.group.all_reduce([self.losses])
        self.group.all_reduce([self.right, self.fooled])
        loss, right, fooled = (of.double().cpu().numpy() for of in (self.losses, self.right, self.fooled))
        if not math.isfinite(loss.mean()):
            raise StepError("the training loss is no longer finite", "lower the learning rate, or warm it up")

        def means(of: np.ndarray) -> dict[str, Any]:
            n = int(of.sum())
            return {"n": n, "loss": float(loss[of].mean()), "accuracy": float(right[of].mean())} if n else {"n": 0}

        subsets = self.epoch.subsets
        rows = [means(subsets == s) for s in range(int(subsets.max()) + 1)]
        for s in self.epoch.attacked_subsets:
            if rows[s]["n"]:
                rows[s]["attack_success"] = float(fooled[subsets == s].mean())
        return means(np.ones(len(right), dtype=bool)) | {
            "subsets": rows,
            "attacked": self.epoch.attacked_images,
            "seconds": round(time.monotonic() - self.began, 3),
        }
