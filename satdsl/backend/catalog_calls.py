"""Read a catalog call back from an artifact."""

from __future__ import annotations

from typing import Any

from satdsl.catalog import catalog
from satdsl.ir.steps import CatalogCall


def choice_from(document: dict[str, Any]) -> CatalogCall:
    """Return the call that `CatalogCall.document` describes.

    Arguments that the document lacks, because an older version wrote it, have the catalog's defaults.
    """
    args = [(arg, _value(stored)) for arg, stored in document.items() if arg != "name"]
    return catalog().call(document["name"], *args)


def _value(stored: Any) -> Any:
    if isinstance(stored, dict):
        return choice_from(stored)
    return tuple(_value(item) for item in stored) if isinstance(stored, list) else stored
