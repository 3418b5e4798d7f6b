"""Say which steps and pieces take equally long for each pass: texts that are equal where they do.

What a text leaves out changes how many passes there are, or what comes of them, and not how long one takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from satdsl.ir.plan import Piece
from satdsl.ir.steps import Train, canonical, document

OF_ATTACKS = frozenset({"eps", "step_size", "random_start", "restarts"})
"""Arguments of attacks that a pass takes no longer for."""

OF_RECIPES = frozenset(
    {"epochs", "lr", "momentum", "weight_decay", "schedule", "warmup", "nesterov", "beta1", "beta2", "epsilon"}
)
OF_DATA = frozenset({"limit", "limit_val", "seed", "root"})
OF_TRAININGS = frozenset(
    {"seed", "keep_weights", "snapshots", "start_epoch", "mean", "std", "weight", "holdout", "first"}
)


def attack(call: Any) -> Any:
    """Return the document of an attack, or of several, without what no pass takes longer for."""
    return without(document(call), OF_ATTACKS)


def of_training(settings: Mapping[str, Any]) -> Any:
    """Return what a training's settings, as JSON data, say of its passes."""
    left = {**settings, "recipe": without(settings["recipe"], OF_RECIPES)}
    select = settings.get("select")
    if isinstance(select, Mapping):
        left["select"] = without(select, frozenset({"epochs"}))
    return without(left, OF_TRAININGS | OF_ATTACKS)


def of_piece(piece: Piece, training: Train | None, threads: str) -> str:
    """Return what a calibration of a piece is kept under, on one device, with what limits the threads there."""
    kind: dict[str, Any] = {"kind": piece.kind, "attack": attack(piece.attack), "part": piece.part}
    if training is not None and piece.kind == "train":
        kind["training"] = of_training(document(training))
        kind["shares"] = [round(share, 2) for share in piece.shares]
    network = {"model": piece.model.document, "shape": list(piece.shape), "classes": piece.classes}
    return canonical({**kind, **network, "batch": piece.batch, "threads": threads})


def without(data: Any, names: frozenset[str]) -> Any:
    """Return JSON data without the entries of these names, however deep they lie."""
    if isinstance(data, Mapping):
        return {name: without(value, names) for name, value in data.items() if name not in names}
    return [without(value, names) for value in data] if isinstance(data, list | tuple) else data
