"""Record the difficulty scores over the snapshots of a training, without keeping a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.scores import snapshot_score
from satdsl.catalog import catalog
from satdsl.catalog.scores import ScoreEntry
from satdsl.ir.work import StepError


class SnapshotScores:
    """The scores over the snapshots seen so far, of n training images.

    Those that cost a backward pass on top of the forward pass, and some others, are recorded only when `asked` for.
    `scratch` is where scores keep what is too much for memory.
    """

    def __init__(self, images: Images, device: str, asked: Sequence[str], scratch: Path) -> None:
        scores = [entry for entry in catalog().entries("score") if isinstance(entry, ScoreEntry)]
        recorded = [entry for entry in scores if entry.over_snapshots and not entry.same_as]
        requested = [entry.name for entry in recorded if entry.on_request]
        unknown = sorted(set(asked) - set(requested))
        if unknown:
            known = " and ".join(requested)
            raise StepError(f"this version cannot record {', '.join(unknown)}", f"it can record {known}")
        self.count = 0
        self.recorded = {
            entry.name: snapshot_score(entry, images, device, scratch)
            for entry in recorded
            if entry.name in asked or not entry.on_request
        }

    def add(self, network: nn.Module, images: Images, device: str) -> None:
        """Take in the next snapshot: evaluation mode, images without augmentation."""
        self.add_logits(network, images, device, logits(network, images, device))

    def add_logits(self, network: nn.Module, images: Images, device: str, logits: Tensor) -> None:
        """Take in the next snapshot, whose logits [n, classes] are known."""
        for score in self.recorded.values():
            score.add(network, images, device, logits)
        self.count += 1

    def scores(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the scores by name, float64 [n]; nothing where there was no snapshot."""
        if not self.count:
            return {}
        return {name: score.values().cpu().numpy() for name, score in self.recorded.items()}

    def state(self) -> dict[str, Any]:
        return {"count": self.count, "scores": {name: score.state() for name, score in self.recorded.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        self.count = state["count"]
        for name, score in self.recorded.items():
            score.restore(state["scores"][name])
