"""Put items into a random order that is the same on every machine and with every library version.

Item i of a draw with seed s gets the number mix(mix(s) + (i + 1) * GOLDEN) mod 2^64, where mix is the finaliser of
SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), and items are
ordered by that number. The first k items are therefore nested in the first k + 1.
"""

from __future__ import annotations

from collections.abc import Iterable

GOLDEN = 0x9E3779B97F4A7C15
MASK = 0xFFFFFFFFFFFFFFFF


def mix(z: int) -> int:
    """Return the finaliser of SplitMix64: a bijection of the 64-bit integers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def order(n: int, seed: int) -> list[int]:
    """Return the items 0 .. n-1 in the order that `seed` (any integer) draws them."""
    return drawn(range(n), seed)


def drawn(items: Iterable[int], seed: int) -> list[int]:
    """Return some items, numbers from 0 on, in the order that `seed` draws them: that of `order` among more of them."""
    start = mix(seed & MASK)
    return sorted(items, key=lambda i: mix((start + (i + 1) * GOLDEN) & MASK))


def count(share: float, n: int) -> int:
    """Return how many of n items a share is: floor(share * n + 0.5), with share * n rounded to 9 decimals first.

    Without the rounding, binary fractions would decide halves: 0.35 * 90 is 31.499999999999996.
    """
    return int(round(share * n, 9) + 0.5)
