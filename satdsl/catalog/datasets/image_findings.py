"""Say of a folder's images, from their headers, what is wrong with them and how they will be read."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from statistics import median
from typing import Any

from satdsl.catalog.registry import CallSite
from satdsl.folder_contents import Contents
from satdsl.hints import listed
from satdsl.image_folders import shown
from satdsl.image_headers import (
    BACKGROUND,
    TRANSPARENT,
    UNREADABLE,
    WAY_OUT,
    ImageHeader,
    brightness,
    has_transparent_pixels,
)

Found = Sequence[tuple[str, ImageHeader]]
"""The path of each image below the data set's folder, with its header."""

MOST_NAMED, MOST_REASONS = 3, 4
"""So many files are named for each of so many reasons."""

SAMPLED, MOST_PIXELS = 8, 4_000_000
"""So many files are decoded where only their pixels tell, and not so many if they have more pixels than that."""

DARKEST = 1 / 16
"""Images of more than 8 bits none of whose levels reaches this share of white are suspected to hold fewer bits."""

SMALL = 2
"""Images are said to be enlarged where their shorter side is less than 1 / SMALL of the size that nobody wrote."""


def judged(contents: Contents, args: Mapping[str, Any], site: CallSite) -> tuple[int, int, int]:
    """Make all findings about a folder's images; return the shape that they have if nothing brings them to another.

    That is (3, height, width); 0 stands for what is not known, or not the same for all.
    """
    images = list(contents.headers())
    unreadable = _problems(images, readable=False)
    if unreadable:
        count = _counted(sum(map(len, unreadable.values())), len(images))
        site.error("E313", f"{count} cannot be read", _reasons(unreadable), _ways_out(unreadable))
    usable = [(name, header) for name, header in images if not header.problem]
    _of_no_one_meaning(images, usable, args, contents, site)
    _nearly_black(usable, contents, site)
    _turned(usable, site)
    return _sizes(usable, args, site)


def _problems(images: Found, *, readable: bool) -> dict[tuple[str, str], list[str]]:
    """Return the names of the files that have a problem, by (kind, words).

    They are those files that can be read, or those that no program could.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name, header in images:
        if header.problem and (header.problem not in UNREADABLE) == readable:
            found.setdefault((header.problem, header.detail), []).append(name)
    return found


def _of_no_one_meaning(
    images: Found, usable: Found, args: Mapping[str, Any], contents: Contents, site: CallSite
) -> None:
    """Refuse images whose pixels mean nothing certain."""
    found = _problems(images, readable=True)
    certain = sum(map(len, found.values()))
    reasons, helps = [_reasons(found)] if found else [], [_ways_out(found)] if found else []
    with_alpha = [one for one in usable if one[1].alpha and args.get("transparency") == "refuse"]
    transparent = _decoded(with_alpha, contents, has_transparent_pixels)
    named = [name for name, is_transparent in transparent if is_transparent]
    if named:
        looked = "" if len(transparent) == len(with_alpha) else f" of the {len(transparent)} that were looked at"
        reasons.append(f"{TRANSPARENT} ({len(named)}{looked}: {_named(named)})")
        helps.append(BACKGROUND)
    if reasons:
        count = _counted(certain + len(named), len(images))
        least = "at least " * (len(transparent) < len(with_alpha))
        site.error("E314", f"the pixels of {least}{count} have no one meaning", "; ".join(reasons), "; ".join(helps))


def _nearly_black(usable: Found, contents: Contents, site: CallSite) -> None:
    """Warn of 16-bit images that hold fewer bits, which would become black."""
    deep = [(name, header) for name, header in usable if header.bits > 8]
    found = [share for _, share in _decoded(deep, contents, brightness)]
    if found and max(found) < DARKEST:
        site.warn(
            "E318",
            f"{len(deep):,} image{'s' * (len(deep) > 1)} of {max(header.bits for _, header in deep)} bits would be "
            "nearly black",
            f"the greatest number that the bits can hold is white; the brightest level of {len(found)} looked at is "
            f"{max(found) * 100:.2g} % of it",
            "multiply their levels so that the brightest that there can be is white, and save them anew",
        )


def _turned(usable: Found, site: CallSite) -> None:
    """Warn of images that EXIF wants turned, unless it is written what is done with them."""
    turned = [name for name, header in usable if header.orientation != 1]
    if turned and not site.gives("exif"):
        site.warn(
            "E315",
            f"{_counted(len(turned), len(usable))} {'is' if len(turned) == 1 else 'are'} to be turned or mirrored "
            "for showing, but will be read as stored",
            f"EXIF data say so ({_named(turned)}); torchvision ignores it, and so do most published results",
            "`exif=apply` turns such images; `exif=ignore` says that they are meant as they are stored",
        )


def _sizes(usable: Found, args: Mapping[str, Any], site: CallSite) -> tuple[int, int, int]:
    """Say where sizes differ, or are far from the size that all images are brought to; return the shape of all."""
    by_size: dict[tuple[int, int], list[str]] = {}
    for name, header in usable:
        by_size.setdefault(_size(header, args), []).append(name)
    size = args.get("resize")
    if size is None and len(by_size) > 1:
        _several_sizes(by_size, site)
    if size and usable and not site.gives("resize"):
        _enlarged(by_size, size, site)
    if len(by_size) != 1:
        return 3, 0, 0
    width, height = next(iter(by_size))
    return 3, height, width


def _several_sizes(by_size: Mapping[tuple[int, int], list[str]], site: CallSite) -> None:
    """Refuse `resize=none` for images that do not have one size."""
    most = sorted(by_size.items(), key=lambda found: -len(found[1]))
    parts = [f"{width}x{height} pixels ({len(names):,}: {_named(names)})" for (width, height), names in most]
    more = [f"{len(parts) - MOST_REASONS:,} more"] if len(parts) > MOST_REASONS else []
    site.error(
        "E316",
        f"`resize=none` needs images of one size, but these have {len(by_size):,} sizes",
        "; ".join(parts[:MOST_REASONS] + more),
        f"give a size to which all are brought, such as `resize={min(most[0][0])}`",
    )


def _enlarged(by_size: Mapping[tuple[int, int], list[str]], size: int, site: CallSite) -> None:
    """Warn of small images that are enlarged to a size that nobody wrote."""
    side = median([min(one) for one, names in by_size.items() for _ in names])
    if side * SMALL >= size:
        return
    if len(by_size) == 1:
        width, height = next(iter(by_size))
        have, small = f"the images have {width}x{height} pixels", "resize=none"
        help = f"`{small}` keeps them as they are"
    else:
        have, small = f"the shorter side of the images is {side:g} px in the median", f"resize={int(side)}"
        help = f"`{small}` brings them to that size"
    site.warn(
        "E317",
        f"{have}, and they will be enlarged to {size}x{size}",
        f"no `resize` is written, so it is {size}, the size of photographs; a pass costs about "
        f"{(size / side) ** 2:,.0f} times as much, and shows the network nothing more",
        f"{help}; write `resize={size}` if that is meant",
    )


def _size(header: ImageHeader, args: Mapping[str, Any]) -> tuple[int, int]:
    """Return the width and height of an image as it is read."""
    if args.get("exif") == "apply" and header.orientation >= 5:
        return header.height, header.width
    return header.width, header.height


def _decoded(images: Found, contents: Contents, ask: Callable[[bytes], Any]) -> list[tuple[str, Any]]:
    """Ask something of the content of a few of these files, spread over all."""
    step = max(1, -(-len(images) // SAMPLED))
    folder, found, pixels = os.path.abspath(contents.folder), [], 0
    for name, header in images[::step]:
        found.append((name, _asked(os.path.join(folder, name), contents.known[name].digest, ask)))
        pixels += header.width * header.height
        if pixels > MOST_PIXELS:
            break
    return found


@lru_cache(maxsize=256)
def _asked(path: str, digest: bytes, ask: Callable[[bytes], Any]) -> Any:
    """Ask something of a file's content, once for each `digest`, since an editor checks at every change."""
    try:
        with open(path, "rb") as file:
            return ask(file.read())
    except OSError:
        return ask(b"")  # it has gone since it was listed: the data step will say so


def _counted(count: int, total: int) -> str:
    return f"{count:,} of {total:,} images"


def _reasons(problems: Mapping[tuple[str, str], Sequence[str]]) -> str:
    most = sorted(problems.items(), key=lambda found: -len(found[1]))
    parts = [f"{words} ({len(names):,}: {_named(names)})" for (_, words), names in most[:MOST_REASONS]]
    return "; ".join(parts + ["..."] * (len(most) > MOST_REASONS))


def _ways_out(problems: Mapping[tuple[str, str], Sequence[str]]) -> str:
    return "; ".join(dict.fromkeys(WAY_OUT[kind] for kind, _ in problems))


def _named(names: Sequence[str]) -> str:
    """Return the first of some paths as text."""
    return listed([shown(name) for name in names], MOST_NAMED)
