"""A language that grows leaves every specification's plan as it was: the same steps, with the same keys."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from satdsl.compile import compile_file

ROOT = Path(__file__).parents[2]
PLANS = Path(__file__).parent / "plans.txt"


def summary(path: Path) -> str:
    """The number of steps of a specification, and a digest of their keys and of which results are read from them."""
    plan = compile_file(path).plan
    results = [repr((result.name, result.point, result.measure.steps)) for result in plan.results]
    text = "\n".join([*sorted(plan.steps), *results])
    return f"{path.relative_to(ROOT)}: {len(plan.steps)} steps, {hashlib.sha256(text.encode()).hexdigest()[:20]}"


def test_the_plans_of_all_specifications_stay_the_same(golden: Any) -> None:
    """A changed line asks for a reason: whoever has stored the steps of this specification has to run them again."""
    files = sorted([*(ROOT / "specs").glob("*.sat"), *(ROOT / "examples").glob("*.sat")])
    golden(PLANS, "\n".join(map(summary, files)) + "\n")
