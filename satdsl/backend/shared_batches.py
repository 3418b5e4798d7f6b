"""Draw the images of an epoch whose batches subsets have shares of: `share real = 30%`.

Each subset goes round on its own. A pass shows each of its images once, in an order drawn for that pass; the next pass
begins where that one ends, in the middle of an epoch or of a batch. So no image is seen twice before all of its subset
are, how ever scarce the subset is. The released code of Carmon et al. (2019) passes so over the real images, but begins
anew in each epoch and draws the generated ones with replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.randomness import Stream, generator
from satdsl.ir import batches


@dataclass(frozen=True)
class SharedEpoch:
    """What an epoch with shares depends on beside its number, which is counted from 0.

    It has so many `images` (None: as many as there are). `since` is the first epoch whose subsets have the same images:
    passes begin there. All epochs since then are alike in how many images they have of each subset, so an epoch is
    drawn without those before it, as a training needs that goes on after it was killed.
    """

    images: int | None = None
    since: int = 0


ALL_IMAGES = SharedEpoch()


def shared_order(
    subsets: np.ndarray, shares: Sequence[float | None], batch: int, seed: int, number: int, epoch: SharedEpoch
) -> Tensor:
    """Return the places of an epoch's images among those of `subsets`, the subset of each; int64 [images].

    Within a batch the images of all subsets are shuffled.
    """
    members = [np.flatnonzero(subsets == s) for s in range(len(shares))]
    lengths = batches.lengths(epoch.images or len(subsets), batch)
    counts = batches.counts(batches.fractions(shares, [len(places) for places in members]), lengths)
    owners = np.concatenate([np.repeat(np.arange(len(shares)), of_batch) for of_batch in counts])
    drawn = torch.rand(len(owners), generator=generator(seed, Stream.ORDER, number), dtype=torch.float64).numpy()
    owners = owners[np.lexsort((drawn, np.repeat(np.arange(len(lengths)), lengths)))]
    order = np.empty(len(owners), dtype=np.int64)
    for s, places in enumerate(members):
        slots = np.flatnonzero(owners == s)
        done = (number - epoch.since) * len(slots)
        order[slots] = places[_passes(len(places), done, len(slots), seed, epoch.since, s)]
    return torch.from_numpy(order)


def _passes(n: int, done: int, wanted: int, seed: int, since: int, subset: int) -> np.ndarray:
    """Return the next `wanted` of endless passes over 0 .. n-1, of which `done` numbers are over; int64 [wanted]."""
    if not wanted:
        return np.empty(0, dtype=np.int64)
    first, last = done // n, (done + wanted - 1) // n
    drawn = [
        torch.randperm(n, generator=generator(seed, Stream.SHARED_BATCHES, (since << 20 | subset) << 32 | number))
        for number in range(first, last + 1)
    ]
    return torch.cat(drawn).numpy()[done - first * n :][:wanted]
