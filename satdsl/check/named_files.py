"""Read the files that a specification names: rankings, lists of images, and weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from satdsl import array_files
from satdsl.array_files import ArrayContents
from satdsl.catalog.datasets import DatasetEntry
from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import argument
from satdsl.hints import listed
from satdsl.image_folders import shown
from satdsl.sources import opened, resolve_path
from satdsl.syntax import tree

PATHS_START = "a path starts from the folder of the file that names it"

SAVE_ARRAY = "save an array of numbers: `np.save(path, array)`"


def digest_of_file(
    at: tree.Node, name: str, base: Path, endings: tuple[str, ...], findings: FindingCollector
) -> tuple[str, str]:
    """Return the path of a file that a specification in the folder `base` names, and the file's SHA-256 digest.

    A file that cannot be read, or whose name has none of the `endings`, is rejected.
    """
    path = Path(resolve_path(base, name))
    if path.suffix not in endings:
        message = f"the name of the file `{name}` ends in none of {listed(endings)}"
        findings.reject("E306", at, message, "the ending says how a file is read", "give a file of one of these kinds")
    return str(path), file_digest(at, path, findings)


def file_digest(at: tree.Node, path: Path, findings: FindingCollector) -> str:
    """Return the SHA-256 of a file; reject what is no file or cannot be read. A pipe is not waited for."""
    try:
        with opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        unreadable(at, path, error, findings)


def named_arrays(
    call: tree.Call, entry: DatasetEntry, args: Mapping[str, Any], base: Path, findings: FindingCollector
) -> dict[str, ArrayContents]:
    """Return what is in the arrays that a data set names; reject a file that cannot be read or holds no array."""
    found = {}
    for name in entry.named_files:
        if args[name] is None:
            continue
        at, path = argument(call, name) or call, Path(resolve_path(base, args[name]))
        try:
            found[name] = array_files.read(path)
        except OSError as error:
            unreadable(at, path, error, findings)
        except ValueError as error:
            help = SAVE_ARRAY if path.suffix == ".npy" else f"read `{shown(path.name)}` in Python, then {SAVE_ARRAY}"
            findings.reject("E320", at, f"`{shown(path)}` holds no array that can be read", str(error), help)
    return found


def unreadable(at: tree.Node, path: Path, error: OSError | ValueError, findings: FindingCollector) -> NoReturn:
    """Reject a file that cannot be read; `error` says why."""
    reason, help = getattr(error, "strerror", None) or str(error), PATHS_START
    if os.path.islink(path) and not os.path.exists(path):  # `Path.is_symlink` raises where a name is too long
        reason = f"it is a link that leads nowhere, to `{shown(os.readlink(path))}`"
        help = "put back what it leads to, or make the link anew"
    findings.reject("E306", at, f"`{shown(path)}` cannot be read", reason, help)
