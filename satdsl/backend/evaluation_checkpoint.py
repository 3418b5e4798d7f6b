"""Save how far an evaluation under attack is, and continue it after an interruption with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.adversarial_examples import AdversarialExamples
from satdsl.backend.artifact_files import read_arrays, write_arrays
from satdsl.backend.images import Images, unit_scale

Pause = Callable[[np.ndarray], bool]
"""Is asked before each batch whether to stop there, and told what is broken so far: int8 [n] as in `measure.Rows`."""


def never(broken_by: np.ndarray) -> bool:
    """Go on to the end."""
    return False


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
    pause: Pause = never
    paused: bool = False

    @classmethod
    def load(
        cls, path: Path, standing: np.ndarray, examples: AdversarialExamples | None, pause: Pause = never
    ) -> EvaluationCheckpoint:
        """Return the state at `path` if it is of the same `standing` images (bool [n]), else a new one."""
        if path.exists():
            stored = read_arrays(path)
            if np.array_equal(stored["broken_by"] != 0, standing):
                attack, start = stored["position"].tolist()
                if examples is not None:
                    examples.restore(stored)
                warned = stored["warned"].tolist()
                distance = stored.get("distance")
                broken_by, candidates = stored["broken_by"], stored["candidates"]
                return cls(path, broken_by, candidates, attack, start, warned, examples, distance, pause)
        return cls(path, np.where(standing, -1, 0).astype(np.int8), standing.copy(), examples=examples, pause=pause)

    def batches(self, images: Images, size: int, device: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give (positions int64 [k] on the host, images in [0, 1], labels) of each batch of candidates that is left.

        Where it is asked to pause it saves the state, and gives no more.
        """
        positions = torch.from_numpy(np.flatnonzero(self.candidates))
        for start in range(self.start, len(positions), size):
            if self.pause(self.broken_by):
                self.paused = True
                self.save()
                return
            rows = positions[start : start + size]
            yield rows, unit_scale(images.pixels[rows].to(device)), images.labels[rows].to(device)

    def record(self, rows: Tensor, images: Tensor, labels: Tensor, adversarial: Tensor, predicted: Tensor) -> None:
        """Record a batch: its positions, images, labels, adversarial images and what is predicted for these."""
        self.broken_by[rows[(predicted != labels).cpu()].numpy()] = self.attack
        self.start += len(rows)
        if self.examples is not None:
            self.examples.record(rows, images, adversarial, predicted)

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
        }
        arrays |= {} if self.distance is None else {"distance": self.distance}
        write_arrays(self.path, arrays | ({} if self.examples is None else self.examples.state()))
