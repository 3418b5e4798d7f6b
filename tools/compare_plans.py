"""Compare the plans that two checkouts make of the same specifications.

`python tools/compare_plans.py OLD NEW` runs `satdsl explain FILE --format json` in both, on every specification of
`specs/` and `examples/` in OLD. It prints every difference but those of keys and of satdsl's own version, and exits
with 1 where there is one. The keys of both are renamed to `step 1`, `step 2`, ... in the order in which the document
has them. `RENAMED` has the settings that are called otherwise in the newer checkout, with the same meaning.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RENAMED = {"given": "pretrained"}
"""Settings by their older names."""

MOST = 20
"""Differences of one specification that are printed."""


def main(old: Path, new: Path) -> int:
    specifications = sorted(
        path.relative_to(old) for folder in ("specs", "examples") for path in (old / folder).glob("**/*.sat")
    )
    different = 0
    for path in specifications:
        found = list(differences(plan(old, path), plan(new, path)))
        different += bool(found)
        print(f"{path}: {f'{len(found)} differences' if found else 'the same plan'}")
        for line in found[:MOST]:
            print(f"  {line}")
    print(f"{different} of {len(specifications)} plans differ")
    return int(different > 0)


def plan(checkout: Path, specification: Path) -> Any:
    """Return the plan document with its keys renamed; stop where a specification has no plan."""
    done = subprocess.run(
        [sys.executable, "-m", "satdsl", "explain", str(specification), "--format", "json"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{checkout / specification} has no plan:\n{done.stdout}{done.stderr}")
    document = json.loads(done.stdout)
    del document["satdsl"]
    names = {step["key"]: f"step {number}" for number, step in enumerate(document["steps"], 1)}
    return renamed(document, names)


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return the same document with other names for its keys."""
    if isinstance(value, dict):
        return {RENAMED.get(name, name): renamed(entry, names) for name, entry in value.items()}
    if isinstance(value, list):
        return [renamed(entry, names) for entry in value]
    return names.get(value, value) if isinstance(value, str) else value


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield what differs between two documents, each with the place where it stands."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from differences(
                old.get(name, "(absent)"), new.get(name, "(absent)"), f"{place}.{name}" if place else name
            )
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif old != new or type(old) is not type(new):
        yield f"{place or 'the document'}: {shown(old)} -> {shown(new)}"


def shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    raise SystemExit(main(*(Path(argument).resolve() for argument in sys.argv[1:])))
