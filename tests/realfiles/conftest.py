"""What the tests of real files share."""

from __future__ import annotations

from pathlib import Path

import pytest

from satdsl import folder_contents, user_cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of digests for each test alone."""
    monkeypatch.setenv(user_cache.VARIABLE, str(tmp_path_factory.mktemp("cache")))
    return user_cache.place("folders")


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all files that are opened to be read from now on."""
    opened: list[str] = []
    real = folder_contents._read
    monkeypatch.setattr(folder_contents, "_read", lambda place: opened.append(Path(place).name) or real(place))
    return opened
