"""Small folders of images for tests, and what satdsl says of them."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from satdsl.check import check
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding

COLOURS = {"cat": (220, 40, 40), "dog": (40, 40, 220), "bird": (40, 220, 40)}


def picture(path: Path, colour: tuple[int, int, int] = (90, 90, 90), seed: int | None = None) -> None:
    """Write an image of 8x8 pixels of about this colour, another one for each path (or seed)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = seed if seed is not None else zlib.crc32(os.fsencode(path))
    noise = np.random.default_rng(own).integers(-30, 31, (8, 8, 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)


def album(root: Path, classes: tuple[str, ...] = ("cat", "dog"), train: int = 4, val: int = 2) -> Path:
    """Make `train/` and `val/` with so many images of each class, each class of its own colour."""
    for part, count in (("train", train), ("val", val)):
        for name in classes:
            for i in range(count):
                picture(root / part / name / f"{i}.png", COLOURS.get(name, (90, 90, 90)))
    return root


def found(folder: Path, more: str = "") -> tuple[Finding, ...]:
    """Everything that `check` says of a specification that reads a folder."""
    text = f'sat 1\ndataset d = folder("{folder.name}", resize=8)\n{more}'
    try:
        return check(str(folder.parent / "spec.sat"), text).warnings
    except SpecError as error:
        return error.findings


def codes(folder: Path) -> list[str]:
    return sorted(finding.code for finding in found(folder))


def message(folder: Path, code: str) -> str:
    """The message of the one finding of this code."""
    (one,) = [finding for finding in found(folder) if finding.code == code]
    return one.message
