"""Open the store at an address."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from satdsl.engine.store import ReadableStore, Store
from satdsl.engine.store_format import MARKER

DEFAULT = ".satdsl"
"""The name of the folder that a store lies in unless its user chooses another."""


def open_store(url: str) -> Store:
    """Open the store at a folder, a `file://` address, or any other address that fsspec knows (`s3://bucket/path`).

    Raises:
        StoreError: there cannot be a store, or a newer version of satdsl wrote it.
    """
    protocol, separator, path = url.partition("://")
    if not separator or protocol in ("file", "local"):
        from satdsl.engine.local_store import LocalStore

        return LocalStore(Path(path if separator else url))
    from satdsl.engine.artifact_cache import cache_folder
    from satdsl.engine.bucket import Bucket
    from satdsl.engine.remote_store import RemoteStore

    return RemoteStore(Bucket(url), cache_folder(url))


def absolute_url(store: Store) -> str:
    """Return what `open_store` opens this store with in any working folder, on any machine that sees it."""
    return store.url if "://" in store.url else str(Path(store.url).absolute())


def missing_store(store: ReadableStore) -> str | None:
    """Return a sentence that there is no store at this address, with a store near it if there is one; else None."""
    if store.exists():
        return None
    near = None if "://" in store.url else _store_near(Path(store.url))
    hint = f"did you mean {near}?" if near is not None else "the first `satdsl run` creates it"
    return f"there is no store at {store.url}; {hint}"


def _store_near(place: Path) -> Path | None:
    """Return a store inside of this folder, else one beside it with a similar name, else the default one beside it."""
    beside = place.parent
    stores = [folder.name for folder in beside.iterdir() if _is_store(folder)] if beside.is_dir() else []
    candidates = [place / DEFAULT, *(beside / name for name in get_close_matches(place.name, stores)), beside / DEFAULT]
    return next(filter(_is_store, candidates), None)


def _is_store(folder: Path) -> bool:
    return (folder / MARKER).is_file()
