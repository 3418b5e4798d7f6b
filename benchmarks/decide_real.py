"""Run a specification with `--decide`, then all of it: the images that were attacked, the seconds, and the verdicts.

    python benchmarks/decide_real.py examples/cifar10-small.sat

A store that has been worked on goes on from there. With `--decide-only` the second run is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timing
from timing import RESULTS

from satdsl.compile import compile_file
from satdsl.engine.open_store import open_store
from satdsl.engine.store import Store
from satdsl.ir.claim_needs import steps_of_claims
from satdsl.ir.part_of_plan import closure
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key


def satdsl(command: str, options: argparse.Namespace, *more: str) -> str:
    """Return what a command prints; its progress goes to standard error."""
    given = [sys.executable, "-m", "satdsl", command, options.spec, "--store", options.store, *more]
    return subprocess.run(given, check=True, stdout=subprocess.PIPE, text=True).stdout


def claimed_blocks(plan: Plan) -> list[Key]:
    """Return the blocks of all evaluations that the claims rest on."""
    needed = closure(plan, steps_of_claims(plan))
    return [block for key, step in plan.shown.items() if key in needed for block in step.blocks]


def spent(blocks: list[Key], store: Store) -> tuple[int, float]:
    """Return how many of the blocks are measured, and the seconds that these took."""
    store.refresh()
    stored = [key for key in blocks if store.has(key)]
    return len(stored), sum(store.manifest(key).seconds for key in stored)


def verdicts(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the claims with the verdicts on them, as stored results give them."""
    found: list[dict[str, Any]] = json.loads(satdsl("results", options, "--format", "json"))["claims"]
    return found


def page(options: argparse.Namespace) -> Iterator[str]:
    """Run, and give the lines of the page."""
    plan, store = compile_file(Path(options.spec)).plan, open_store(options.store)
    blocks = claimed_blocks(plan)
    satdsl("run", options, "--decide", "--data", options.data)
    early, (few, seconds) = verdicts(options), spent(blocks, store)
    whole = None
    if not options.decide_only:
        satdsl("run", options, "--data", options.data)
        whole = verdicts(options)
    yield f"# `run --decide` on {Path(options.spec).name}"
    yield ""
    yield from timing.paragraph(
        f"Written by `benchmarks/decide_real.py`. The claims rest on {len(blocks):,} blocks of images under "
        f"AutoAttack; `--decide` measured {few:,} of them, in {seconds:,.0f} seconds of attacks."
    )
    if whole is not None:
        every, longer = spent(blocks, store)
        yield ""
        yield f"All {every:,} took {longer:,.0f} seconds: **{len(blocks) / few:.1f} times fewer images** were attacked."
    yield ""
    rows = []
    for k, claim in enumerate(early):
        on = claim["decided_on"]
        images = f"{on['n']:,} of {on['of']:,}" if on else "all"
        last = whole[k] if whole is not None else None
        differences = [
            "" if one["difference"] is None else f"{100 * one['difference']:+.1f}"
            for one in (last or claim)["comparisons"]
        ]
        rows.append(
            (claim["claim"], claim["verdict"], images, last["verdict"] if last else "", ", ".join(differences[:3]))
        )
    heads = ("claim", "early verdict", "on images", "verdict of all", "difference (points)")
    yield from timing.table(heads, rows)
    yield ""


def main() -> None:
    """Run, print, and write the result page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="?", default="examples/cifar10-small.sat")
    parser.add_argument("--store", default=".satdsl-decide")
    parser.add_argument("--data", default="data")
    parser.add_argument("--decide-only", action="store_true")
    parser.add_argument("--output", type=Path, default=RESULTS / "decide_real.md")
    options = parser.parse_args()
    load = timing.load_average()
    timing.publish(options.output, [*page(options), *timing.machine("cpu", (), load)])


if __name__ == "__main__":
    main()
