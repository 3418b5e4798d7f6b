"""Read the files that a specification names: rankings, lists of images, and weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from satdsl.check.collector import FindingCollector
from satdsl.hints import listed
from satdsl.sources import resolve_path
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
    try:
        with path.open("rb") as file:
            return str(path), hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        findings.reject("E306", at, f"`{path}` cannot be read", reason, PATHS_START)
