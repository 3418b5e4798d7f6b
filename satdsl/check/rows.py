"""Find the axes that name the rows of a result which does not use them itself.

In `(trick, wd) = [(base, 5e-4), (small, 1e-4)]` a training that uses `$wd` alone has a row for each `trick`: picking
one settles the other. The same holds for an axis that decides another, as in `wd = 1e-4 if $trick == small else 5e-4`.
"""

from __future__ import annotations

from collections.abc import Iterable

from satdsl.check.axes import Axes, Combination


def naming(axes: Axes, own: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """Return those of the axes `wanted` that name rows of what depends on the axes `own`, in the order of the sweep."""
    own = frozenset(own) & frozenset(axes.names)
    asked = (frozenset(wanted) & frozenset(axes.names)) - own
    found = frozenset[str]()
    while new := frozenset(name for name in asked - found if names_rows(axes, own | found, name)):
        found |= new
    return tuple(name for name in axes.names if name in found)


def names_rows(axes: Axes, own: frozenset[str], name: str) -> bool:
    """Return whether an axis names rows: it settles one of the axes `own`, or they settle it, or it decides one."""
    related = _related(axes, own, name)
    if not related:
        return False
    points = axes.points(related | {name})
    return (
        any(_settles(points, {name}, axis) for axis in related)
        or _settles(points, related, name)
        or any(_decides(axes, name, axis) for axis in related)
    )


def why_not(axes: Axes, own: Iterable[str], name: str) -> str:
    """Return why an axis that belongs to some of the axes `own` names no row of what depends on them; else nothing."""
    own = frozenset(own) & frozenset(axes.names)
    related = sorted(_related(axes, own, name)) if name in axes.names and name not in own else []
    if not related or names_rows(axes, own, name):
        return ""
    others = " and ".join(f"`{axis}`" for axis in related)
    return f"`{name}` and {others} belong together, but one value of either goes with several of the other"


def _related(axes: Axes, own: frozenset[str], name: str) -> frozenset[str]:
    """Return those of some axes that are of one line with another axis, or depend on the same one as it does."""
    mine = axes.settled_with(frozenset([name]))
    return frozenset(axis for axis in own if axes.settled_with(frozenset([axis])) & mine)


def _settles(points: Iterable[Combination], these: Iterable[str], other: str) -> bool:
    """Return whether the values of some axes leave another one a single value each."""
    these = tuple(these)
    seen: dict[tuple[str, ...], str] = {}
    for point in points:
        label = point[other].label
        if seen.setdefault(tuple(point[axis].label for axis in these), label) != label:
            return False
    return True


def _decides(axes: Axes, name: str, axis: str) -> bool:
    """Return whether an axis is among those that leave `axis` a single value each."""
    deciding = frozenset(axes.settled_with(frozenset([axis])) - axes.of_one_line(axis))
    return name in deciding and _settles(axes.points(deciding | {axis}), deciding, axis)
