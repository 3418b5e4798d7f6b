"""Describe the models: architectures, with their normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from satdsl.catalog.registry import Entry, unchanged
from satdsl.ir.steps import CatalogCall
from satdsl.records import record


@record
class ModelEntry(Entry):
    """A model of the catalog."""

    family: ClassVar[str] = "model"

    narrowed: Callable[[CatalogCall], CatalogCall] = unchanged
    """The call with which a smoke run makes it narrow."""
    library: str = ""
    """The library whose architectures it stands for, by the name that the library gives them."""
    from_file: bool = False
    """Whether it is an architecture, `arch`, with the weights of a file."""
    shrunk: Callable[[CatalogCall], int] = lambda call: 0
    """How many times smaller than the image the input of its last batch norm is, in height and width, rounded up; 0
    where it has no batch norm, or where that is not known."""
