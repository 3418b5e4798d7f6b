"""Estimate what the steps of a plan take of the machine: threads, memory and time.

The threads are those of `backend.threads`. Memory and time are rough: they decide how many steps run at once, and
whether several processes are worth starting, and change no number.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch

from satdsl import machine
from satdsl.backend.threads import NetworkCost, batch_of, network_cost, paying
from satdsl.catalog import catalog
from satdsl.catalog.datasets import DatasetEntry, facts
from satdsl.ir.plan import Passes, Plan
from satdsl.ir.steps import Data, Key, Step, Train
from satdsl.ir.work import Load, Room

PROCESS = 600 * 10**6
"""Bytes of a process with torch and what attacks need, before it has images or a network."""

NUMBER = 4
"""Bytes of a number in single precision."""

KEPT = 2
"""How often a batch keeps what its layers give: for the pass, its gradient, and what a library takes for its work."""

RATE = 50e9
"""Multiply-adds a second of one core; a GPU is taken for as much as `GPU` cores."""

GPU = 200

EACH = 1e-5
"""Seconds that a pass of an image takes besides, in small networks most of its time."""

PASS = 3
"""A pass with its gradient takes so many times the multiply-adds of a pass."""

STEP = 0.2
"""Seconds of a step that computes nothing."""

UNKNOWN = (3, 224, 224), 50_000
"""The images that are assumed of a data set that only its files tell about: what their shape is, and how many."""


def loads(plan: Plan, keys: Collection[Key], device: str) -> dict[Key, Load]:
    """Return what some steps of a plan take on a device of this machine, as far as the plan tells.

    A network of the user's own is not built for it: it is taken to use all cores.
    """
    cores = min(machine.cores(), machine.thread_limit() or machine.cores())
    return {key: _load(plan, key, cores, device) for key in keys}


def room_on(device: str, jobs: int | None) -> Room:
    """Return what this machine has for steps on a device, `jobs` of them at most.

    On a CPU a step takes as many cores as it has threads, on GPUs one of them. Whoever gives a number of jobs may know
    better what a step takes of the memory, and may let steps share a GPU.
    """
    memory = machine.available_memory() if jobs is None else None
    if device.startswith("cpu"):
        return Room(machine.cores(), memory, jobs)
    if jobs is not None:
        return Room(None, memory, jobs)
    gpus = torch.cuda.device_count() if device == "cuda" else 1
    return Room(None, memory, gpus, "one on each GPU" if gpus > 1 else "there is one GPU")


def _load(plan: Plan, key: Key, cores: int, device: str) -> Load:
    step, passes = plan.steps[key], plan.passes.get(key, Passes())
    (shape, images), training = _images(plan, step), _training(plan, step)
    stored = images * math.prod(shape)
    if training is None or step.blocks:  # blocks are only put together
        return Load(1, PROCESS + stored, STEP)
    gpu = not device.startswith("cpu")
    cost = None if training.model.plugin else network_cost(training.model, shape, 10)
    if cost is None:
        return Load(cores, PROCESS + stored, math.inf)
    threads = 1 if gpu else paying(cost.multiply_adds, batch_of(step), cores)
    rate = RATE * (GPU if gpu else threads)
    seconds = STEP + passes.cost * (EACH + PASS * cost.multiply_adds / rate)
    return Load(threads, PROCESS + stored + _of_batches(step, cost), seconds)


def _of_batches(step: Step, cost: NetworkCost) -> int:
    return (KEPT * batch_of(step) * cost.outputs + 6 * cost.parameters) * NUMBER


def _training(plan: Plan, step: Step) -> Train | None:
    """Return the training whose network a step computes with; None for one that computes with none."""
    if isinstance(step.settings, Train):
        return step.settings
    weights = dict(step.inputs).get("weights")
    return None if weights is None else _training(plan, plan.steps[weights])


def _images(plan: Plan, step: Step) -> tuple[tuple[int, ...], int]:
    """Return the shape of a step's images, and how many its data set has."""
    inputs = dict(step.inputs)
    if isinstance(step.settings, Data):
        parts = [_images(plan, plan.steps[key]) for key in inputs.values()]
        if parts:
            return parts[0][0], sum(count for _, count in parts)
        return _of_source(step.settings)
    return _images(plan, plan.steps[inputs["data"]]) if "data" in inputs else UNKNOWN


def _of_source(settings: Data) -> tuple[tuple[int, ...], int]:
    source, (shape, train), val = settings.source, UNKNOWN, 0
    entry = None if source.plugin else catalog().find("dataset", source.name)
    if isinstance(entry, DatasetEntry) and entry.facts is not None:
        whole = facts(entry, source.get("protocol"))
        shape, train, val = whole.shape, whole.train, whole.val
    elif source.plugin is None and source.get("shape"):
        shape, train, val = tuple(source["shape"]), _total(source["train"]), _total(source["val"])
    if source.plugin is None and source.get("resize"):
        shape = (shape[0], source["resize"], source["resize"])
    most = [_total(source.get(limit)) if source.plugin is None else 0 for limit in ("limit", "limit_val")]
    return shape, sum(min(count, limit or count) for count, limit in zip((train, val), most, strict=True))


def _total(count: int | tuple[int, ...] | None) -> int:
    """Return how many images there are, given in all or class by class; 0 where nothing is given."""
    return sum(count) if isinstance(count, tuple) else count or 0
