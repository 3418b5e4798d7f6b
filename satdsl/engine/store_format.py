"""Read and write the marker file of a store, so that an older satdsl refuses what it cannot read."""

from __future__ import annotations

import json

from satdsl.engine.errors import StoreError
from satdsl.engine.manifest import FORMAT

MARKER = "store.json"
"""The file that makes a folder or a bucket a store."""


def marker_content() -> bytes:
    """Return the content of the marker file of a new store."""
    return json.dumps({"format": FORMAT}).encode()


def check_marker(url: str, content: bytes) -> None:
    """Check that this version of satdsl can read the store with this marker.

    Raises:
        StoreError: it is not a store, or a newer version of satdsl wrote it.
    """
    try:
        version = int(json.loads(content)["format"])
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            f"{url.rstrip('/')}/{MARKER} does not describe a satdsl store", "choose another place with --store"
        ) from None
    check_format(url, version)


def check_format(url: str, version: int) -> None:
    """Raise StoreError if `version` is a format that this version of satdsl does not know yet."""
    if version > FORMAT:
        raise StoreError(
            f"the store {url} was written by a newer satdsl (format {version}; this one reads up to {FORMAT})",
            "update satdsl, or choose another place with --store",
        )
