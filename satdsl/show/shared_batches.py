"""Show what an epoch has of each subset where subsets have shares of every batch."""

from __future__ import annotations

from collections.abc import Iterator

from satdsl.ir import batches
from satdsl.ir.plan import Plan, SubsetSummary
from satdsl.ir.steps import Key, Train
from satdsl.show.table import Column, Row, Table, Value, numeric

MOST = 6
"""Different epochs that are shown; the document has the shares of all splits."""


def shared_batches(plan: Plan) -> list[Table]:
    """Return a table for each different epoch of trainings with shares: images of each subset, and passes over it."""
    found: dict[tuple[str, tuple[Row, ...]], list[str]] = {}
    for points in plan.named.values():
        for _, key in points:
            settings = plan.steps[key].settings if key in plan.steps else None
            if isinstance(settings, Train) and any(one.share is not None for one in settings.subsets):
                label = plan.labels[key].removeprefix("train ")
                found.setdefault(_of_training(plan, key, settings), []).append(label)
    columns = [Column("subset"), *numeric("each batch", "an epoch", "passes")]
    return [Table(columns, rows, f"{_named(labels)}: {epoch}") for (epoch, rows), labels in list(found.items())[:MOST]]


def _named(labels: list[str]) -> str:
    """Return the first of some trainings, and how many more there are."""
    first, *more = dict.fromkeys(labels)
    return first + (f" and {len(more)} more" if more else "")


def _of_training(plan: Plan, key: Key, settings: Train) -> tuple[str, tuple[Row, ...]]:
    """Return what an epoch of a training is, and a row for each subset.

    The shares are those of the training: splits that differ in shares alone are one step.
    """
    split = next(facts for facts in plan.splits if facts.key == dict(plan.steps[key].inputs)["split"])
    subsets, shares = [split.subsets[i] for i in split.order], [one.share for one in settings.subsets]
    sizes, batch = [subset.size for subset in subsets], settings.recipe["batch"]
    images = settings.epoch_images or split.images
    of_batch, of_epoch = batches.known_fractions(shares, sizes), batches.of_epoch(shares, sizes, images, batch)
    counted = len(batches.lengths(images, batch))
    rows = [tuple(_cells(*row)) for row in zip(subsets, of_batch, of_epoch, strict=True)]
    in_file = sorted(range(len(rows)), key=lambda place: split.order[place])
    title = f"an epoch of {images:,} images, {counted:,} batch{'es' * (counted > 1)}"
    return title, tuple(rows[place] for place in in_file)


def _cells(subset: SubsetSummary, share: float | None, images: int | None) -> Iterator[Value | str]:
    later = f"known {subset.known}"
    yield subset.name
    yield later if share is None else Value(f"{100 * share:.4g}%", share)
    yield later if images is None else Value(f"{images:,}", images)
    yield later if images is None or not subset.size else Value(f"{images / subset.size:.3g}", images / subset.size)
