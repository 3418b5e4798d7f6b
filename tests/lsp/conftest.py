"""One language server for the tests that need no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lsp_client import Editor


@pytest.fixture(scope="session")
def server() -> Iterator[Editor]:
    editor = Editor()
    yield editor
    assert editor.stop() == b""
    assert editor.log == []


@pytest.fixture
def editor(server: Editor) -> Iterator[Editor]:
    """The server, in which nothing is open; a test fails if anything went wrong in it."""
    yield server
    for uri in list(server.texts):
        server.close(uri)
        server.texts.pop(uri)
        server.published.pop(uri, None)
    assert server.log == []
