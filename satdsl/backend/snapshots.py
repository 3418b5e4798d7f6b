"""The logits of a training's snapshots to snapshot-averaged difficulty scores, without keeping a snapshot."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.scores import FORWARD, logit_margin


class SnapshotScores:
    """Sums, in float64, over the snapshots seen so far, for n training images."""

    def __init__(self, n: int, device: str) -> None:
        zeros = torch.zeros(n, dtype=torch.float64, device=device)
        self.count = 0
        self.sums = {name: zeros.clone() for name in (*FORWARD, "aum", "forgetting")}
        self.right = torch.zeros(n, dtype=torch.bool, device=device)
        self.ever_right = self.right.clone()

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take in the next snapshot's logits [n, classes]: evaluation mode, images without augmentation."""
        logits = logits.double()
        for name, score in FORWARD.items():
            self.sums[name] += score(logits, labels)
        self.sums["aum"] += logit_margin(logits, labels)
        right = logits.argmax(1) == labels
        self.sums["forgetting"] += self.right & ~right
        self.ever_right |= right
        self.right = right
        self.count += 1

    def scores(self) -> dict[str, np.ndarray[Any, Any]]:
        """By score name, float64 [n]; nothing where there was no snapshot.

        `snapshot-X` is the mean of X over the snapshots (for the entropy: equation 3). `aum` is the mean of
        the negated logit margin (Pleiss et al., 2020, with the opposite sign). `forgetting` counts
        right-then-wrong pairs of neighbouring snapshots (Toneva et al., 2019); an image that was never
        right has as many as there are snapshots.
        """
        if not self.count:
            return {}
        scores = {f"snapshot-{name}": self.sums[name] / self.count for name in FORWARD}
        scores["aum"] = self.sums["aum"] / self.count
        scores["forgetting"] = torch.where(self.ever_right, self.sums["forgetting"], float(self.count))
        return {name: values.cpu().numpy() for name, values in scores.items()}

    def state(self) -> dict[str, Any]:
        return {"count": self.count, "sums": self.sums, "right": self.right, "ever_right": self.ever_right}

    def restore(self, state: dict[str, Any]) -> None:
        self.count = state["count"]
        for name, values in state["sums"].items():
            self.sums[name].copy_(values)
        self.right.copy_(state["right"])
        self.ever_right.copy_(state["ever_right"])
