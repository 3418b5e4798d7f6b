"""Read the declarations of data sets, models, attacks and recipes: calls of the catalog's entries."""

from __future__ import annotations

from typing import Any

from satdsl.catalog.datasets import DatasetEntry
from satdsl.catalog.models import ModelEntry
from satdsl.check import network_forms, science
from satdsl.check.axes import Point
from satdsl.check.checkpoints import checkpoint
from satdsl.check.datasets import dataset
from satdsl.check.resolve import Resolver
from satdsl.syntax import tree


def declaration(resolver: Resolver, statement: tree.Declaration, point: Point) -> Any:
    """Return what a declared name stands for at a point: a `Dataset`, or the call with all its settings."""
    call, folder = statement.call, resolver.scope.folders[statement.name.text]
    entry = resolver.settings.entry(call.name, (statement.kind,))
    if isinstance(entry, DatasetEntry):
        return dataset(call, entry, point.environment, resolver.settings, folder)
    settled = resolver.settings.choice(call, entry, point.environment)
    science.settings_fit(call, entry, settled, resolver.findings)
    if isinstance(entry, ModelEntry) and entry.from_file:
        read = checkpoint(call, settled, folder, resolver.findings)
        network_forms.assumed(call, settled, read["file"], point.environment, resolver.findings)
        return read
    return settled
