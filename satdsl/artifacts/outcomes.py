"""Say in words which attack broke an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ONE_CLASS = "the network predicts one class"
"""How the warning of an evaluation begins whose network names one class for all images."""


def outcome(broken_by: int, attacks: Sequence[str]) -> str:
    """Say what happened to an image: `broken_by` is -1 if right, 0 if wrong without attack, k if attack k broke it."""
    if broken_by > 0:
        return f"broken by {attacks[broken_by - 1]}"
    if not attacks:
        return "right" if broken_by else "wrong"
    return "withstands" if broken_by else "wrong without attack"


def outcomes(broken_by: NDArray[np.integer], attacks: Sequence[str]) -> list[str]:
    """Say the same for every image."""
    words: dict[Any, str] = {which: outcome(which, attacks) for which in np.unique(broken_by).tolist()}
    return [words[which] for which in broken_by.tolist()]
