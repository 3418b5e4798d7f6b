"""Say what is wrong with arrays of images and labels, as they are described before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from satdsl.array_files import LEVELS, ArrayContents, opened_array
from satdsl.catalog.registry import CallSite
from satdsl.hints import listed
from satdsl.image_folders import shown

SiteOf = Callable[[str], CallSite]
"""Gives the place of an argument in a specification, or of the whole call where it is not written."""

PARTS = {"train": "training", "val": "validation"}

ROWS = {"train": "train_rows", "val": "rows"}
"""The argument that picks rows of each part."""

PIXELS = {("u", 1), ("f", 2), ("f", 4), ("f", 8)}
COLOURS = (1, 3)
"""How many channels tell which side they are on."""

MOST_CLASSES = 100_000


def class_names(given: Sequence[str], site: CallSite) -> tuple[str, ...]:
    """Return the names of the classes; a single number counts classes that are called by their numbers."""
    names = tuple(given)
    if len(names) == 1 and names[0].isdecimal():
        if not 0 < int(names[0]) <= MOST_CLASSES:
            help = "a list of names, or how many classes there are"
            site.reject("E304", f"`classes` counts from 1 to {MOST_CLASSES:,} classes, and not {names[0]}", help=help)
        names = tuple(str(number) for number in range(int(names[0])))
    if not names:
        site.reject("E304", "`classes` is an empty list", "every label is the number of a class")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twice:
        site.reject("E201", f"class `{twice[0]}` is listed twice", "a class has one number")
    return names


def both_halves(files: Mapping[str, ArrayContents], site: SiteOf) -> None:
    """Refuse a data set without images, and images without labels."""
    if not files:
        site("").reject(
            "E319",
            "this data set has no images",
            "`arrays` reads images and labels from the files that it is given",
            'give `val_images="x.npy", val_labels="y.npy"`, or the same for `train`, or both',
        )
    for part in PARTS:
        for given, missing in ((f"{part}_images", f"{part}_labels"), (f"{part}_labels", f"{part}_images")):
            if given in files and missing not in files:
                site(given).reject(
                    "E319",
                    f"`{given}` comes without `{missing}`",
                    "a part of a data set has images and the label of each",
                    f'add `{missing}="....npy"`',
                )


def shape_of_parts(files: Mapping[str, ArrayContents], layout: str | None, site: SiteOf) -> tuple[int, int, int]:
    """Return channels, height and width of the images, which are those of both parts."""
    found = {}
    for part in PARTS:
        if f"{part}_images" in files:
            _are_labels(f"{part}_labels", files, site)
            found[part] = _shape(f"{part}_images", files, layout, site)
    shape, *others = found.values()
    if others and others[0] != shape:
        sizes = " and ".join(f"{_size(of)} for {PARTS[part]}" for part, of in found.items())
        site("val_images").reject(
            "E325",
            f"the images are {sizes}",
            "both parts of a data set are shown to one network: channels, height and width are the same",
            "make two data sets of them, or bring the arrays to one shape",
        )
    return shape


def _shape(name: str, files: Mapping[str, ArrayContents], layout: str | None, site: SiteOf) -> tuple[int, int, int]:
    header = files[name].header
    if len(header.shape) not in (3, 4) or not all(header.shape) or (header.kind, header.size) not in PIXELS:
        site(name).reject(
            "E320",
            f"`{_file(files[name])}` holds {header.type} of shape {_sides(header.shape)}, which are no images",
            "images are [n, height, width, channels], [n, channels, height, width] or, grey, [n, height, width], as "
            "bytes (uint8) or as floats in [0, 1]",
            "save bytes: `np.save(path, images.astype(np.uint8))`, if the values reach from 0 to 255"
            if header.kind in "iu"
            else "save an array of such a shape and type: `np.save(path, images)`",
        )
    shape = image_shape(header.shape, layout)
    if shape is not None:
        return shape
    one, other = header.shape[1], header.shape[-1]
    site(name).reject(
        "E321",
        f"the images in `{_file(files[name])}` are {_sides(header.shape)}: the channels could be {one} or {other}",
        "channels come before height and width, or after them; where only one of both is 1 or 3, that is taken",
        "write `layout=channels_first` or `layout=channels_last`",
    )


def image_shape(shape: Sequence[int], layout: str | None) -> tuple[int, int, int] | None:
    """Return channels, height and width of images in an array of this shape; None where the shape does not tell."""
    if len(shape) == 3:
        return 1, shape[1], shape[2]
    where = layout or found_layout(shape)
    if where is None:
        return None
    return (shape[1], shape[2], shape[3]) if where == "channels_first" else (shape[3], shape[1], shape[2])


def found_layout(shape: Sequence[int]) -> str | None:
    """Return where the shape of an array says that its channels are; None where it does not."""
    first, last = shape[1] in COLOURS, shape[-1] in COLOURS
    if len(shape) == 3 or first == last:
        return None
    return "channels_first" if first else "channels_last"


def needed_layout(files: Mapping[str, ArrayContents], given: str | None) -> str | None:
    """Return the layout that is given, or None where every shape says the same: then it changes nothing."""
    shapes = [files[name].header.shape for name in (f"{part}_images" for part in PARTS) if name in files]
    told = all(len(shape) == 3 or found_layout(shape) == given for shape in shapes)
    return None if told else given


def _are_labels(name: str, files: Mapping[str, ArrayContents], site: SiteOf) -> None:
    header = files[name].header
    shape = header.shape
    if header.kind in "iu" and shape and shape[1:] in ((), (1,)):
        return
    help = "save whole numbers: `np.save(path, labels.astype(np.int64))`"
    if len(shape) == 2 and shape[1] > 1:
        help = "if each row has a 1 at its class, save the numbers: `np.save(path, labels.argmax(axis=1))`"
    site(name).reject(
        "E320",
        f"`{_file(files[name])}` holds {header.type} of shape {_sides(shape)}, which are no labels",
        "labels are whole numbers of shape [n]: for each image the number of its class, from 0",
        help,
    )


def rows_of(
    files: Mapping[str, ArrayContents], part: str, args: Mapping[str, Any], site: SiteOf
) -> tuple[int, int] | None:
    """Return the first and the last row that are used of a part; None where all are."""
    argument, rows = ROWS[part], args[ROWS[part]]
    other = next(one for one in PARTS if one != part)
    if f"{part}_images" not in files:
        if rows is not None:
            site(argument).reject(
                "E322",
                f"`{argument}` picks {PARTS[part]} images, and there are none",
                "`rows` is for the validation images, `train_rows` for the training images",
                f"write `{ROWS[other]}`, or give `{part}_images`",
            )
        return None
    images, labels = files[f"{part}_images"], files[f"{part}_labels"]
    total = images.header.shape[0]
    if labels.header.shape[0] != total:
        site(f"{part}_labels").reject(
            "E322",
            f"`{_file(images)}` has {total:,} images, and `{_file(labels)}` {labels.header.shape[0]:,} labels",
            "each image has a label, in the same order",
            "give the labels of these very images",
        )
    if rows is None or rows == (0, total - 1):
        return None
    if rows[1] >= total:
        inside = f"{min(rows[0], total - 1)}..{total - 1}"
        help = f"write `{argument}={inside}`"
        site(argument).reject(
            "E322",
            f"there is no row {rows[1]:,}: `{_file(images)}` has {total:,} images",
            f"rows are counted from 0, so that the last one is {total - 1:,}",
            site(argument).with_range(inside, help) if rows[1] == total else help,
        )
    return int(rows[0]), int(rows[1])


def values_fit(files: Mapping[str, ArrayContents], levels: str, site: SiteOf) -> None:
    """Refuse images with values outside of [0, 1], and those that bytes could not hold, unless they are rounded."""
    for name in (f"{part}_images" for part in PARTS):
        if name not in files:
            continue
        file = files[name]
        if file.strange:
            site(name).reject(
                "E324",
                f"{_count(file.strange, 'value')} in `{_file(file)}` {'is' if file.strange == 1 else 'are'} NaN or "
                "infinite",
                "a network gives no number for such an image, and its accuracy would count it as wrong",
                "leave such images out, or compute them again",
            )
        if file.least < 0 or file.most > 1:
            site(name).reject(
                "E324",
                f"the values in `{_file(file)}` reach from {file.least:.4g} to {file.most:.4g}, and not from 0 to 1",
                "images are in [0, 1], so that the radius of an attack means what it says",
                "save bytes: `np.save(path, np.rint(images).astype(np.uint8))`"
                if file.least >= 0 and file.most <= LEVELS
                else "save them as they were before they were normalised",
            )
        if file.between and levels == "exact":
            site(name).reject(
                "E324",
                f"{_count(file.between, 'value')} in `{_file(file)}` {'is' if file.between == 1 else 'are'} no whole "
                "255th",
                "images are kept as bytes, and rounding would change a value by up to 1/510, as a small attack does",
                "write `levels=round` if that does not matter here",
            )


def counts_of(
    files: Mapping[str, ArrayContents],
    part: str,
    rows: tuple[int, int] | None,
    classes: Sequence[str],
    site: SiteOf,
) -> tuple[int, ...]:
    """Return how many images of each class the rows of a part have; nothing of any, where it is absent."""
    if f"{part}_labels" not in files:
        return (0,) * len(classes)
    import numpy as np

    file = files[f"{part}_labels"]
    first, last = rows or (0, file.header.shape[0] - 1)
    labels = opened_array_of(file)[first : last + 1].reshape(-1)
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= len(classes):
        help = f"write `classes={most + 1}`, if there are so many" if least >= 0 else "give every image a class"
        if least == 1 and most == len(classes):
            help = "count from 0: `np.save(path, labels - 1)`"
        site(f"{part}_labels").reject(
            "E323",
            f"the labels in `{_file(file)}` reach from {least} to {most}",
            f"there are {len(classes)} classes, with the numbers 0 to {len(classes) - 1}: {listed(classes, 4)}",
            help,
        )
    return tuple(np.bincount(labels.astype(np.int64), minlength=len(classes)).tolist())


def opened_array_of(file: ArrayContents) -> Any:
    """Return the array in a file, of which only what is taken is read."""
    from pathlib import Path

    return opened_array(Path(file.path))


def per_channel(name: str, given: Sequence[float] | None, shape: Sequence[int], site: SiteOf) -> tuple[float, ...]:
    """Return the numbers of an argument that has one for each channel; nothing where it is not given."""
    if given is not None and len(given) != shape[0]:
        site(name).reject(
            "E301",
            f"`{name}` has {_count(len(given), 'value')}, and the images have {_count(shape[0], 'channel')}",
            "there is one for each channel",
        )
    return tuple(given or ())


# --- words -----------------------------------------------------------------------------------------


def _file(file: ArrayContents) -> str:
    return shown(PurePath(file.path).name)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _sides(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
