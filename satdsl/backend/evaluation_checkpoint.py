"""Save how far an evaluation under attack is, and continue it after an interruption with the same result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.adversarial_examples import AdversarialExamples
from satdsl.backend.artifact_files import read_arrays, write_arrays
from satdsl.backend.counted_passes import made
from satdsl.backend.images import Images, unit_scale
from satdsl.ir.plan import Passes


class Pause(ABC):
    """Stops an evaluation before the next batch when that is `due`; `state` is the evaluation's since it began."""

    state: EvaluationCheckpoint | None = None

    @abstractmethod
    def due(self) -> bool:
        """Return whether to stop here."""


@dataclass
class EvaluationCheckpoint:
    """The state of an evaluation: `attack` k (from 1) has been tried on the first `start` of its `candidates`.

    `candidates` are bool [n], `broken_by` is int8 [n] as in `measure.Rows`. `warned` has what AutoAttack has warned of.
    A later batch depends on its attack, its images and a seed alone, so a continued evaluation has the same result.
    """

    path: Path
    broken_by: np.ndarray
    candidates: np.ndarray
    attack: int = 1
    start: int = 0
    warned: list[str] = field(default_factory=list)
    examples: AdversarialExamples | None = None
    distance: np.ndarray | None = None
    """float64 [n] as in `measure.Rows`, where the attack looks for the nearest adversarial image."""
    misled: np.ndarray | None = None
    """int64 [n]: the class that is predicted for the adversarial image that broke an image, else -1."""
    passes: Passes = field(default_factory=Passes)
    """What the batches so far have cost, those before an interruption included."""
    pause: Pause | None = None
    paused: bool = False
    _made: Passes = field(default_factory=made)
    _recording: bool = False

    @classmethod
    def load(
        cls,
        path: Path,
        standing: np.ndarray,
        examples: AdversarialExamples | None,
        pause: Pause | None = None,
        misled: np.ndarray | None = None,
    ) -> EvaluationCheckpoint:
        """Return the state at `path` if it is of the same `standing` images (bool [n]), else a new one.

        What is predicted for adversarial images is written into `misled`, int64 [n], where it is given.
        """
        broken_by = np.where(standing, -1, 0).astype(np.int8)
        state = cls(path, broken_by, standing.copy(), examples=examples, pause=pause, misled=misled)
        if path.exists():
            state._restore(read_arrays(path))
        if pause is not None:
            pause.state = state
        return state

    def _restore(self, stored: Mapping[str, np.ndarray]) -> None:
        """Continue from what is stored, if it is of the same images."""
        if not np.array_equal(stored["broken_by"] != 0, self.candidates):
            return
        self.broken_by, self.candidates = stored["broken_by"], stored["candidates"]
        self.attack, self.start = stored["position"].tolist()
        self.warned, self.distance = stored["warned"].tolist(), stored.get("distance")
        if self.misled is not None and "misled" in stored:
            self.misled[:] = stored["misled"]
        self.passes = Passes(*stored["passes"].tolist()) if "passes" in stored else Passes()
        if self.examples is not None:
            self.examples.restore(stored)

    def batches(self, images: Images, size: int, device: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give (positions int64 [k] on the host, images in [0, 1], labels) of each batch of candidates that is left.

        Where it is asked to pause it saves the state, and gives no more.
        """
        positions = torch.from_numpy(np.flatnonzero(self.candidates))
        for start in range(self.start, len(positions), size):
            if self.pause is not None and self.pause.due():
                self.paused = True
                self.save()
                return
            rows = positions[start : start + size]
            yield rows, unit_scale(images.pixels[rows].to(device)), images.labels[rows].to(device)

    def record(self, rows: Tensor, images: Tensor, labels: Tensor, adversarial: Tensor, predicted: Tensor) -> None:
        """Record a batch: its positions, images, labels, adversarial images and what is predicted for these."""
        self._recording = True
        broken = (predicted != labels).cpu()
        self.broken_by[rows[broken].numpy()] = self.attack
        if self.misled is not None:
            self.misled[rows[broken].numpy()] = predicted.cpu()[broken].numpy()
        self.start += len(rows)
        before, self._made = self._made, made()
        self.passes += self._made - before
        if self.examples is not None:
            self.examples.record(rows, images, adversarial, predicted)
        self._recording = False

    @contextmanager
    def kept_on_interrupt(self) -> Iterator[None]:
        """Save the state when an interrupt ends the block, unless a batch is half recorded."""
        try:
            yield
        except KeyboardInterrupt:
            if not self._recording:
                self.save()
            raise

    def next_attack(self) -> None:
        """Continue with the next attack, on the images that still stand."""
        self.attack, self.start = self.attack + 1, 0
        self.candidates = self.broken_by == -1
        self.save()

    def save(self) -> None:
        """Write the state to `path`."""
        arrays = {
            "broken_by": self.broken_by,
            "candidates": self.candidates,
            "position": np.array([self.attack, self.start]),
            "warned": np.array(self.warned, dtype=np.str_),
            "passes": np.array([self.passes.forward, self.passes.forward_backward]),
        }
        arrays |= {} if self.distance is None else {"distance": self.distance}
        arrays |= {} if self.misled is None else {"misled": self.misled}
        write_arrays(self.path, arrays | ({} if self.examples is None else self.examples.state()))
