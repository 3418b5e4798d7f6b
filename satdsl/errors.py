"""Define the error that a user can do something about."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can mend: `reason` names the place and says what is wrong, `help` names a way out."""

    def __init__(self, reason: str, help: str = "") -> None:
        reason, help = _writable(reason), _writable(help)
        super().__init__(reason, help)
        self.reason = reason
        self.help = help

    def __str__(self) -> str:
        return f"{self.reason}; {self.help}" if self.help else self.reason


class RequestError(UserError):
    """The user asked for something that does not exist or cannot be had: an unknown name, an unreadable file."""


def _writable(text: str) -> str:
    r"""Return a text as UTF-8 can write it: a file's name may have bytes that are none, which become `\xff`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
