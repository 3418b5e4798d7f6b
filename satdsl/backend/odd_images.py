"""Look for images that make measured numbers worth little: blank ones, copies, and those both trained on and measured.

The same is done with every data set, after its `limit`. Of a data set whose pixels stay in its files only the files are
compared, by their digests.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from satdsl.artifacts.image_prints import Prints, seen, seen_warning, too_many
from satdsl.backend.image_files import CHUNK, ImageFiles
from satdsl.backend.images import DataSet, Images
from satdsl.ir.work import StepError

COPIES = 0.01
"""A larger share of a part's images that are copies of another one in it brings a warning."""

BLANK = 2
"""An image whose values differ by no more, of 255, shows nothing."""

BLANKS = 0.001
"""A larger share of a part's images that are blank brings a warning."""

NARROW = 32
"""If all values of all images lie closer together, of 255, they were probably scaled wrongly."""


def odd_images(data: DataSet, train: Prints, val: Prints) -> tuple[list[str], int]:
    """Return what is to be doubted about a data set's images, and how many validation images are training images, too.

    The former is in a user's words. `train` and `val` are the prints of both parts.

    Raises:
        StepError: All images of a part are the same.
    """
    for part, prints in (("training", train), ("validation", val)):
        if len(prints) > 1 and (prints == prints[0]).all():
            raise StepError(
                f"all {len(prints):,} {part} images are the same image",
                "look at the files: nothing can be learnt from them, or measured on them",
            )
    count, first = seen(val, train)
    shared = seen_warning(count, val, int(data.val.index[first])) if too_many(count, val) else ""
    texts = [shared, _copies("training", train, data.train), _copies("validation", val, data.val)]
    texts += [*_values("training", data.train), *_values("validation", data.val)]
    return [text for text in texts if text], count


def image_prints(images: Images) -> Prints:
    """Return a number for each image, uint64 [n], which is the same for the same pixels (or files) alone."""
    pixels = images.pixels
    if isinstance(pixels, ImageFiles):
        assert pixels.digests is not None
        return np.ascontiguousarray(pixels.digests[:, :8]).view(np.uint64).reshape(-1)
    rows = pixels.flatten(1).numpy()
    prints = b"".join(hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=8).digest() for row in rows)
    return np.frombuffer(prints, np.uint64)


def _copies(part: str, prints: Prints, images: Images) -> str:
    order = np.argsort(prints, kind="stable")
    again = prints[order][1:] == prints[order][:-1]
    count = int(again.sum())
    if count <= COPIES * len(prints):
        return ""
    labels = images.labels.cpu().numpy()[order]
    relabelled = int((again & (labels[1:] != labels[:-1])).sum())
    under = f", {relabelled:,} of them under another label" if relabelled else ""
    return (
        f"{count:,} of {len(prints):,} {part} images are copies of another one{under}: each counts as an image of its "
        "own, so intervals are too narrow; keep one of each"
    )


def _values(part: str, images: Images) -> list[str]:
    """Return what is odd about the values of a part's pixels; nothing where they are still in files."""
    if not isinstance(images.pixels, Tensor) or not len(images):
        return []
    low, high = _extremes(images.pixels)
    darkest, brightest = int(low.min()), int(high.max())
    texts = []
    if brightest - darkest < NARROW and len(images) > 1:
        scaled = " (were images in [0, 1] stored as bytes, without multiplying by 255?)" if brightest <= 1 else ""
        texts.append(
            f"all values of all {len(images):,} {part} images lie between {darkest} and {brightest} of 255{scaled}: an "
            "eps that is common elsewhere hides all there is to see; scale them to 0..255"
        )
    blank = int((high.int() - low.int() <= BLANK).sum())
    if blank > BLANKS * len(images):
        texts.append(
            f"{blank:,} of {len(images):,} {part} images are blank: their values differ by at most {BLANK} of 255; "
            "look at the files"
        )
    return texts


def _extremes(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's smallest and largest value, uint8 [n], chunk by chunk, since pixels may lie in a file."""
    found = [torch.aminmax(chunk.flatten(1), dim=1) for chunk in torch.split(pixels, CHUNK)]
    return torch.cat([one.min for one in found]), torch.cat([one.max for one in found])
