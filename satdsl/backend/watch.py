"""A network after each epoch to how robust it is: what shows catastrophic overfitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from satdsl.backend.holdout import Parts
from satdsl.backend.images import Images, balanced
from satdsl.backend.measure import measure
from satdsl.plan import probe
from satdsl.plan.steps import Choice, Train
from satdsl.plan.work import Work


@dataclass(frozen=True, eq=False)
class Watch:
    """Looks after each epoch how robust the network is: `images` of `part` under a short `attack`.

    Catastrophic overfitting shows in the training's own figures only as success: the network withstands the attack it
    is trained with, and nothing else (Wong, Rice and Kolter, 2020).
    """

    part: str
    images: Images
    attack: Choice | None
    classes: int

    @classmethod
    def of(cls, settings: Train, parts: Parts, classes: int) -> Watch:
        """On the hold-out; where there is none, on training images as they are, without augmentation."""
        part, images = ("hold-out", parts.selection) if parts.selection else ("train", parts.train)
        chosen = torch.from_numpy(balanced(images.labels.numpy(), classes, probe.IMAGES))
        return cls(part, images.at(chosen), probe.probe(s.attack for s in settings.subsets), classes)

    def look(self, network: nn.Module, work: Work) -> dict[str, Any]:
        """`{"probe": {part, n, clean, robust}}`; nothing for a training that attacks nothing."""
        if self.attack is None:
            return {}
        rows = measure(
            network, self.images, self.attack, classes=self.classes, device=work.device, scratch=work.scratch / "probe"
        )
        return {"probe": {"part": self.part, "n": len(self.images), "clean": rows.clean, "robust": rows.accuracy}}
