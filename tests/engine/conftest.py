"""Fixtures of the engine's tests: a store in each place where one can lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.store_locations import Home, Remote, gs_server, home_of, s3_server

KINDS = ["folder", "memory", "s3", "gs", "files by fsspec"]


@pytest.fixture(scope="session")
def s3() -> Iterator[None]:
    with s3_server():
        yield


@pytest.fixture(scope="session")
def gs() -> Iterator[None]:
    with gs_server():
        yield


def _home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    if request.param in ("s3", "gs"):
        request.getfixturevalue(request.param)
    return home_of(request.param, tmp_path)


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return _home(request, tmp_path)


@pytest.fixture(params=KINDS[1:])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    found = _home(request, tmp_path)
    assert isinstance(found, Remote)
    return found
