"""Describe the models: architectures, with their normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from satdsl.catalog.registry import Entry, unchanged
from satdsl.ir.steps import CatalogCall
from satdsl.records import record
from satdsl.weight_files.matching import Names, Shapes

Sizes = Mapping[str, tuple[int, ...]]
"""The shape of each weight, by its name in our network."""


def nothing_told(sizes: Sizes) -> Mapping[str, Any]:
    return {}


@record
class ModelEntry(Entry):
    """A model of the catalog."""

    family: ClassVar[str] = "model"

    narrowed: Callable[[CatalogCall], CatalogCall] = unchanged
    """The call with which a smoke run makes it narrow."""
    library: str = ""
    """The library whose architectures it stands for, by the name that the library gives them."""
    told: Callable[[Sizes], Mapping[str, Any]] = nothing_told
    """The arguments that the weights in a file do tell, read off their shapes under our names."""
    outline: Callable[[CatalogCall, int, int], Shapes] | None = None
    """The shape of each of its weights, for images of so many channels and so many classes, where that is known."""
    names: Names = ()
    """What its layers are called in other people's code, and in ours."""
    from_file: bool = False
    """Whether it is an architecture, `arch`, with the weights of a file."""
    shrunk: Callable[[CatalogCall], int] = lambda call: 0
    """How many times smaller than the image the input of its last batch norm is, in height and width, rounded up; 0
    where it has no batch norm, or where that is not known."""
