"""Score the difficulty of training images: of finished weights, or over the snapshots of a training.

Larger is harder in all of them. What stands behind a score is, in its module, a function of its name:

- of most scores, (logits [n, classes], labels [n]) to scores [n];
- of one that takes a gradient, (network, images, device, told how many images are done) to scores [n];
- of one over snapshots, (images, device, scratch folder) to a `SnapshotScore`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.registry import implementation
from satdsl.catalog import catalog
from satdsl.catalog.scores import ScoreEntry, recorded
from satdsl.ir.work import StepError

ScoreOfLogits = Callable[[Tensor, Tensor], Tensor]


def score_of_weights(
    name: str,
    network: nn.Module,
    images: Images,
    device: str,
    outputs: Tensor | None = None,
    passed: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Return a score of finished weights, float64 [n] on `device`, in evaluation mode and without augmentation.

    `outputs` are the images' logits, where they are known.
    """
    function = implementation("score", name)
    if ScoreEntry.of(name).gradient:
        return function(network, images, device, passed)  # type: ignore[no-any-return]
    outputs = logits(network, images, device) if outputs is None else outputs
    return function(outputs.double(), images.labels.to(device))  # type: ignore[no-any-return]


class SnapshotScore(Protocol):
    """A score that is taken over the snapshots of a training, one after the other."""

    def add(self, network: nn.Module, images: Images, device: str, logits: Tensor) -> None:
        """Take in the next snapshot, whose logits [n, classes] are known."""

    def values(self) -> Tensor:
        """Return the score of each image, float64 [n]."""

    def state(self) -> dict[str, Any]:
        """Return what to save."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""


class SnapshotMean:
    """The mean, in float64, of a score over the snapshots so far: of logits and labels, or of a named score."""

    def __init__(self, images: Images, device: str, score: ScoreOfLogits | str) -> None:
        self.score = score
        self.count = 0
        self.sums = torch.zeros(len(images), dtype=torch.float64, device=device)

    def add(self, network: nn.Module, images: Images, device: str, logits: Tensor) -> None:
        if isinstance(self.score, str):
            self.sums += score_of_weights(self.score, network, images, device, logits)
        else:
            self.sums += self.score(logits.double(), images.labels.to(device))
        self.count += 1

    def values(self) -> Tensor:
        return self.sums / self.count

    def state(self) -> dict[str, Any]:
        return {"count": self.count, "sums": self.sums}

    def restore(self, state: dict[str, Any]) -> None:
        self.count = state["count"]
        self.sums.copy_(state["sums"])


def snapshot_score(entry: ScoreEntry, images: Images, device: str, scratch: Path) -> SnapshotScore:
    """Return a score over snapshots before the first of them."""
    if entry.of_weights:
        return SnapshotMean(images, device, entry.of_weights)
    return implementation("score", entry.name)(images, device, scratch)  # type: ignore[no-any-return]


def best_wrong_margin(values: Tensor, labels: Tensor) -> Tensor:
    """Return max_{k != y} v_k - v_y of [n, classes] values: how far the right class is behind the best wrong one."""
    right = values.gather(1, labels[:, None]).squeeze(1)
    wrong = values.scatter(1, labels[:, None], -torch.inf).amax(1)
    return wrong - right


def score_in(arrays: Mapping[str, np.ndarray[Any, Any]], score: str) -> np.ndarray[Any, Any]:
    """Return the column of an artifact's scores that a score's name means; raise StepError where it is not there."""
    if score in arrays:
        return arrays[score]
    if catalog().find("score", score) is not None and recorded(score) in arrays:
        return arrays[recorded(score)]
    there = ", ".join(sorted(set(arrays) - {"index"})) or "none"
    raise StepError(f"the score {score} was not recorded (there: {there})", "keep snapshots in the reference training")
