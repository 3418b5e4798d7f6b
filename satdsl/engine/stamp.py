"""What a store says of itself, so that no version of satdsl takes for its own what it cannot read."""

from __future__ import annotations

import json

from satdsl.engine.manifest import FORMAT
from satdsl.engine.store import StoreError

STAMP = "store.json"
"""The file that makes a place a store."""


def stamped() -> bytes:
    """What a new store says of itself."""
    return json.dumps({"format": FORMAT}).encode()


def check_stamp(url: str, content: bytes) -> None:
    """Look at what a store says of itself.

    Raises:
        StoreError: it is no store, or was written by a newer version of satdsl.
    """
    try:
        version = int(json.loads(content)["format"])
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            f"{url.rstrip('/')}/{STAMP} does not describe a satdsl store", "choose another place with --store"
        ) from None
    if version > FORMAT:
        raise newer(url, version)


def newer(url: str, version: int) -> StoreError:
    """What to tell the user of a store that this version of satdsl cannot read."""
    return StoreError(
        f"the store {url} was written by a newer satdsl (format {version}; this one reads up to {FORMAT})",
        "update satdsl, or choose another place with --store",
    )
