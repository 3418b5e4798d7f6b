"""Decide what a step takes of a machine while it runs: cores, and GPUs where it computes on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from satdsl.engine.execute import ExecutionContext
from satdsl.ir.steps import Step

_ON_CPU = frozenset({"data", "split"})
"""The kinds of steps that compute nothing on a device."""


@dataclass(frozen=True)
class Resources:
    """`cpus` for every step; `gpus` for a training (it uses all of several), one for other steps that compute."""

    cpus: int = 1
    gpus: int = 0

    def needed_by(self, step: Step) -> Resources:
        """Return what this step takes."""
        if step.kind in _ON_CPU or step.blocks:  # blocks are only put together
            return replace(self, gpus=0)
        return self if step.kind == "train" else replace(self, gpus=min(self.gpus, 1))

    def in_context(self, context: ExecutionContext) -> ExecutionContext:
        """Return the context of a step that takes these resources: without a GPU it computes on the CPU."""
        device = "cpu" if context.device.startswith("cuda") and not self.gpus else context.device
        return replace(context, device=device, devices=max(self.gpus, 1), cores=self.cpus)


def on_cluster(context: ExecutionContext, cpus: int, gpus: int) -> tuple[ExecutionContext, Resources]:
    """Return with what, and with which resources at most, the steps of a run are executed on other machines."""
    device = ("cuda" if gpus else "cpu") if context.device == "auto" else context.device
    there = replace(context, device=device, data_root=context.data_root.absolute())
    return there, Resources(cpus, 0 if device == "cpu" else gpus)
