"""Save the state of a training in its scratch folder, and load it after an interruption."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import torch

from satdsl.backend.artifact_files import atomic_write

SAVE_SECONDS = 20.0
"""A state is saved no more often, unless it must be."""


class TrainingCheckpoint:
    """A file in `scratch` that holds the state of the step `key`."""

    def __init__(self, scratch: Path, key: str) -> None:
        self._path = scratch / "training.pt"
        self._key = key
        self._last = time.monotonic()

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
        return time.monotonic() - self._last > SAVE_SECONDS

    def save(self, state: dict[str, Any]) -> None:
        """Save a state of plain values and tensors."""
        with atomic_write(self._path) as aside:
            torch.save(state | {"key": self._key}, aside)
        self._last = time.monotonic()
