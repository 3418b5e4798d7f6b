"""Save the state of a training in its scratch folder, and load it after an interruption."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import torch

from satdsl.backend.artifact_files import atomic_write

SAVE_SECONDS = 20.0
"""A state is saved whenever so many seconds have passed since it was saved last."""

LEAST_SECONDS = 5.0
"""It is saved no more often, unless it must be."""

TIMES_ITS_COST = 50.0
"""Between these two, it is saved when so many times the seconds have passed that the last save took."""


class TrainingCheckpoint:
    """A file in `scratch` that holds the state of the step `key`."""

    def __init__(self, scratch: Path, key: str) -> None:
        self._path = scratch / "training.pt"
        self._key = key
        self._last, self._took = time.monotonic(), 0.0
        self.saved = 0
        """How many completed epochs the state knows of that was saved or loaded last."""

    def load(self, device: str) -> dict[str, Any] | None:
        """Return what was saved last; None if nothing was saved, or nothing that can be read."""
        if not self._path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self._path, map_location=device, weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError):
            return None
        return state if state.get("key") == self._key else None

    @property
    def due(self) -> bool:
        """Return whether the last save is so long ago that the state should be saved again."""
        wait = min(SAVE_SECONDS, max(LEAST_SECONDS, TIMES_ITS_COST * self._took))
        return time.monotonic() - self._last > wait

    def save(self, state: dict[str, Any]) -> None:
        """Save a state of plain values and tensors; `completed` in it is how many epochs it knows of."""
        began = time.monotonic()
        with atomic_write(self._path) as aside:
            torch.save(state | {"key": self._key}, aside)
        self._last, self.saved = time.monotonic(), int(state["completed"])
        self._took = self._last - began
