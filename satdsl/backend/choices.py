"""A stored document back to the `Choice` that it came from."""

from __future__ import annotations

from typing import Any

from satdsl.ir.steps import Choice


def choice_from(document: dict[str, Any]) -> Choice:
    """The inverse of `Choice.document`."""
    return Choice(document["name"], tuple((arg, _value(v)) for arg, v in document.items() if arg != "name"))


def _value(stored: Any) -> Any:
    if isinstance(stored, dict):
        return choice_from(stored)
    return tuple(_value(item) for item in stored) if isinstance(stored, list) else stored
