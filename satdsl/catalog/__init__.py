"""Look up what a specification can name: data sets, models, attacks, ..., what each takes and what is known of it.

The checker, `satdsl catalog` and the manual read it; none of them imports torch.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from satdsl.catalog.argument import REQUIRED, TYPES, Argument
from satdsl.catalog.registry import FAMILIES, CallSite, Catalog, Entry, catalog

__all__ = ["FAMILIES", "REQUIRED", "TYPES", "Argument", "CallSite", "Catalog", "Entry", "catalog", "contents"]


def contents(file: str) -> Any:
    """Return what a YAML file in this folder says, by the fastest loader that executes nothing."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((files(__package__) / file).read_text("utf-8"), loader)
