"""Say what is wrong with a folder of images, and what is doubtful: everything at once, each kind with its count."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from satdsl.catalog.registry import CallSite
from satdsl.folder_contents import Contents
from satdsl.hints import listed
from satdsl.image_folders import ARCHIVES, PARTS, SUFFIXES, ClassFolder, Part, is_text, shown
from satdsl.records import Record, record

MOST_SHOWN = 3
"""So many names are shown of each kind."""

MEANT = {
    "train": ("train", "training", "trn", "train_images", "trainset", "train_set"),
    "val": ("val", "valid", "validation", "test", "testing", "dev", "eval", "val_images", "testset", "test_set"),
}
"""What others call the two parts, in small letters."""

LAYOUT = "an image folder holds `train/` and `val/`, each with one folder per class"


@record
class Problem(Record):
    """Something that is wrong with a folder (`error`) or doubtful: as a finding has it, without a place."""

    code: str
    message: str
    reason: str
    help: str
    error: bool = True


def report(problems: Iterable[Problem], site: CallSite) -> None:
    """Make a finding of each problem; stop the reading of the call after the last, if an error is among them."""
    errors = []
    for problem in problems:
        if problem.error:
            errors.append(problem)
        else:
            site.warn(problem.code, problem.message, problem.reason, problem.help, about=problem.message)
    for number, problem in enumerate(errors, 1):
        make = site.reject if number == len(errors) else site.error
        make(problem.code, problem.message, problem.reason, problem.help, about=problem.message)


# --- what cannot be read at all --------------------------------------------------------------------


def absent(contents: Contents) -> Iterator[Problem]:
    """Give what is wrong with the two parts themselves."""
    folder = contents.folder
    for part in PARTS:
        if contents.listing.parts[part] is not None:
            continue
        place = folder / part
        reason, help = f"{LAYOUT}; `{part}/` is missing", "give the folder that has both"
        if os.path.islink(place) and not os.path.exists(place):
            message = f"`{shown(place)}` is a link that leads nowhere, to `{shown(os.readlink(place))}`"
            reason, help = LAYOUT, "put back what it leads to, or make the link anew"
        elif os.path.isdir(place):
            message = f"`{shown(place)}` cannot be read"
            reason, help = LAYOUT, "give yourself the right to read it"
        elif os.path.lexists(place):
            message = f"`{shown(place)}` is no folder"
            reason = LAYOUT
        else:
            message = f"there is no folder `{shown(place)}`"
            help = _meant(folder, part) or help
        yield Problem("E306", message, reason, help)
        if not os.path.isdir(folder):
            return


def _meant(folder: Path, part: str) -> str:
    """Return how a part is probably called, or where it is; nothing where there is no sign of it."""
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError):
        return ""
    folders = [name for name in names if os.path.isdir(folder / name)]
    similar = sorted((name for name in folders if name.lower() in MEANT[part]), key=_likely(part))
    if similar:
        which = " or ".join(f"`{shown(name)}/`" for name in similar)
        first = shown(similar[0])
        return f"did you mean {which}? rename it to `{part}`, or make a link to it: `ln -s {first} {part}`"
    for name in folders:
        if all(os.path.isdir(folder / name / each) for each in PARTS):
            return f"did you mean the folder `{shown(folder / name)}`? it has both"
    packed = [name for name in names if name.lower().startswith(part) and name.lower().endswith(ARCHIVES)]
    return f"unpack `{shown(packed[0])}` first" if packed else ""


def _likely(part: str) -> Callable[[str], int]:
    return lambda name: MEANT[part].index(name.lower())


def wrong(contents: Contents) -> Iterator[Problem]:
    """Give what makes a folder unusable, for the checker and for the data step."""
    yield from absent(contents)
    if contents.listing.complete:
        yield from _links(contents)
        yield from _unreadable(contents)
        yield from _names(contents)
        if not _a_class_is_missing(contents):
            yield from _classes(contents)


def _a_class_is_missing(contents: Contents) -> bool:
    """Return whether a class folder itself cannot be followed, so that what is said of the classes would mislead."""
    odd = [part.odd for part in _parts(contents)]
    names = [name for each in odd for name in each.broken]
    names += [name for each in odd for name, _ in [*each.circles, *each.unreadable]]
    names += [name for each in odd for pair in each.two_classes for name in pair]
    odd_names = any(not is_text(klass.name) for part in _parts(contents) for klass in part.classes)
    return odd_names or any(name.count("/") <= 1 for name in names)


def _parts(contents: Contents) -> list[Part]:
    return [part for part in contents.listing.parts.values() if part is not None]


def _links(contents: Contents) -> Iterator[Problem]:
    circles = [pair for part in _parts(contents) for pair in part.odd.circles]
    if circles:
        yield Problem(
            "E307",
            f"{_count(circles, 'link')} in `{shown(contents.folder)}` {_verb(circles, 'leads', 'lead')} in a circle: "
            + _shown([f"{_quoted(link)} leads back to {_quoted(target)}" for link, target in circles]),
            "who follows it finds the same images without end",
            "remove the link",
        )
    broken = [name for part in _parts(contents) for name in part.odd.broken]
    if broken:
        yield Problem(
            "E307",
            f"{_count(broken, 'link')} in `{shown(contents.folder)}` {_verb(broken, 'leads', 'lead')} nowhere: "
            + _shown(map(_quoted, broken)),
            "the images that are meant would be missing without a word",
            "put back what they lead to, or remove them",
        )
    shared = [pair for part in _parts(contents) for pair in part.odd.two_classes]
    if shared:
        yield Problem(
            "E307",
            f"in `{shown(contents.folder)}`, two classes share a folder through a link: "
            + _shown([f"{_quoted(one)} and {_quoted(other)} are one" for one, other in shared]),
            "each image in it would have two labels",
            "remove the link from the class that it does not belong to",
        )


def _unreadable(contents: Contents) -> Iterator[Problem]:
    found = [pair for part in _parts(contents) for pair in part.odd.unreadable] + list(contents.unreadable)
    if found:
        yield Problem(
            "E306",
            f"{_count(found, 'file or folder', 'files or folders')} in `{shown(contents.folder)}` cannot be read: "
            + _shown([f"{_quoted(name)} ({reason})" for name, reason in found]),
            "every image is part of the data set, and none may be left out without a word",
            "give yourself the right to read them, or move them out of the folder",
        )


def _names(contents: Contents) -> Iterator[Problem]:
    odd, twice = [], []
    for part in _parts(contents):
        first: dict[str, str] = {}
        for klass in part.classes:
            if not is_text(klass.name):
                odd.append(f"{part.name}/{klass.folder}")
            if klass.name in first:
                twice.append(klass.name)
            first[klass.name] = klass.folder
    if odd:
        yield Problem(
            "E308",
            f"{_count(odd, 'class folder')} of `{shown(contents.folder)}` {_verb(odd, 'has', 'have')} a name that is "
            f"no text: {_shown(map(_quoted, odd))}",
            "class names are written in specifications and results: in UTF-8, without control characters",
            "rename the folder in both parts",
        )
    for name in dict.fromkeys(twice):
        yield Problem(
            "E201",
            f"two classes are called {_quoted(name)}",
            "their folders' names differ only in how Unicode writes a letter (as one character, or as a letter and an "
            "accent), which shows nowhere",
            "put the images of both into one folder, or rename one of them",
        )


def _classes(contents: Contents) -> Iterator[Problem]:
    """Give what is wrong with the classes: there are none, a level is too much, they differ, or have no images."""
    where = shown(contents.folder)
    parts = _parts(contents)
    deep = [part for part in parts if _level_too_much(part)]
    if deep:
        inner = [f"{part.name}/{part.classes[0].folder}" for part in deep]
        yield Problem(
            "E308",
            f"`{where}` has a level of folders too much: "
            + " and ".join(f"the only class in {part.name}/ is {_quoted(part.classes[0].name)}" for part in deep),
            f"the folders in it look like the classes: {_shown(map(_quoted, _inner_folders(deep[0].classes[0])))}",
            " and ".join(f"move what is in `{shown(name)}/` up into `{name.split('/')[0]}/`" for name in inner),
        )
        return
    none = [part for part in parts if not part.classes]
    for part in none:
        reasons = [f"{_count(part.odd.beside, 'image')} {_verb(part.odd.beside, 'lies', 'lie')} in it directly"] * bool(
            part.odd.beside
        ) + [f"{_shown(map(_quoted, part.odd.packed))} {_verb(part.odd.packed, 'is', 'are')} not unpacked"] * bool(
            part.odd.packed
        )
        yield Problem(
            "E308",
            f"`{where}/{part.name}` has no class folders",
            "; ".join(reasons) or LAYOUT,
            "put the images of each class into a folder that is called after it",
        )
    if none:
        return
    train, val = ({klass.name: klass for klass in part.classes} for part in parts)
    if train.keys() != val.keys():
        yield _classes_differ(contents, parts, list(train), list(val))
    for part in parts:
        empty = [klass for klass in part.classes if not klass.images]
        if empty:
            yield Problem(
                "E308",
                f"{_count(empty, 'class', 'classes')} of `{where}` {_verb(empty, 'has', 'have')} no images in "
                f"{part.name}/: {_shown(_quoted(klass.name) for klass in empty)}",
                _what_there_is(empty),
                "put images there, or remove the folder from both parts",
            )


def _classes_differ(contents: Contents, parts: Sequence[Part], train: list[str], val: list[str]) -> Problem:
    folder = contents.folder
    only = [
        (part.name, [name for name in own if name not in others])
        for part, own, others in zip(parts, (train, val), (val, train), strict=True)
    ]
    said = [f"only in {part}/: {_shown(map(_quoted, names))}" for part, names in only if names]
    (_, of_train), (_, of_val) = only
    by_letters = {name.casefold(): name for name in of_val}
    other_case = [(name, by_letters[name.casefold()]) for name in of_train if name.casefold() in by_letters]
    files = [name for name in of_train if os.path.isfile(folder / "val" / name)]
    help = "give both parts the same class folders"
    if other_case:
        help = f"did you mean {_shown([f'{_quoted(a)} by {_quoted(b)}' for a, b in other_case])}? rename one of them"
    elif files:
        help = f"`{shown(folder / 'val' / files[0])}` is a file: put a folder in its place"
    elif len(val) == 1 and len(train) > 1:
        help = f"sort the images in `{shown(folder / 'val' / val[0])}` into one folder per class, as in train/"
    return Problem(
        "E308",
        f"train/ and val/ of `{shown(folder)}` differ in classes: {'; '.join(said)}",
        "both parts have the same classes, and so the same labels",
        help,
    )


def _what_there_is(empty: Sequence[ClassFolder]) -> str:
    others = Counter(ending for klass in empty for ending in klass.others.elements())
    there = ", ".join(f"{count:,} {_kind(ending)}" for ending, count in others.most_common(MOST_SHOWN))
    return f"read are files that end in {', '.join(SUFFIXES)}" + (f"; there are {there}" if there else "")


def _kind(ending: str) -> str:
    return shown(ending) if ending else "without an ending"


def _level_too_much(part: Part) -> bool:
    """Return whether the only class looks like a folder of classes."""
    return len(part.classes) == 1 and len(_inner_folders(part.classes[0])) > 1


def _inner_folders(klass: ClassFolder) -> list[str]:
    """Return the folders in a class's folder that have images; none where images lie beside them."""
    inside = [image.name.split("/")[2:] for image in klass.images]
    return sorted({way[0] for way in inside}) if all(len(way) > 1 for way in inside) else []


# --- what is doubtful ------------------------------------------------------------------------------


def doubtful(contents: Contents) -> Iterator[Problem]:
    """Give what can be used, but is probably not what was meant."""
    yield from _left_out(contents)
    yield from _repeated(contents)


def _left_out(contents: Contents) -> Iterator[Problem]:
    """Give what lies in the folder and is not read."""
    where, odd = shown(contents.folder), [part.odd for part in _parts(contents)]
    hidden = [name for each in odd for name in each.hidden]
    if hidden:
        yield _doubt(
            "E310",
            f"{_count(hidden, 'hidden file or folder', 'hidden files or folders')} of `{where}` "
            f"{_verb(hidden, 'is', 'are')} left out: {_shown(map(_quoted, hidden))}",
            "editors, archives and file servers leave such things; they are no classes and no images",
            "remove them; or rename what belongs to the data set",
        )
    beside = [name for part in _parts(contents) if part.classes for name in part.odd.beside]
    if beside:
        yield _doubt(
            "E310",
            f"{_count(beside, 'image')} of `{where}` {_verb(beside, 'lies', 'lie')} beside the class folders and "
            f"{_verb(beside, 'is', 'are')} left out: {_shown(map(_quoted, beside))}",
            "an image's class is the folder that it is in",
            "move each into its class's folder, or remove it",
        )
    packed = [name for part in _parts(contents) if part.classes for name in part.odd.packed]
    if packed:
        yield _doubt(
            "E310",
            f"{_count(packed, 'archive')} beside the class folders of `{where}` {_verb(packed, 'is', 'are')} not "
            f"unpacked: {_shown(map(_quoted, packed))}",
            "what is in it is not read",
            "unpack it into a folder, or move it away",
        )
    special = [pair for each in odd for pair in each.special]
    if special:
        yield _doubt(
            "E310",
            f"{_count(special, 'image')} of `{where}` {_verb(special, 'is', 'are')} no file, and "
            f"{_verb(special, 'is', 'are')} left out: "
            + _shown([f"{_quoted(name)} is {what}" for name, what in special]),
            "only files are read",
            "remove it",
        )
    others = [name for each in odd for name in each.not_read]
    if others:
        endings = Counter(os.path.splitext(name)[1].lower() for name in others)
        kinds = ", ".join(f"{count:,} {_kind(ending)}" for ending, count in endings.most_common(MOST_SHOWN))
        yield _doubt(
            "E310",
            f"{_count(others, 'file')} of `{where}` {_verb(others, 'is', 'are')} not read because of the ending "
            f"({kinds}): {_shown(map(_quoted, others))}",
            f"read are files that end in {', '.join(SUFFIXES)}",
            "convert them, or move them out of the folder",
        )


def _repeated(contents: Contents) -> Iterator[Problem]:
    """Give the same image under two labels, in both parts, or in one class twice through a link."""
    where = shown(contents.folder)
    again = [pair for part in _parts(contents) for pair in part.odd.again]
    if again:
        yield _doubt(
            "E309",
            f"in `{where}`, a class has a folder twice through a link: "
            + _shown([f"{_quoted(one)} and {_quoted(other)} are one" for one, other in again]),
            "each image in it counts twice",
            "remove the link",
        )
    places: dict[bytes, list[tuple[str, str, str]]] = {}
    for part in _parts(contents):
        for k, image in part.images():
            found = contents.known.get(image.name)
            if found is not None and image.size:
                places.setdefault(found.digest, []).append((part.name, part.classes[k].name, image.name))
    shared = [same for same in places.values() if len(same) > 1]
    torn = [same for same in shared if len({klass for _, klass, _ in same}) > 1]
    if torn:
        pairs = [(same[0], next(one for one in same if one[1] != same[0][1])) for same in torn]
        yield _doubt(
            "E309",
            f"{_count(torn, 'image')} of `{where}` {_verb(torn, 'is', 'are')} in more than one class: "
            + _shown([f"{_quoted(one[2])} is {_quoted(other[2])}" for one, other in pairs]),
            "the same bytes have two labels, of which one is wrong",
            "remove each from the classes that it does not belong to",
        )
    known_to_both = [same for same in shared if len({part for part, _, _ in same}) > 1]
    if known_to_both:
        seen = sum(part == "val" for same in known_to_both for part, _, _ in same)
        every = sum(len(klass.images) for part in _parts(contents) if part.name == "val" for klass in part.classes)
        pairs = [(same[0], next(one for one in same if one[0] == "val")) for same in known_to_both]
        yield _doubt(
            "E311",
            f"{seen:,} of the {every:,} validation images of `{where}` {'is' if seen == 1 else 'are'} among the "
            f"training images: {_shown([f'{_quoted(other[2])} is {_quoted(one[2])}' for one, other in pairs])}",
            "accuracy on images that were trained on says nothing about new ones",
            "remove them from train/ or from val/",
        )


def _doubt(code: str, message: str, reason: str, help: str) -> Problem:
    return Problem(code, message, reason, help, error=False)


# --- words -----------------------------------------------------------------------------------------


def _quoted(name: str) -> str:
    return f"`{shown(name)}`"


def _shown(texts: Iterable[str]) -> str:
    return listed(list(texts), MOST_SHOWN)


def _count(things: Sequence[object], one: str, many: str = "") -> str:
    return f"{len(things):,} {one if len(things) == 1 else many or one + 's'}"


def _verb(things: Sequence[object], one: str, many: str) -> str:
    return one if len(things) == 1 else many
