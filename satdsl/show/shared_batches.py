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
    found: dict[tuple[str, tuple[Row, ...]], None] = {}
    for name, points in plan.named.items():
        for _, key in points:
            settings = plan.steps[key].settings if key in plan.steps else None
            if isinstance(settings, Train) and any(one.share is not None for one in settings.subsets):
                found[_of_training(plan, name, key, settings)] = None
    columns = [Column("subset"), *numeric("each batch", "an epoch", "passes")]
    return [Table(columns, rows, title) for title, rows in list(found)[:MOST]]


def _of_training(plan: Plan, name: str, key: Key, settings: Train) -> tuple[str, tuple[Row, ...]]:
    split = next(facts for facts in plan.splits if facts.key == dict(plan.steps[key].inputs)["split"])
    subsets = [split.subsets[i] for i in split.order]
    sizes, batch = [subset.size for subset in subsets], settings.recipe["batch"]
    images = settings.epoch_images or split.images
    of_epoch = batches.of_epoch([one.share for one in settings.subsets], sizes, images, batch)
    counted = len(batches.lengths(images, batch))
    rows = [_row(subset, count) for subset, count in zip(subsets, of_epoch, strict=True)]
    in_file = sorted(range(len(rows)), key=lambda place: split.order[place])
    title = f"{name}: an epoch of {images:,} images, {counted:,} batch{'es' * (counted > 1)}"
    return title, tuple(rows[place] for place in in_file)


def _row(subset: SubsetSummary, images: int | None) -> Row:
    return tuple(_cells(subset, images))


def _cells(subset: SubsetSummary, images: int | None) -> Iterator[Value | str]:
    later = f"known {subset.known}"
    yield subset.name
    yield later if subset.share is None else Value(f"{100 * subset.share:.4g}%", subset.share)
    yield later if images is None else Value(f"{images:,}", images)
    yield later if images is None or not subset.size else Value(f"{images / subset.size:.3g}", images / subset.size)
