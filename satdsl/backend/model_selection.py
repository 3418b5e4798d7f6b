"""Select the checkpoint that is kept: the one that is best on the hold-out.

Each candidate is looked at without attack when its epoch is over, and its weights are written to the step's scratch
folder if it can still win. They are attacked when the training is over, or when too many wait: see `candidate_race`.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from satdsl.backend import weights
from satdsl.backend.artifact_files import read_arrays, write_arrays
from satdsl.backend.candidate_race import Ahead, Candidate, Race
from satdsl.backend.counted_passes import counted_here
from satdsl.backend.evaluation_checkpoint import Pause
from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.measure import measure
from satdsl.ir.plan import Passes, added
from satdsl.ir.steps import Selection
from satdsl.ir.work import Progress

Report = Callable[[Progress], None]

WEIGHTS, IMAGES = "weights.safetensors", "images.npz"
"""The files of a candidate that waits."""


@dataclass
class SavedCandidate:
    """A candidate in a folder of its own: its weights, and what became of the hold-out's images so far.

    `predicted` int64 [n] is its prediction without attack; `right` bool [n] what withstands the first `attacked` of the
    rule's attacks, which took these `passes`. The state of the next one lies beside them while it is not finished.
    """

    folder: Path
    predicted: np.ndarray
    right: np.ndarray
    passes: Passes
    attacked: int = 0

    @classmethod
    def load(cls, folder: Path) -> SavedCandidate:
        """Return what `save` wrote last."""
        stored = read_arrays(folder / IMAGES)
        passes = Passes(*stored["passes"].tolist())
        return cls(folder, stored["predicted"], stored["right"], passes, int(stored["attacked"]))

    def save(self) -> None:
        """Write the state of the images."""
        made = np.array([self.passes.forward, self.passes.forward_backward])
        arrays = {"predicted": self.predicted, "right": self.right, "attacked": np.array(self.attacked), "passes": made}
        write_arrays(self.folder / IMAGES, arrays)

    @property
    def next_attack(self) -> Path:
        """The folder of the attack that is not finished."""
        return self.folder / f"attack{self.attacked}"


class ModelSelection:
    """The candidates of a training; `images` are the hold-out's, `folder` holds what waits."""

    def __init__(
        self, rule: Selection | None, images: Images | None, *, classes: int, device: str, folder: Path
    ) -> None:
        self.rule = rule
        self.race = Race()
        self.passes: dict[int, Passes] = {}
        """What each candidate has cost, by its epoch."""
        self._images, self._classes, self._device, self._folder = images, classes, device, folder

    def due(self, epoch: int) -> bool:
        """Return whether the network after `epoch` completed epochs is a candidate that has not entered."""
        return self.rule is not None and epoch in self.rule.epochs and not self.race.knows(epoch)

    def enter(self, epoch: int, network: nn.Module) -> None:
        """Look at a candidate without attack, and keep its weights if it can win."""
        images, rule = self._whole
        predicted = logits(network, images, self._device).argmax(1).cpu()
        right = (predicted == images.labels.cpu()).numpy()
        saved = SavedCandidate(self._of(epoch), predicted.numpy(), right, Passes(len(images)))
        self.passes[epoch] = saved.passes
        if self.race.enter(Candidate(epoch, int(right.sum()), finished=not rule.attacks)):
            shutil.rmtree(saved.folder, ignore_errors=True)
            weights.save_weights(saved.folder / WEIGHTS, network.state_dict())
            saved.save()

    @property
    def is_full(self) -> bool:
        """Return whether a race is due, since no more candidates may wait."""
        return self.race.is_full

    @property
    def is_open(self) -> bool:
        """Return whether candidates wait that have to be attacked before one is chosen."""
        return bool(self.race.waiting) and self.race.winner is None

    def decide(self, network: nn.Module, report: Report = lambda progress: None) -> None:
        """Attack candidates until only the best waits; `network` is of their architecture, and stays as it is.

        What was attacked when a race was killed is not attacked again.
        """
        copied = copy.deepcopy(network).requires_grad_(False)
        copied.zero_grad(set_to_none=True)
        with counted_here():
            self.race.run(partial(self._attack, copied, report))

    def _attack(self, network: nn.Module, report: Report, epoch: int, ahead: Ahead) -> Candidate:
        """Attack one candidate for as long as it is ahead."""
        (images, rule), saved = self._whole, SavedCandidate.load(self._of(epoch))
        self.passes[epoch] = saved.passes
        network.load_state_dict(weights.load_weights(saved.folder / WEIGHTS))
        predicted = torch.from_numpy(saved.predicted)
        while saved.attacked < len(rule.attacks) and ahead(int(saved.right.sum())):
            watch = _Watch(saved.right, ahead)
            rows = measure(
                network,
                images,
                rule.attacks[saved.attacked],
                classes=self._classes,
                device=self._device,
                scratch=saved.next_attack,
                report=self._reporting(report, epoch, watch),
                predicted=predicted,
                pause=watch,
            )
            self.passes[epoch] = saved.passes + watch.passes
            if watch.paused:
                return Candidate(epoch, watch.standing)
            finished = saved.next_attack
            saved.right, saved.attacked, saved.passes = (
                saved.right & rows.correct,
                saved.attacked + 1,
                self.passes[epoch],
            )
            saved.save()
            shutil.rmtree(finished, ignore_errors=True)
        return Candidate(epoch, int(saved.right.sum()), saved.attacked == len(rule.attacks))

    def _reporting(self, report: Report, epoch: int, watch: _Watch) -> Report:
        """Return what says of the progress of an attack whose candidate it attacks, and how many are left."""
        n, left = len(watch.right), len(self.race.waiting)

        def told(progress: Progress) -> None:
            bound = f"epoch {epoch}, at most {watch.standing / n:.1%}" + f", {left} left" * (left > 1)
            report(replace(progress, note=f"{bound}: {progress.note}"))

        return told

    def tidy(self) -> None:
        """Remove what no candidate that waits needs. A saved state must know of it before."""
        for folder in self._folder.glob("epoch-*"):
            if all(folder != self._of(epoch) for epoch in self.race.waiting):
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def chosen(self) -> dict[str, Tensor] | None:
        """The weights of the winner; None without a rule."""
        winner = self.race.winner
        return None if winner is None else weights.load_weights(self._of(winner.epoch) / WEIGHTS)

    def document(self, epochs: int) -> dict[str, Any]:
        """Return the contents of `selection.json`; without a rule the last epoch is chosen."""
        winner = self.race.winner
        if self.rule is None or winner is None:
            return {"measure": None, "candidates": [], "chosen": epochs}
        known, made = self.race.waiting | self.race.beaten, added(list(self.passes.values()))
        return {
            "measure": selection_criterion(self.rule),
            "candidates": [self._candidate(known[epoch]) for epoch in sorted(known)],
            "chosen": winner.epoch,
            "n": len(self._whole[0]),
            "passes": {"forward": round(made.forward), "forward_backward": round(made.forward_backward)},
        }

    def _candidate(self, one: Candidate) -> dict[str, Any]:
        """Return what is known of a candidate: its value, or only the most that it can be."""
        images, _ = self._whole
        return {"epoch": one.epoch, "value": one.standing / len(images)} | ({} if one.finished else {"at_most": True})

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint of the training has to save."""
        listed = {"waiting": self.race.waiting, "beaten": self.race.beaten}
        found: dict[str, Any] = {
            name: [(one.epoch, one.standing, one.finished) for one in those.values()] for name, those in listed.items()
        }
        return found | {"passes": [(epoch, made.forward, made.forward_backward) for epoch, made in self.passes.items()]}

    def can_restore(self, state: dict[str, Any]) -> bool:
        """Return whether everything is there that a saved state needs."""
        if self.rule is None:
            return True
        folders = [self._of(epoch) for epoch, *_ in state.get("waiting", ())]
        return "waiting" in state and all((folder / file).exists() for folder in folders for file in (WEIGHTS, IMAGES))

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for name, those in (("waiting", self.race.waiting), ("beaten", self.race.beaten)):
            those.update({epoch: Candidate(epoch, *rest) for epoch, *rest in state.get(name, ())})
        self.passes.update({epoch: Passes(*made) for epoch, *made in state.get("passes", ())})

    def _of(self, epoch: int) -> Path:
        """Return the folder of a candidate."""
        return self._folder / f"epoch-{epoch}"

    @property
    def _whole(self) -> tuple[Images, Selection]:
        assert self._images is not None
        assert self.rule is not None
        return self._images, self.rule


class _Watch(Pause):
    """Pauses an attack when its candidate is no longer ahead; `right` bool [n] is what withstood the ones before."""

    def __init__(self, right: np.ndarray, ahead: Ahead) -> None:
        self.right, self._ahead = right, ahead

    def due(self) -> bool:
        return not self._ahead(self.standing)

    @property
    def standing(self) -> int:
        """The images that all attacks so far have left."""
        return int((self.right if self.state is None else self.right & (self.state.broken_by == -1)).sum())

    @property
    def paused(self) -> bool:
        return self.state is not None and self.state.paused

    @property
    def passes(self) -> Passes:
        """What this attack has cost so far."""
        return Passes() if self.state is None else self.state.passes


def selection_criterion(rule: Selection) -> str:
    """Return what a rule compares, in words."""
    attacks = ", ".join(attack.name for attack in rule.attacks)
    return f"robust accuracy under {attacks}" if attacks else "clean accuracy"
