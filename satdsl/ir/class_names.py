"""Say how classes are called, and how the class names of two data sets compare, place by place."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from satdsl.records import Record, record

PAIRS_SHOWN = 3
"""The most classes that a sentence about two data sets names."""

_LOOSE = re.compile(r"[\s_./',()-]+")
"""What people write in one name of a class and leave out in another."""


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which classes are compared and printed.

    Folders that come from macOS may have names in the decomposed form, where `é` is two characters.
    """
    return unicodedata.normalize("NFC", name)


@record
class ClassComparison(Record):
    """How the classes of two data sets compare that are matched by their numbers.

    `moved` has the numbers at which the names differ and one of them is elsewhere in the other data set; `renamed`
    those at which both names are unknown to the other. Both are empty where the data sets agree.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    moved: tuple[int, ...]
    renamed: tuple[int, ...]

    @property
    def reordered(self) -> bool:
        """Whether both have the same names, in another order."""
        return bool(self.moved) and sorted(_keys(self.first)) == sorted(_keys(self.second))

    def pairs(self, first: str, second: str) -> str:
        """Return the first classes that differ: "class 0 is `cat` in `a` and `dog` in `b`; class 1 is ..."."""
        places = self.moved or self.renamed
        shown = [
            f"{'class ' * (not i)}{place} is `{self.first[place]}`{f' in {first}' * (not i)} "
            f"and `{self.second[place]}`{f' in {second}' * (not i)}"
            for i, place in enumerate(places[:PAIRS_SHOWN])
        ]
        left = len(places) - len(shown)
        return "; ".join(shown) + (f"; and {left} more" if left else "")


def compare(first: Sequence[str], second: Sequence[str]) -> ClassComparison:
    """Compare the names of the classes with the same number, up to the end of the shorter list.

    Case, spaces, hyphens, underscores and leading zeros do not count, unless a data set needs them to tell its own
    classes apart: `Ankle boot` is `ankle_boot`, and `07` is `7`.
    """
    keys, others = _keys(first), _keys(second)
    if len(set(keys)) < len(keys) or len(set(others)) < len(others):
        keys, others = [composed(name) for name in first], [composed(name) for name in second]
    moved: list[int] = []
    renamed: list[int] = []
    here, there = set(keys), set(others)
    for place, (one, other) in enumerate(zip(keys, others, strict=False)):
        if one != other:
            (moved if one in there or other in here else renamed).append(place)
    return ClassComparison(tuple(first), tuple(second), tuple(moved), tuple(renamed))


def nearest(firsts: Iterable[Sequence[str]], seconds: Iterable[Sequence[str]]) -> ClassComparison:
    """Return the comparison with the fewest differences, of data sets whose classes have several names each.

    The classes of ImageNet have a name in words and a WordNet id.
    """
    seconds = list(seconds)
    found = [compare(first, second) for first in firsts for second in seconds]
    return min(found, key=lambda one: len(one.moved) + len(one.renamed))


def places_of(wanted: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """Return the place of each wanted class among the names, None where it is not there.

    A class is found by its name or, where that is not there, by one that is written in another way (see `compare`).
    """
    keys = _keys(names)
    exact = {name: place for place, name in enumerate(names)}
    loose = {key: place for place, key in enumerate(keys) if keys.count(key) == 1}
    return [exact.get(composed(name), loose.get(_key(name))) for name in wanted]


def numbers_only(names: Sequence[str]) -> bool:
    """Whether classes are called by their own numbers, 0, 1, 2 and so on, so that their names say nothing more."""
    return all(name.isdecimal() and int(name) == place for place, name in enumerate(names))


def _keys(names: Sequence[str]) -> list[str]:
    return [_key(name) for name in names]


def _key(name: str) -> str:
    folded = _LOOSE.sub("", composed(name).casefold()) or name
    return str(int(folded)) if folded.isdecimal() else folded


def number_of(name: str) -> int | None:
    """Return the number that a class is called by (`07` is 7), None where its name is no whole number."""
    return int(name) if name.isascii() and name.isdecimal() else None
