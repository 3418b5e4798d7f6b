"""Make independent streams of random numbers from seeds, and leave the global stream alone."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch

from satdsl.ir.draws import GOLDEN, MASK, mix


class Stream(IntEnum):
    """The purpose of a stream of random numbers."""

    INITIAL_WEIGHTS = 1
    ORDER = 2
    AUGMENTATION = 3
    ATTACK = 4
    EVALUATION = 5
    SYNTHETIC = 6
    PLUGIN = 7
    ATTACK_CHOICE = 8
    MIXING = 10
    SHARED_BATCHES = 11
    LAYERS = 20


def generator(seed: int, stream: Stream, part: int = 0, device: str | torch.device = "cpu") -> torch.Generator:
    """Return the generator of one `part` (an epoch, a batch) of one stream of a step.

    A part's numbers depend on nothing that was drawn before, so a resumed step draws what an uninterrupted one does.
    """
    state = 0
    for number in (seed, stream, part):
        state = mix((state + (number & MASK) + GOLDEN) & MASK)
    return torch.Generator(device).manual_seed(state >> 1)


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Let layers that are built inside draw their weights from `seed`; restore the global random state afterwards."""
    drawn = generator(seed, Stream.INITIAL_WEIGHTS)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(drawn.get_state())
        yield


@contextmanager
def layer_randomness(seed: int, epoch: int, device: str) -> Iterator[None]:
    """Let layers in training mode (dropout, stochastic depth) draw the numbers of this epoch.

    They draw from the global random state of their device, which is restored afterwards.
    """
    gpus = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=gpus), _moment(_Moment(seed, epoch)):
        torch.set_rng_state(generator(seed, Stream.LAYERS, epoch).get_state())
        for gpu in gpus:
            torch.cuda.set_rng_state(generator(seed, Stream.LAYERS, epoch, gpu).get_state(), gpu)
        yield


@dataclass
class _Moment:
    """An epoch of a training, and how many calls of plug-ins there were in it."""

    seed: int
    epoch: int
    calls: int = 0


_moments: list[_Moment] = []


@contextmanager
def _moment(moment: _Moment) -> Iterator[None]:
    _moments.append(moment)
    try:
        yield
    finally:
        _moments.remove(moment)


def seed_of_call() -> int:
    """Return the seed of the next call of a plug-in that no generator is handed to; outside of trainings, 0.

    The calls of an epoch are counted from its beginning, so a resumed training gives each the same seed.
    """
    if not _moments:
        return 0
    now = _moments[-1]
    now.calls += 1
    return generator(now.seed, Stream.PLUGIN, now.epoch << 32 | now.calls).initial_seed()


@contextmanager
def global_state_preserved() -> Iterator[None]:
    """Restore the random states of torch, NumPy and Python, and `sys.settrace`, afterwards."""
    trace = sys.gettrace()
    python, numpy = random.getstate(), np.random.get_state()
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        sys.settrace(trace)


@contextmanager
def seeded_globally(drawn: torch.Generator | None) -> Iterator[int]:
    """Let published code that draws from the global random state draw from a seed of `drawn`, which is given.

    The global states are restored afterwards. Without a generator the seed is 0.
    """
    seed = 0 if drawn is None else int(torch.randint(2**31, (1,), generator=drawn, device=drawn.device))
    with global_state_preserved():
        torch.manual_seed(seed)
        yield seed
