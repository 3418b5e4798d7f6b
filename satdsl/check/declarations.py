"""Read the declarations of data sets, models, attacks and recipes: calls of the catalog's entries."""

from __future__ import annotations

from dataclasses import replace
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
        call = _with_class_names(resolver, call, entry, point)
        return dataset(call, entry, point.environment, resolver.settings, folder)
    settled = resolver.settings.choice(call, entry, point.environment)
    science.settings_fit(call, entry, settled, resolver.findings)
    if isinstance(entry, ModelEntry) and entry.from_file:
        read = checkpoint(call, settled, folder, resolver.findings)
        network_forms.assumed(call, settled, read["file"], point.environment, resolver.findings)
        return read
    return settled


def _with_class_names(resolver: Resolver, call: tree.Call, entry: DatasetEntry, point: Point) -> tree.Call:
    """Return the call with lists of names where classes are asked for as `classes of cifar10`, or as `1..12`."""
    of_classes = {name for name, argument in entry.args.items() if argument.type == "class"}

    def listed(given: tree.Argument) -> tree.Argument:
        if given.name is None or given.name.text not in of_classes:
            return given
        match node := given.value:
            case tree.ClassesOf():
                names = resolver.class_names_of(node.dataset, point)
            case tree.Range():
                names = tuple(value.label for value in resolver.axes.expand(node, point.environment))
            case _:
                return given
        items = tuple(tree.Item(node.span, None, tree.Text(node.span, name)) for name in names)
        return replace(given, value=tree.Listing(node.span, items))

    return replace(call, arguments=tuple(listed(given) for given in call.arguments))
