"""Define what can go wrong with a store: the store itself fails, or one artifact in it is damaged."""

from __future__ import annotations

from satdsl.errors import UserError
from satdsl.ir.steps import Key


class StoreError(UserError):
    """The store cannot be used."""


class Damaged(Exception):
    """An artifact is missing or is not what its manifest says; `fault` tells what is wrong with it."""

    def __init__(self, key: Key, fault: str) -> None:
        super().__init__(f"artifact {key[:12]}: {fault}")
        self.key = key
        self.fault = fault
