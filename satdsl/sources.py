"""Files to specifications' texts."""

from __future__ import annotations

from pathlib import Path

BIGGEST_FILE = 10_000_000
"""Characters; a specification is a page or two."""


class UnreadableFile(Exception):
    """A specification that cannot be read at all: `path` and why."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be read: {reason}")


def text_of(path: Path) -> str:
    """A specification's text."""
    try:
        return decoded(path, path.read_bytes())
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from None


def decoded(path: Path, content: bytes) -> str:
    """The text that a file's bytes are."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(path, f"byte {error.start} is not UTF-8 text") from None
    if len(text) > BIGGEST_FILE or "\0" in text:
        raise UnreadableFile(path, "it is no specification (too large, or binary)")
    return text
