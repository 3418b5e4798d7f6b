"""Measure a network under an attack: is each image right, wrong, or broken by the attack?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from satdsl.backend.adversarial_examples import AdversarialExamples
from satdsl.backend.artifact_files import read_arrays, write_arrays
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import attack_of
from satdsl.backend.images import EVALUATION_BATCH, Images, unit_scale
from satdsl.backend.inference import full_precision, logits
from satdsl.backend.randomness import Stream, generator
from satdsl.backend.registry import entry_of, implementation
from satdsl.catalog.attacks import AttackEntry
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import Progress

SEED = 0
"""Seed of the attacks' random starts in measurements: the same in every run."""

SAVE_SECONDS = 20.0
"""Progress is saved no more often."""


@dataclass(frozen=True, eq=False)
class Rows:
    """`broken_by` int8 [n]: -1 still standing, 0 wrong without attack, k >= 1 broken by `attacks[k - 1]`."""

    broken_by: np.ndarray
    attacks: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    examples: AdversarialExamples | None = None
    """What the attack made of a few images; None without attack."""

    @property
    def correct(self) -> np.ndarray:
        """Right, and still right under the attack: bool [n]."""
        standing: np.ndarray = self.broken_by == -1
        return standing

    @property
    def clean(self) -> float:
        """Return the share that is right without attack."""
        return float((self.broken_by != 0).mean())

    @property
    def accuracy(self) -> float:
        """Return the share that is right under the attack."""
        return float(self.correct.mean())


def measure(
    network: nn.Module,
    images: Images,
    attack: CatalogCall | None,
    *,
    classes: int,
    device: str,
    scratch: Path,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Rows:
    """Return which images are right, without attack where `attack` is None, else which withstand it.

    Only images that are right are attacked. An interrupted measurement goes on from what `scratch` holds, with the
    same result.
    """
    predicted = logits(network, images, device).argmax(1).cpu()
    standing = (predicted == images.labels.cpu()).numpy()
    entry = None if attack is None else entry_of(AttackEntry, attack)
    if attack is None or entry is None or entry.clean:
        return Rows(np.where(standing, -1, 0).astype(np.int8), ())
    examples, warned = AdversarialExamples.of(images, predicted), ()
    if entry.ensemble:
        broken_by, warned = implementation("attack", attack.name)(
            network,
            images,
            attack,
            classes=classes,
            standing=standing,
            device=device,
            scratch=scratch,
            examples=examples,
            report=report,
        )
    else:
        broken_by = _attacked(network, images, attack, standing, device, scratch / "attacked.npz", examples, report)
    return Rows(broken_by, entry.parts(attack), tuple(warned), examples)


def _attacked(
    network: nn.Module,
    images: Images,
    choice: CatalogCall,
    standing: np.ndarray,
    device: str,
    saved: Path,
    examples: AdversarialExamples,
    report: Callable[[Progress], None],
) -> np.ndarray:
    """Return `broken_by` under an attack, in batches of standing images with random numbers of their own."""
    attack = attack_of(choice)
    broken_by, start = np.where(standing, -1, 0).astype(np.int8), 0
    if saved.exists():
        stored = read_arrays(saved)
        if np.array_equal(stored["broken_by"] != 0, standing):
            broken_by, start = stored["broken_by"], int(stored["start"])
            examples.restore(stored)
    candidates = torch.from_numpy(np.flatnonzero(standing))
    frozen, last = AttackCopy(network).refresh(), time.monotonic()
    with full_precision():
        for first in range(start, len(candidates), EVALUATION_BATCH):
            rows = candidates[first : first + EVALUATION_BATCH]
            pixels, labels = unit_scale(images.pixels[rows].to(device)), images.labels[rows].to(device)
            adversarial = attack(frozen, pixels, labels, generator(SEED, Stream.EVALUATION, first, device))
            with torch.inference_mode():
                predicted = frozen(adversarial).argmax(1)
            broken_by[rows[(predicted != labels).cpu()].numpy()] = 1
            examples.record(rows, pixels, adversarial, predicted)
            done = first + len(rows)
            report(Progress(done, len(candidates), f"{choice.name}: {int((broken_by == -1).sum())} still standing"))
            if time.monotonic() - last > SAVE_SECONDS:
                write_arrays(saved, {"broken_by": broken_by, "start": np.array(done)} | examples.state())
                last = time.monotonic()
    return broken_by
