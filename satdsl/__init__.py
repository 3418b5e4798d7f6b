"""Compile and run adversarial-robustness experiments that are written in a declarative language, satdsl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from satdsl.version import __version__

if TYPE_CHECKING:
    from satdsl.api import (
        PythonRefused,
        ReportError,
        RunError,
        Spec,
        SpecError,
        StoreError,
        UnknownName,
        UnreadableFile,
        load,
    )

__all__ = [
    "PythonRefused",
    "ReportError",
    "RunError",
    "Spec",
    "SpecError",
    "StoreError",
    "UnknownName",
    "UnreadableFile",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    """Return a public name of `satdsl.api`, which is imported when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from satdsl import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
