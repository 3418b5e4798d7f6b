"""Decide how many threads a step computes with: by its network, its batches and the cores, never by what else runs.

Threads share each layer's work and wait for each other after it. For a small network the waiting takes longer than the
work, so that one thread is the fastest; for a large one as many as there are cores. A sum that several threads share
is rounded otherwise than that of one, so the number belongs to what a result depends on, as the processor does.
`benchmarks/threads.py` measures what the rule rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from satdsl import machine
from satdsl.backend import models, weights
from satdsl.backend.artifact_files import read_json
from satdsl.backend.images import EVALUATION_BATCH
from satdsl.backend.inference import counting, in_evaluation_mode
from satdsl.backend.plugins.guard import contained
from satdsl.backend.plugins.output import diverted
from satdsl.backend.randomness import initial_weights
from satdsl.ir.steps import CatalogCall, Head, Step, Train
from satdsl.ir.work import Computation, Work

SHARE = 2 * 10**9
"""Multiply-adds of a batch that a further thread has to find. A pass with its gradient takes three times as many: a
tenth of a second of one core or so, in which threads wait for each other some hundred times."""

LINEAR = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
"""The layers that take nearly all of a network's time."""


def paying(multiply_adds: int, batch: int, cores: int) -> int:
    """Return how many threads pay for batches of images that take so many multiply-adds each."""
    return max(1, min(cores, multiply_adds * batch // SHARE))


@dataclass(frozen=True)
class NetworkCost:
    """What an image costs a network: multiply-adds of a pass, numbers that its layers give, and its own parameters."""

    multiply_adds: int
    outputs: int
    parameters: int


@contextmanager
def computing(step: Step, work: Work) -> Iterator[Computation]:
    """Compute with the threads that pay for a step; afterwards with as many as before.

    Several processes that train together have a share of the cores and of every batch each.
    """
    before, found = torch.get_num_threads(), computation(step, work)
    torch.set_num_threads(found.threads)
    try:
        yield found
    finally:
        torch.set_num_threads(before)


def computation(step: Step, work: Work) -> Computation:
    """Return with how many threads a step is computed here, and on which processor."""
    limit, cores = machine.thread_limit(), machine.cores()
    if work.cores is not None:
        cores = min(cores, work.cores)
    if limit is None or limit >= cores:
        limit = None
    most = limit or cores
    if work.device.startswith("cpu"):
        threads = _on_cpu(step, work, min(most, cores // work.devices))
    else:
        threads = max(1, min(most, cores // max(1, torch.cuda.device_count())))
    return Computation(threads, limit, f"{machine.processor()}, {torch.backends.cpu.get_cpu_capability()}")


def _on_cpu(step: Step, work: Work, cores: int) -> int:
    """Return how many of these cores pay for a process that has its share of each batch."""
    found = _network(step, work) if cores > 1 else None
    if found is None:
        return 1
    model, shape, classes = found
    cost = network_cost(model, shape, classes)
    return 1 if cost is None else paying(cost.multiply_adds, batch_of(step) // work.devices, cores)


def batch_of(step: Step) -> int:
    """Return how many images most passes of a step have."""
    settings = step.settings
    return int(settings.recipe["batch"]) if isinstance(settings, Train | Head) else EVALUATION_BATCH


def _network(step: Step, work: Work) -> tuple[CatalogCall, tuple[int, ...], int] | None:
    """Return the network that a step computes with, the shape of its images, and how many classes it tells apart."""
    if isinstance(step.settings, Train):
        facts = read_json(Path(work.inputs["data"]) / "facts.json")
        return step.settings.model, tuple(facts["shape"]), len(facts["classes"])
    if "weights" in work.inputs:
        description = weights.describe(work.inputs["weights"])
        channels = len(description.mean)
        return description.model, (channels, *description.shape[1:]), description.body_classes
    return None


@lru_cache(maxsize=64)
def network_cost(model: CatalogCall, shape: Sequence[int], classes: int) -> NetworkCost | None:
    """Return what an image costs a network, which is built for that.

    None for one that cannot be built, which the step itself says in its own words.
    """
    known = (0.0,) * shape[0], (1.0,) * shape[0]
    try:
        with initial_weights(0), _unheard() if model.plugin else nullcontext():
            return _cost(models.build(model, shape, classes, *known), torch.zeros(1, *shape))
    except Exception:  # of a library or a plug-in: anything
        return None


def _unheard() -> AbstractContextManager[object]:
    """Let nothing be seen of what a plug-in prints, and nothing stay of what it changes."""
    stack, nowhere = ExitStack(), Path()
    stack.enter_context(diverted(Work(inputs={}, out=nowhere, scratch=nowhere, data_root=nowhere)))
    stack.enter_context(contained(0))
    return stack


def _cost(network: nn.Module, image: Tensor) -> NetworkCost:
    """Put an image through a network, and count. (torch's own counter takes a second to load.)"""
    outputs, multiply_adds = [image.numel()], [0]
    taps = [module.register_forward_hook(counting(outputs)) for module in network.modules()]
    taps += [
        one.register_forward_hook(_multiplying(multiply_adds)) for one in network.modules() if isinstance(one, LINEAR)
    ]
    try:
        with in_evaluation_mode(network), torch.inference_mode():
            network(image)
    finally:
        for tap in taps:
            tap.remove()
    return NetworkCost(sum(multiply_adds), sum(outputs), sum(p.numel() for p in network.parameters()))


def _multiplying(found: list[int]) -> Callable[..., None]:
    """Return a hook that adds the multiply-adds of a linear layer to a list: each output sums over a row of weights."""

    def count(module: Any, args: object, output: Tensor) -> None:
        found.append(output.numel() * module.weight[0].numel())

    return count
