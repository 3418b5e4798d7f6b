"""Describe the heads: the last layers that a transfer trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from satdsl.catalog.registry import Entry, unchanged
from satdsl.ir.steps import CatalogCall
from satdsl.records import record


@record
class HeadEntry(Entry):
    """A head of the catalog."""

    family: ClassVar[str] = "head"

    narrowed: Callable[[CatalogCall], CatalogCall] = unchanged
    """The call with which a smoke run makes it narrow."""
    plain: bool = False
    """Whether it is the layer that architectures end in by themselves."""
