"""Read the files that a specification names: rankings, lists of images, and weights."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NoReturn

from satdsl.check.collector import FindingCollector
from satdsl.hints import listed
from satdsl.image_folders import shown
from satdsl.sources import opened, resolve_path
from satdsl.syntax import tree

PATHS_START = "a path starts from the folder of the file that names it"


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


def unreadable(at: tree.Node, path: Path, error: OSError | ValueError, findings: FindingCollector) -> NoReturn:
    """Reject a file that cannot be read; `error` says why."""
    reason, help = getattr(error, "strerror", None) or str(error), PATHS_START
    if os.path.islink(path) and not os.path.exists(path):  # `Path.is_symlink` raises where a name is too long
        reason = f"it is a link that leads nowhere, to `{shown(os.readlink(path))}`"
        help = "put back what it leads to, or make the link anew"
    findings.reject("E306", at, f"`{shown(path)}` cannot be read", reason, help)
