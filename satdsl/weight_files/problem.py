"""Define what is wrong with a file of weights, as an error that the checker and the backend say in their own ways."""

from __future__ import annotations


class WeightsProblem(Exception):
    """`message` goes on after the file's name: `is a page of a website (HTML)`. `code` is that of the finding."""

    def __init__(self, code: str, message: str, reason: str = "", help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.reason, self.help = code, message, reason, help
