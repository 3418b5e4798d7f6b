"""Words that the language writes otherwise, to what it writes: `words.yaml`, read."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

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
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content = yaml.load((files(__package__) / "words.yaml").read_text("utf-8"), loader)
    return {
        (kind, place, str(word)): Renamed(word=str(word), **fields)
        for kind, places in content.items()
        for place, words in places.items()
        for word, fields in words.items()
    }
