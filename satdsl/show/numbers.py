"""Write counts as people do."""

from __future__ import annotations


def big(number: float) -> str:
    """Return a count as people write it: 12,345 or 85.7 M."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{round(number):,}"
