"""Take the passes of steps apart into pieces that take equally long for each image, for `satdsl.minutes` to time.

The pieces of a step have all of its passes together, so that `cost` stays the one place that counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from satdsl.catalog.attacks import AttackEntry
from satdsl.ir.experiment import Dataset
from satdsl.ir.plan import Passes, Piece, added
from satdsl.ir.steps import CatalogCall, Train
from satdsl.plan import cost


def network_piece(model: CatalogCall, data: Dataset) -> Piece | None:
    """Return a piece without passes, for images of a data set; None where their shape is not known yet."""
    if data.facts is None:
        return None
    return Piece("forward", model, data.facts.shape, len(data.facts.classes), cost.AT_ONCE, Passes(), data.train or 0)


def of_training(step: Train, data: Dataset, sizes: Sequence[int | None], passes: Passes) -> tuple[Piece, ...]:
    """Return the pieces of a training that costs so much: its epochs; and its snapshots, probes and selection."""
    found = network_piece(step.model, data)
    if found is None:
        return ()
    beside: list[Piece] = []
    epochs = step.recipe["epochs"]
    probes = cost.watching(step, images := cost.probed(data, step)).times(epochs)
    if probes != Passes():
        beside.append(replace(found, kind="attack", attack=cost.probes_of(step)[0], passes=probes))
        beside[-1] = replace(beside[-1], batch=min(cost.AT_ONCE, int(images.forward)))
    snapshots = cost.snapshots(step, data, sizes)
    beside += of_passes(found, snapshots, data.train or 0)
    if step.select is not None:
        candidates = len(step.select.epochs)
        for attack in step.select.attacks or (None,):
            chosen = evaluated(found, attack, data.selection, gradient=False)
            beside += [replace(piece, passes=piece.passes.times(candidates)) for piece in chosen]
    made = added([piece.passes for piece in beside])
    rest = Passes(
        max(0, passes.forward - made.forward),
        max(0, passes.forward_backward - made.forward_backward),
        passes.at_most,
        passes.unknown,
    )
    total, parts = cost.of_epoch(step, max(1, data.train or 0), sizes)
    shares = tuple((total if size is None else size) / total for size in parts)
    return replace(found, kind="train", batch=int(step.recipe["batch"]), passes=rest, shares=shares), *beside


def evaluated(
    found: Piece, attack: CatalogCall | None, images: int, of_block: int | None = None, *, gradient: bool = True
) -> tuple[Piece, ...]:
    """Return the pieces of measuring so many images: a look at all, and each attack on those that still stand.

    Blocks that differ by an image are measured alike: as the largest, which has `of_block`.
    """
    together = max(of_block or images, 1)
    one = replace(found, batch=min(cost.AT_ONCE, together), images=images)
    if attack is None or AttackEntry.of(attack).clean:
        return (replace(one, passes=Passes(images)),)
    entry = AttackEntry.of(attack)
    pieces = [replace(one, passes=Passes(1))]
    if gradient:
        pieces.append(replace(one, kind="gradient", passes=Passes(0, 1), standing=1))
    for place, part in enumerate(entry.parts(attack)):
        each = entry.of_part(attack, part, found.classes)
        size = int(attack.get("batch") or cost.AT_ONCE)
        more = replace(one, kind="attack", attack=attack, part=part if entry.ensemble else "", passes=each)
        pieces.append(replace(more, standing=place + 1, batch=min(size, together)))
    return tuple(replace(piece, passes=piece.passes.times(images)) for piece in pieces)


def of_passes(found: Piece, passes: Passes, images: int) -> tuple[Piece, ...]:
    """Return the pieces of passes without an attack: those forward only, and those with backward."""
    one = replace(found, batch=min(cost.AT_ONCE, max(images, 1)), images=images)
    pieces = [replace(one, passes=replace(passes, forward_backward=0))] if passes.forward else []
    if passes.forward_backward:
        pieces.append(replace(one, kind="gradient", passes=replace(passes, forward=0)))
    return tuple(pieces)
