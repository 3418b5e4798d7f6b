"""Say what weights a network of torchvision or timm has, by asking the library in a process of its own.

The front end never imports torch. What a library answered is kept in the user's cache folder, so that it is asked once
for each architecture, number of classes, image size and version.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from satdsl import user_cache
from satdsl.catalog.models import ModelEntry
from satdsl.ir.experiment import DatasetFacts
from satdsl.ir.steps import CatalogCall
from satdsl.weight_files.matching import Shapes

SECONDS = 120
"""A library that has not answered after so long is not waited for."""

asks = True
"""Whether libraries are asked. A language server does not ask: a library takes seconds to answer."""


def library_network(arch: CatalogCall, facts: DatasetFacts) -> tuple[Shapes, str | None] | None:
    """Return the shape of each weight of a library's network for a data set, and the name of its last layer.

    None where that cannot be known: the library is not installed, or cannot build the network for these images. The
    step that reads the weights says so then.
    """
    library = ModelEntry.of(arch).library
    if not library or 0 in facts.shape:
        return None
    wanted = {"name": arch.name, "args": arch.args, "shape": facts.shape, "classes": len(facts.classes)}
    try:
        question = json.dumps({**wanted, "version": version(library)}, sort_keys=True)
    except PackageNotFoundError:
        return None
    place = _place(question)
    answer = _kept(place) if place is not None else None
    if answer is None and asks:
        text = _asked(question)
        answer = _read(text)
        if answer is not None and place is not None:
            user_cache.write(place, text.encode())  # where that is not possible, it is asked again
    return answer or None


def _place(question: str) -> Path | None:
    """Return the file that keeps the answer; None where there is no place for a cache."""
    try:
        return user_cache.place("networks") / f"{hashlib.sha256(question.encode()).hexdigest()[:32]}.json"
    except RuntimeError:
        return None


Answer = tuple[Shapes, str | None] | tuple[()]
"""What a library says of a network: shapes and head, or nothing where it cannot build it."""


def _read(text: str) -> Answer | None:
    """Return the answer that a text holds; None where it is none."""
    try:
        answer = json.loads(text)
        shapes = answer["shapes"]
        return () if shapes is None else ({name: tuple(shape) for name, shape in shapes.items()}, answer["head"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _kept(place: Path) -> Answer | None:
    """Return an answer of before; None where there is none, or it is damaged."""
    try:
        answer = _read(place.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    with suppress(OSError):  # the cache may be one that can only be read
        os.utime(place)
    return answer


def _asked(question: str) -> str:
    """Return what the library says, as JSON; an empty text if it says nothing, or not in time."""
    # -P: nothing is imported from the folder that the user happens to be in.
    command = [sys.executable, "-P", "-m", "satdsl.backend.network_shapes"]
    try:
        done = subprocess.run(command, input=question, capture_output=True, text=True, timeout=SECONDS)
        return done.stdout if done.returncode == 0 else ""
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
