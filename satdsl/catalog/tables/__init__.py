"""Describe the tables: results in rows and columns."""

from __future__ import annotations

from typing import ClassVar

from satdsl.catalog.registry import Entry
from satdsl.records import record


@record
class TableEntry(Entry):
    """A table of the catalog."""

    family: ClassVar[str] = "table"
