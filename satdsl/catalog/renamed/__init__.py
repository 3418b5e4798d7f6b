"""Words that the language writes otherwise, to what it writes: `words.yaml`, read."""

from __future__ import annotations

from functools import cache
from typing import Literal

from satdsl.catalog import contents
from satdsl.records import Record, record

Kind = Literal["entry", "argument", "value"]


@record
class Renamed(Record):
    """A word, what is written instead from language version `since` on, and who writes the word."""

    word: str
    now: str
    since: int
    source: str


@cache
def table() -> dict[tuple[Kind, str, str], Renamed]:
    """By kind, place (a family, or for values an argument's name) and word."""
    return {
        (kind, place, str(word)): Renamed(word=str(word), **fields)
        for kind, places in contents("renamed/words.yaml").items()
        for place, words in places.items()
        for word, fields in words.items()
    }
