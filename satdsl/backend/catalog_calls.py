"""A stored document back to the `CatalogCall` that it came from."""

from __future__ import annotations

from typing import Any

from satdsl.ir.steps import CatalogCall


def choice_from(document: dict[str, Any]) -> CatalogCall:
    """The inverse of `CatalogCall.document`."""
    return CatalogCall(document["name"], tuple((arg, _value(v)) for arg, v in document.items() if arg != "name"))


def _value(stored: Any) -> Any:
    if isinstance(stored, dict):
        return choice_from(stored)
    return tuple(_value(item) for item in stored) if isinstance(stored, list) else stored
