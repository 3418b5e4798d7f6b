"""Say of a folder's images, from their headers, what is wrong with them and how they will be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from satdsl.catalog.registry import CallSite
from satdsl.image_headers import (
    BACKGROUND,
    TRANSPARENT,
    UNREADABLE,
    WAY_OUT,
    ImageHeader,
    greatest_level,
    has_transparent_pixels,
)

Found = Sequence[tuple[str, ImageHeader]]
"""The path of each image below the data set's folder, with its header."""

MOST_NAMED, MOST_REASONS = 3, 4
"""So many files are named for each of so many reasons."""

SAMPLED = 8
"""So many files are decoded where only their pixels tell."""

DARK = 16
"""16-bit images none of whose levels reaches white / DARK are suspected to hold fewer bits."""

SMALL = 2
"""Images are said to be enlarged where their shorter side is less than 1 / SMALL of the size that nobody wrote."""


def judged(images: Found, args: Mapping[str, Any], folder: Path, site: CallSite) -> tuple[int, int, int]:
    """Make all findings about a folder's images; return the shape that they have if nothing brings them to another.

    That is (3, height, width); 0 stands for what is not known, or not the same for all.
    """
    unreadable = _problems(images, UNREADABLE)
    if unreadable:
        count = _counted(sum(map(len, unreadable.values())), len(images))
        site.error("E313", f"{count} cannot be read", _reasons(unreadable), _ways_out(unreadable))
    usable = [(name, header) for name, header in images if not header.problem]
    _of_no_one_meaning(images, usable, args, folder, site)
    _nearly_black(usable, folder, site)
    _turned(usable, site)
    return _sizes(usable, args, site)


def _problems(images: Found, kinds: Iterable[str] | None = None) -> dict[tuple[str, str], list[str]]:
    """Return the names of the files with these problems, by (kind, words)."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, header in images:
        if header.problem and (header.problem in UNREADABLE) == (kinds is not None):
            found.setdefault((header.problem, header.detail), []).append(name)
    return found


def _of_no_one_meaning(images: Found, usable: Found, args: Mapping[str, Any], folder: Path, site: CallSite) -> None:
    """Refuse images whose pixels mean nothing certain."""
    found = _problems(images)
    certain = sum(map(len, found.values()))
    reasons, helps = [_reasons(found)] if found else [], [_ways_out(found)] if found else []
    with_alpha = [name for name, header in usable if header.alpha]
    transparent = _decoded(with_alpha, folder, has_transparent_pixels) if args.get("transparency") == "refuse" else []
    named = [name for name, is_transparent in transparent if is_transparent]
    if named:
        looked = "" if len(transparent) == len(with_alpha) else f" of the {len(transparent)} that were looked at"
        reasons.append(f"{TRANSPARENT} ({len(named)}{looked}: {_named(named)})")
        helps.append(BACKGROUND)
    if reasons:
        count = _counted(certain + len(named), len(images))
        least = "at least " * (len(transparent) < len(with_alpha))
        site.error("E314", f"{least}{count} have no one meaning", "; ".join(reasons), "; ".join(helps))


def _nearly_black(usable: Found, folder: Path, site: CallSite) -> None:
    """Warn of 16-bit images that hold fewer bits, so that they would become black."""
    grey = [(name, header) for name, header in usable if header.sixteen_bit_grey]
    levels = [level for _, level in _decoded([name for name, _ in grey], folder, greatest_level)]
    white = max((2**header.bits - 1 for _, header in grey), default=0)
    if levels and max(levels) < white / DARK:
        site.warn(
            "E318",
            f"the {len(grey):,} grey images of {white.bit_length()} bits would be nearly black",
            f"{white:,} is white in such a file, and none of {len(levels)} that were looked at has a level above "
            f"{max(levels):,}",
            "multiply their levels so that the brightest that there can be is white, and save them anew",
        )


def _turned(usable: Found, site: CallSite) -> None:
    """Warn of images that EXIF wants turned, unless it is written what is done with them."""
    turned = [name for name, header in usable if header.orientation != 1]
    if turned and not site.gives("exif"):
        site.warn(
            "E315",
            f"{_counted(len(turned), len(usable))} {'is' if len(turned) == 1 else 'are'} stored turned or mirrored, "
            f"and will be read as they are stored",
            f"their EXIF data say so ({_named(turned)}); torchvision ignores it, and so do most published results",
            site.with_argument("exif=apply", "`exif=apply` puts them upright; `exif=ignore` says that they are meant"),
        )


def _sizes(usable: Found, args: Mapping[str, Any], site: CallSite) -> tuple[int, int, int]:
    by_size: dict[tuple[int, int], list[str]] = {}
    for name, header in usable:
        by_size.setdefault(_size(header, args), []).append(name)
    size = args.get("resize")
    if size is None and len(by_size) > 1:
        most = sorted(by_size.items(), key=lambda found: -len(found[1]))
        parts = [f"{width}x{height} pixels ({len(names):,}: {_named(names)})" for (width, height), names in most]
        more = [f"{len(parts) - MOST_REASONS:,} more"] if len(parts) > MOST_REASONS else []
        site.error(
            "E316",
            f"`resize=none` needs images of one size, but these have {len(by_size):,}",
            "; ".join(parts[:MOST_REASONS] + more),
            f"give a size to which all are brought, such as `resize={min(most[0][0])}`",
        )
    shorter = [min(_size(header, args)) for _, header in usable]
    if size and not site.gives("resize") and shorter and median(shorter) * SMALL < size:
        one_size = len(by_size) == 1
        width, height = next(iter(by_size))
        have = (
            f"have {width}x{height} pixels"
            if one_size
            else f"are {median(shorter):g} pixels high or wide in the middle"
        )
        small = "resize=none" if one_size else f"resize={int(median(shorter))}"
        site.warn(
            "E317",
            f"the images {have}, and will be enlarged to {size}x{size}",
            f"no `resize` is written, so it is {size}, the size of photographs: each pass costs "
            f"{(size / max(1, median(shorter))) ** 2:,.0f} times as much, and shows nothing more",
            site.with_argument(
                small, f"`{small}`{' keeps them as they are' * one_size}; `resize={size}` if it is meant"
            ),
        )
    if len(by_size) != 1:
        return 3, 0, 0
    width, height = next(iter(by_size))
    return 3, height, width


def _size(header: ImageHeader, args: Mapping[str, Any]) -> tuple[int, int]:
    """Return the width and height of an image as it is read."""
    if args.get("exif") == "apply" and header.orientation >= 5:
        return header.height, header.width
    return header.width, header.height


def _decoded(names: Sequence[str], folder: Path, ask: Callable[[bytes], Any]) -> list[tuple[str, Any]]:
    """Ask something of the content of a few of these files, spread over all; files that have gone are passed over."""
    step = max(1, -(-len(names) // SAMPLED))
    found = []
    for name in names[::step]:
        try:
            found.append((name, ask(Path(folder, name).read_bytes())))
        except OSError:
            continue
    return found


def _counted(count: int, total: int) -> str:
    return f"{count:,} of {total:,} images"


def _reasons(problems: Mapping[tuple[str, str], Sequence[str]]) -> str:
    most = sorted(problems.items(), key=lambda found: -len(found[1]))
    parts = [f"{words} ({len(names):,}: {_named(names)})" for (_, words), names in most[:MOST_REASONS]]
    return "; ".join(parts + ["..."] * (len(most) > MOST_REASONS))


def _ways_out(problems: Mapping[tuple[str, str], Sequence[str]]) -> str:
    return "; ".join(dict.fromkeys(WAY_OUT[kind] for kind, _ in problems))


def _named(names: Sequence[str]) -> str:
    """Return the first of some paths, as text: bytes that are not UTF-8 are shown as such."""
    shown = [os.fsencode(name).decode("utf-8", "backslashreplace") for name in names[:MOST_NAMED]]
    return ", ".join(shown + ["..."] * (len(names) > MOST_NAMED))
