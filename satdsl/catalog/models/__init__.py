"""Describe the models: architectures, with their normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from satdsl.catalog.registry import Entry, unchanged
from satdsl.ir.steps import CatalogCall
from satdsl.records import Record, record
from satdsl.weight_files.matching import Names, Shapes

Sizes = Mapping[str, tuple[int, ...]]
"""The shape of each weight, by its name in our network."""


def always(call: CatalogCall) -> bool:
    return True


def nothing_told(sizes: Sizes) -> Mapping[str, Any]:
    return {}


@record
class Untold(Record):
    """An argument that changes what a network computes, but no name and no shape of its weights.

    So a file of weights does not tell which value it was trained with.
    """

    argument: str
    other: str
    """Another value that published networks have."""
    whose: str
    """Where they have it, after the word `in`."""
    rare: bool = False
    """Whether published networks differ in it so seldom that it is no reason to warn by itself."""
    where: Callable[[CatalogCall], bool] = always
    """In which calls it plays a part."""


@record
class Layout(Record):
    """Names of weights by which one author's code is known, and what its networks have that the names do not show."""

    pattern: str
    """A regular expression that is found in one of its names and in none of other code."""
    whose: str
    forms: tuple[tuple[str, Any], ...]


@record
class ModelEntry(Entry):
    """A model of the catalog."""

    family: ClassVar[str] = "model"

    narrowed: Callable[[CatalogCall], CatalogCall] = unchanged
    """The call with which a smoke run makes it narrow."""
    library: str = ""
    """The library whose architectures it stands for, by the name that the library gives them."""
    outline: Callable[[CatalogCall, int, int], Shapes] | None = None
    """The shape of each of its weights, for images of so many channels and so many classes, where that is known."""
    names: Names = ()
    """What its layers are called in other people's code, and in ours."""
    from_file: bool = False
    """Whether it is an architecture, `arch`, with the weights of a file."""
    untold: tuple[Untold, ...] = ()
    """What a file of its weights does not tell."""
    known: tuple[tuple[tuple[str, Any], ...], ...] = ()
    """Several arguments at once that the networks of well-known code have."""
    layouts: tuple[Layout, ...] = ()
    """What the names of the weights in a file tell besides."""
    told: Callable[[Sizes], Mapping[str, Any]] = nothing_told
    """The arguments that the weights in a file do tell, read off their shapes under our names."""
    shrunk: Callable[[CatalogCall], int] = lambda call: 0
    """How many times smaller than the image the input of its last batch norm is, in height and width, rounded up; 0
    where it has no batch norm, or where that is not known."""
