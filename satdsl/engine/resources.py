"""What a step takes of a machine while it runs: cores, and GPUs where it computes on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from satdsl.engine.execute import Place
from satdsl.ir.steps import Step

_ON_CPU = frozenset({"data", "split"})
"""The kinds of steps that compute nothing on a device."""


@dataclass(frozen=True)
class Resources:
    """`cpus` for every step; `gpus` for a training (of several devices it uses all), one for what else computes."""

    cpus: int = 1
    gpus: int = 0

    def of(self, step: Step) -> Resources:
        """What this step takes."""
        if step.kind in _ON_CPU:
            return replace(self, gpus=0)
        return self if step.kind == "train" else replace(self, gpus=min(self.gpus, 1))


def placed(place: Place, taken: Resources) -> Place:
    """The place for a step that takes this much: one that takes no GPU computes on the CPU."""
    device = "cpu" if place.device.startswith("cuda") and not taken.gpus else place.device
    return replace(place, device=device, devices=max(taken.gpus, 1))
