"""Draw an epoch in advance: its order, its augmentations, and what is attacked in each batch.

All of it is drawn and looked up on the CPU before the first batch and sent to the device at once, so that
nothing in the epoch waits for an answer from the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.augmentations import AugmentationDraw, apply_augmentations, draw_augmentations
from satdsl.backend.distributed import SINGLE_PROCESS, ProcessGroup
from satdsl.backend.images import Images, unit_scale
from satdsl.backend.loss_formulas import FormulaLoss
from satdsl.backend.losses import SubsetMethod, subset_method
from satdsl.backend.mixing import Mixing, draw_mixing, mixes
from satdsl.backend.randomness import Stream, generator
from satdsl.backend.shared_batches import ALL_IMAGES, SharedEpoch, shared_order
from satdsl.backend.subset_assignment import SubsetAssignment
from satdsl.ir.batches import ends
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import CatalogCall, ScaledAttacks


@dataclass(frozen=True, eq=False)
class SubsetPlaces:
    """How some subsets are trained and, for each batch, the places in it of their images."""

    method: SubsetMethod
    subsets: tuple[int, ...]
    rows: tuple[Tensor, ...]
    drawn: tuple[int, ...] = ()
    """Where an attack is drawn for each batch: which."""
    scales: tuple[Tensor, ...] = ()
    """Where each image has a radius of its own: by which number its attack's is multiplied, batch by batch."""

    def of_batch(self, number: int) -> SubsetMethod:
        method = self.method.only(self.drawn[number]) if self.drawn else self.method
        return replace(method, scale=self.scales[number]) if self.scales else method


@dataclass(frozen=True, eq=False)
class Epoch:
    """An epoch of n training images: one pass over all, or as many as batches have that subsets share.

    `order` int64 [n] are positions in `images`, `order_on_host` the same on the CPU; `loss_weights` float32 [n]
    and `changes` follow that order, as do `subsets` (int64 [n], kept on the CPU). `batches` are this rank's parts
    of `whole` ones.
    """

    images: Images
    order: Tensor
    order_on_host: Tensor
    whole: tuple[slice, ...]
    batches: tuple[slice, ...]
    changes: Sequence[AugmentationDraw]
    loss_weights: Tensor
    subsets: np.ndarray
    methods: tuple[SubsetPlaces, ...]
    """Of the subsets that are attacked, or trained with another loss than the cross-entropy."""
    subset_count: int
    """Of all subsets, also of those that are not trained on."""
    mixing: Mixing | None = None

    def inputs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give each batch's augmented images, float32 in [0, 1], and its labels, in the order of `batches`.

        Of images that are mixed the labels are distributions, float32 [n, classes].
        """
        order = self.order if self.images.resident else self.order_on_host
        found = self.images.read([order[batch] for batch in self.batches], self.order.device)
        for i, (batch, pixels) in enumerate(zip(self.batches, found, strict=True)):
            x, y = unit_scale(apply_augmentations(pixels, self.changes, batch)), self.images.labels[self.order[batch]]
            yield (x, y) if self.mixing is None else self.mixing.mixed(i, x, y)

    def places(self, number: int) -> Iterator[tuple[SubsetMethod, Tensor]]:
        """Yield (how subsets are trained, the places of their images) for batch `number`, where there are any."""
        for subsets in self.methods:
            if len(subsets.rows[number]):
                yield subsets.of_batch(number), subsets.rows[number]

    def formula_of(self, subset: int) -> LossFormula | None:
        """Return the formula that a subset is trained with, where it has one."""
        losses = (of.method.loss for of in self.methods if subset in of.subsets)
        return next((loss.formula for loss in losses if isinstance(loss, FormulaLoss)), None)

    @property
    def attacked_images(self) -> int:
        return int(np.isin(self.subsets, self.attacked_subsets).sum())

    @property
    def attacked_subsets(self) -> tuple[int, ...]:
        return tuple(subset for of in self.methods if of.method.attacked for subset in of.subsets)


def epoch(
    images: Images,
    index: np.ndarray,
    assignment: SubsetAssignment,
    augment: Sequence[CatalogCall],
    batch: int,
    seed: int,
    number: int,
    group: ProcessGroup = SINGLE_PROCESS,
    label_smoothing: float = 0.0,
    *,
    classes: int,
    shared: SharedEpoch = ALL_IMAGES,
) -> Epoch:
    """Draw epoch `number` (from 0). `images` are on the device; `index` is their dataset index, on the CPU.

    `label_smoothing` is that of the recipe, for losses that are formulas.
    """
    device = images.labels.device
    order = _order(index, assignment, batch, seed, number, shared)
    n = len(order)
    shuffled = index[order.numpy()]
    subsets = assignment.subset_of[shuffled]
    whole = cut(n, batch)
    batches = tuple(group.local_part(one) for one in whole)
    random = generator(seed, Stream.AUGMENTATION, number)
    shape = images.pixels.shape[1:]
    changes = draw_augmentations([change for change in augment if not mixes(change)], n, shape, random)

    def _mixing(change: CatalogCall) -> Mixing:
        drawn = generator(seed, Stream.MIXING, number)
        return draw_mixing(change, batches, subsets, shape, drawn, classes, device)

    methods, trainings = [], [(now.attack, now.loss) for now in (one.at(number + 1) for one in assignment.trainings)]
    draws = generator(seed, Stream.ATTACK_CHOICE, number)
    for choice, loss in dict.fromkeys(trainings):
        method = subset_method(choice, loss, label_smoothing)
        drawn = torch.randint(len(method.attacks), (len(whole),), generator=draws).tolist() if method.drawn else ()
        if method.attacked or method.loss is not None:
            trained_so = tuple(s for s, training in enumerate(trainings) if training == (choice, loss))
            rows = [np.flatnonzero(np.isin(subsets[b], trained_so)) for b in batches]
            counts = [len(r) for r in rows]
            sent = torch.from_numpy(np.concatenate(rows)).to(device, non_blocking=True)
            scales: tuple[Tensor, ...] = ()
            if isinstance(choice, ScaledAttacks):
                of_images = assignment.scale_of[choice][shuffled]
                found = np.concatenate([of_images[b][r] for b, r in zip(batches, rows, strict=True)])
                scales = torch.split(torch.from_numpy(found).to(device, non_blocking=True), counts)
            methods.append(SubsetPlaces(method, trained_so, torch.split(sent, counts), tuple(drawn), scales))
    return Epoch(
        images,
        order.to(device, non_blocking=True),
        order,
        whole,
        batches,
        [change.to(str(device)) for change in changes],
        torch.from_numpy(assignment.weight_of[shuffled]).to(device, non_blocking=True),
        subsets,
        tuple(methods),
        len(trainings),
        mixing=next((_mixing(change) for change in augment if mixes(change)), None),
    )


def _order(
    index: np.ndarray, assignment: SubsetAssignment, batch: int, seed: int, number: int, shared: SharedEpoch
) -> Tensor:
    """Return the positions in `index` of an epoch's images, in their order: all, or as the shares of subsets say."""
    if not assignment.shared:
        return torch.randperm(len(index), generator=generator(seed, Stream.ORDER, number))
    shares = [training.share for training in assignment.trainings]
    return shared_order(assignment.subset_of[index], shares, batch, seed, number, shared)


def cut(n: int, batch: int) -> tuple[slice, ...]:
    """Cut 0 .. n into batches. The last can be smaller; a single image, without a variance, joins the one before."""
    found = ends(n, batch)
    return tuple(slice(start, end) for start, end in zip([0, *found], found, strict=False))
