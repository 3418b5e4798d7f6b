"""Select the checkpoint that is kept: the one that is best on the hold-out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from satdsl.backend.images import Images
from satdsl.backend.measure import measure
from satdsl.ir.steps import Selection
from satdsl.ir.work import Progress


class ModelSelection:
    """The weights that were best on the hold-out so far, and the value of every candidate."""

    def __init__(self, rule: Selection | None) -> None:
        self.rule = rule
        self.candidates: list[dict[str, float]] = []
        self.weights: dict[str, Tensor] | None = None

    def due(self, epoch: int) -> bool:
        """Return whether the network after `epoch` completed epochs is a candidate that has not been measured."""
        return (
            self.rule is not None
            and epoch in self.rule.epochs
            and all(candidate["epoch"] != epoch for candidate in self.candidates)
        )

    def consider(self, epoch: int, value: float, weights: dict[str, Tensor]) -> None:
        """Record a candidate's value; keep a copy of its weights if it is better than all before."""
        if self.weights is None or value > max(candidate["value"] for candidate in self.candidates):
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        self.candidates.append({"epoch": epoch, "value": value})

    def document(self, epochs: int) -> dict[str, Any]:
        """Return the contents of `selection.json`; without a rule the last epoch is chosen."""
        if self.rule is None:
            return {"measure": None, "candidates": [], "chosen": epochs}
        best = max(self.candidates, key=lambda candidate: candidate["value"])
        return {"measure": selection_criterion(self.rule), "candidates": self.candidates, "chosen": best["epoch"]}

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint of the training has to save."""
        return {"candidates": self.candidates, "weights": self.weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.candidates = list(state["candidates"])
        self.weights = state["weights"]


def selection_criterion(rule: Selection) -> str:
    """Return what a rule compares, in words."""
    attacks = ", ".join(attack.name for attack in rule.attacks)
    return f"robust accuracy under {attacks}" if attacks else "clean accuracy"


def selection_value(
    rule: Selection,
    network: nn.Module,
    images: Images,
    *,
    classes: int,
    device: str,
    scratch: Path,
    report: Callable[[Progress], None],
) -> float:
    """Return the share of the hold-out that is right without attack, or under every one of the rule's attacks."""
    right = np.ones(len(images), dtype=bool)
    for k, attack in enumerate(rule.attacks or (None,)):
        place = scratch / f"attack{k}"
        rows = measure(network, images, attack, classes=classes, device=device, scratch=place, report=report)
        right &= rows.correct
    shutil.rmtree(scratch, ignore_errors=True)
    return float(right.mean())
