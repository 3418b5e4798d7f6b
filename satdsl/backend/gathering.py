"""Put the blocks of an evaluation together into the artifact that it has when it is measured in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from satdsl.artifacts.schemas import ROWS
from satdsl.backend.artifact_files import (
    Array,
    read_arrays,
    read_json,
    read_table,
    write_arrays,
    write_json,
    write_table,
)
from satdsl.backend.evaluation_warnings import Counts, added, reliability
from satdsl.ir.work import Progress, Work

EXAMPLES = "examples.npz"
COUNTS = "counts"
"""What the facts of a block have besides: what was noticed, from which the warnings about all images are made."""


def gather(blocks: Sequence[Path], work: Work) -> None:
    """Write `rows.parquet`, `facts.json` and `examples.npz` of all images, from the artifacts of all blocks."""
    facts = [read_json(block / "facts.json") for block in blocks]
    tables = [read_table(block, ROWS) for block in blocks]
    rows = _together(tables)
    attacks = tuple(facts[0]["attacks"])
    write_table(work.out, ROWS, rows, attacks=list(attacks))
    kept = [read_arrays(block / EXAMPLES) for block in blocks if (block / EXAMPLES).exists()]
    if kept:
        write_arrays(work.out / EXAMPLES, _together(kept))
    counts = added([Counts(**one[COUNTS]) for one in facts])
    classes = read_json(work.inputs["data"] / "facts.json")["classes"]
    found = reliability(
        counts,
        rows["label"],
        rows["broken_by"],
        attacks,
        classes,
        rows.get("distance"),
        elsewhere="source" in work.inputs,
    )
    accuracy, n = float(rows["correct"].mean()), len(rows["correct"])
    clean = float((rows["broken_by"] != 0).mean())
    about = {"attacks": list(attacks), "clean": clean, "accuracy": accuracy, "n": n}
    write_json(work.out / "facts.json", about | found)
    work.report(Progress(1, 1, f"{accuracy:.1%} of {n} images"))


def _together(parts: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Return the columns that all tables have, or arrays of images, one below the other, by ascending index."""
    order = np.argsort(np.concatenate([part["index"] for part in parts]), kind="stable")
    return {
        name: np.concatenate([part[name] for part in parts])[order]
        for name in parts[0]
        if all(name in part for part in parts)
    }
