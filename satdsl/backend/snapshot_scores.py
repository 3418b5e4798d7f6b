"""The snapshots of a training to difficulty scores over them, without keeping a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from satdsl.backend.grand import gradient_norms
from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.scores import FORWARD, logit_margin
from satdsl.backend.vog import GradientVariance
from satdsl.ir.work import StepError

GRAND, VOG = "snapshot-grand", "vog"
"""What is recorded only when asked for, since it takes a backward pass on top of the forward pass."""


class SnapshotScores:
    """Sums, in float64, over the snapshots seen so far, for n training images.

    `asked` names the scores beyond those that always come; `scratch` is where VoG keeps its statistics.
    """

    def __init__(self, images: Images, device: str, asked: Sequence[str], scratch: Path) -> None:
        unknown = sorted(set(asked) - {GRAND, VOG})
        if unknown:
            raise StepError(f"this version cannot record {', '.join(unknown)}", f"it can record {GRAND} and {VOG}")
        zeros = torch.zeros(len(images), dtype=torch.float64, device=device)
        self.count = 0
        names = (*(f"snapshot-{name}" for name in FORWARD), "aum", "forgetting", *([GRAND] if GRAND in asked else []))
        self.sums = {name: zeros.clone() for name in names}
        self.right = torch.zeros(len(images), dtype=torch.bool, device=device)
        self.ever_right = self.right.clone()
        self.gradients = GradientVariance(images, scratch) if VOG in asked else None

    def add(self, network: nn.Module, images: Images, device: str) -> None:
        """Take in the next snapshot: evaluation mode, images without augmentation."""
        self.add_logits(logits(network, images, device), images.labels.to(device))
        if GRAND in self.sums:
            self.sums[GRAND] += gradient_norms(network, images, device)
        if self.gradients is not None:
            self.gradients.add(network, images, device)

    def add_logits(self, logits: Tensor, labels: Tensor) -> None:
        """Take in the next snapshot's logits [n, classes] alone."""
        logits = logits.double()
        for name, score in FORWARD.items():
            self.sums[f"snapshot-{name}"] += score(logits, labels)
        self.sums["aum"] += logit_margin(logits, labels)
        right = logits.argmax(1) == labels
        self.sums["forgetting"] += self.right & ~right
        self.ever_right |= right
        self.right = right
        self.count += 1

    def scores(self) -> dict[str, np.ndarray[Any, Any]]:
        """By score name, float64 [n]; nothing where there was no snapshot.

        `snapshot-X` is the mean of X over the snapshots (for the entropy: equation 3 of Losch et al., 2024).
        `aum` is the mean of the negated logit margin (Pleiss et al., 2020, with the opposite sign).
        `forgetting` counts right-then-wrong pairs of neighbouring snapshots (Toneva et al., 2019); an image
        that was never right has as many as there are snapshots, one more than any other can have. `vog` is
        the variance of gradients (see `satdsl.backend.vog`).
        """
        if not self.count:
            return {}
        scores = {name: values / self.count for name, values in self.sums.items()}
        scores["forgetting"] = torch.where(self.ever_right, self.sums["forgetting"], float(self.count))
        if self.gradients is not None:
            scores[VOG] = self.gradients.values()
        return {name: values.cpu().numpy() for name, values in scores.items()}

    def state(self) -> dict[str, Any]:
        state = {"count": self.count, "sums": self.sums, "right": self.right, "ever_right": self.ever_right}
        return state | ({} if self.gradients is None else {VOG: self.gradients.state()})

    def restore(self, state: dict[str, Any]) -> None:
        self.count = state["count"]
        for name, values in state["sums"].items():
            self.sums[name].copy_(values)
        self.right.copy_(state["right"])
        self.ever_right.copy_(state["ever_right"])
        if self.gradients is not None:
            self.gradients.restore(state[VOG])
