"""Measure a network under an attack: is each image right, wrong, or broken by the attack?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from satdsl.backend.adversarial_examples import AdversarialExamples
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import attack_of
from satdsl.backend.evaluation_checkpoint import EvaluationCheckpoint, Pause
from satdsl.backend.finite_numbers import FiniteOutputs, require_finite_images
from satdsl.backend.images import EVALUATION_BATCH, Images
from satdsl.backend.inference import full_precision, in_evaluation_mode, logits
from satdsl.backend.nearest_images import confirmed
from satdsl.backend.randomness import Stream, generator
from satdsl.backend.registry import entry_of, implementation
from satdsl.catalog.attacks import AttackEntry
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import Progress, StepError

SEED = 0
"""Seed of the attacks' random starts in measurements: the same in every run."""

ELSEWHERE = "made on another network"
"""What the rows say of an attack whose images were."""

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
    predicted: np.ndarray | None = None
    """The class that is predicted without attack, int64 [n]."""
    distance: np.ndarray | None = None
    """How far the nearest adversarial image is that was found, float64 [n], where the attack looks for that: 0 where
    the network is wrong without attack, infinite where none was found."""
    attacked: np.ndarray | None = None
    """The class predicted under attack, int64 [n]: for the adversarial image that broke it, else for the image."""

    @property
    def correct(self) -> np.ndarray:
        """Right, and still right under the attack: bool [n]."""
        standing: np.ndarray = self.broken_by == -1
        return standing

    @property
    def clean(self) -> float:
        """Return the share that is right without attack; 0 of no images."""
        return float((self.broken_by != 0).sum() / max(len(self.broken_by), 1))

    @property
    def accuracy(self) -> float:
        """Return the share that is right under the attack; 0 of no images."""
        return float(self.correct.sum() / max(len(self.broken_by), 1))


def measure(
    network: nn.Module,
    images: Images,
    attack: CatalogCall | None,
    *,
    classes: int,
    device: str,
    scratch: Path,
    report: Callable[[Progress], None] = lambda progress: None,
    source: nn.Module | None = None,
    shown: np.ndarray | None = None,
    predicted: Tensor | None = None,
    pause: Pause | None = None,
) -> Rows:
    """Return which images are right, without attack where `attack` is None, else which withstand it.

    Only images that are right are attacked: to mislead the network itself, or else another network, `source`, whose
    adversarial images this one is then shown. An interrupted measurement goes on from what `scratch` holds, with the
    same result. Of the images at the positions `shown` (int64 [m]; a few, evenly spaced, where it is None) the
    adversarial versions are kept. `predicted` (int64 [n]) is what it predicts without attack, where that is known.
    Where a `pause` is due, the rows come early, with the images as standing that have not been broken yet.
    """
    entry = None if attack is None else entry_of(AttackEntry, attack)
    if not len(images):
        names, none = () if attack is None or entry is None else entry.parts(attack), np.zeros(0, np.int64)
        return Rows(np.zeros(0, np.int8), names, predicted=none, attacked=none if names else None)
    if predicted is None:
        predicted = logits(network, images, device).argmax(1).cpu()
    standing = (predicted == images.labels.cpu()).numpy()
    if attack is None or entry is None or entry.clean:
        return Rows(np.where(standing, -1, 0).astype(np.int8), (), predicted=predicted.numpy())
    examples = AdversarialExamples.of(images, predicted, shown)
    distance, misled = None, np.full(len(images), -1, np.int64)
    if entry.ensemble and source is not None:
        reason = f"{attack.name} makes no images that could be shown to another network"
        raise StepError(reason, "measure under pgd, made on the other network")
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
            pause=pause,
            misled=misled,
        )
    else:
        state = EvaluationCheckpoint.load(scratch / "attacked.npz", standing, examples, pause, misled)
        _attack(network, source, images, attack, state, device, report)
        broken_by, warned, distance = state.broken_by, state.warned, state.distance
    names = entry.parts(attack) if source is None else tuple(f"{name} {ELSEWHERE}" for name in entry.parts(attack))
    # What an earlier version had begun does not tell them all.
    attacked = None if (misled[broken_by > 0] < 0).any() else np.where(broken_by > 0, misled, predicted.numpy())
    return Rows(broken_by, names, tuple(warned), examples, predicted.numpy(), distance, attacked)


def _attack(
    network: nn.Module,
    source: nn.Module | None,
    images: Images,
    choice: CatalogCall,
    state: EvaluationCheckpoint,
    device: str,
    report: Callable[[Progress], None],
) -> None:
    """Attack in batches of standing images, with random numbers of their own.

    Images that the source gets wrong without attack are attacked like the others: the attack maximises its loss.

    `state` then has `broken_by`, what there is to warn of, and `distance` where the attack looks for the nearest
    adversarial image. That is compared with the image by the network itself.
    """
    attack, standing = attack_of(choice), state.broken_by != 0
    nearest = entry_of(AttackEntry, choice).nearest
    if nearest is not None and state.distance is None:
        state.distance = np.where(standing, np.inf, 0.0)
    shown, last = FiniteOutputs(AttackCopy(network).refresh()), time.monotonic()
    attacked_network = shown if source is None else FiniteOutputs(AttackCopy(source).refresh())
    with full_precision(), state.kept_on_interrupt():
        for rows, pixels, labels in state.batches(images, EVALUATION_BATCH, device):
            noise = generator(SEED, Stream.EVALUATION, state.start, device)
            adversarial = attack(attacked_network, pixels, labels, noise)
            with torch.inference_mode():
                predicted = shown(adversarial).argmax(1)
            attacked_network.check(f"under {choice.name}")
            shown.check(f"under {choice.name}")
            require_finite_images(adversarial, choice.name)
            if nearest is not None and state.distance is not None:
                with in_evaluation_mode(network):
                    found = confirmed(network, pixels, adversarial, labels, nearest(choice))
                adversarial, predicted, state.distance[rows.numpy()] = found
            state.warned = attacked_network.warnings(choice.name) or state.warned
            state.record(rows, pixels, labels, adversarial, predicted)
            left = int((state.broken_by == -1).sum())
            report(Progress(state.start, int(standing.sum()), f"{choice.name}: {left} still standing"))
            if time.monotonic() - last > SAVE_SECONDS:
                state.save()
                last = time.monotonic()
