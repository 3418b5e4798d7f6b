"""Check before anything runs that a file of scores, an order or a list fits the training images."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from satdsl.check.collector import FindingCollector
from satdsl.check.named_files import digest_of_file
from satdsl.errors import UserError
from satdsl.hints import Hint, write
from satdsl.ir.experiment import Dataset
from satdsl.syntax import tree

if TYPE_CHECKING:
    from satdsl.number_files import NumberTable

Role = Literal["scores", "order", "class order", "list", "weights", "factors"]
"""What the numbers of a file are read as."""

TABLES = (".txt", ".csv", ".npy", ".pt", ".pth")
"""The endings of files that numbers of images are read from."""

LATER = (".pt", ".pth")
"""The endings of files that only torch can read: the split step checks them."""

LONGEST_TEXT = 4_000_000
"""Bytes of a text file that are read here. What is longer would keep an editor waiting: the split step reads it."""


def ranking_file(
    node: tree.ScoresIn | tree.RankingIn | tree.ListedSubset,
    base: Path,
    role: Role,
    data: Dataset,
    findings: FindingCollector,
) -> tuple[str, str]:
    """Return the path and the SHA-256 digest of a file that a specification in the folder `base` names.

    A file whose numbers are not what they are read as, or belong to other images, is rejected; a doubtful name is
    warned of.
    """
    file = digest_of_file(node.path, node.path.value, base, TABLES, findings)
    _check_numbers(node, file, role, data, findings)
    return file


def _check_numbers(
    node: tree.ScoresIn | tree.RankingIn | tree.ListedSubset,
    file: tuple[str, str],
    role: Role,
    data: Dataset,
    findings: FindingCollector,
) -> None:
    path, digest = file
    name = Path(path).name
    if role in ("order", "class order") and _says_easiest_first(name):
        findings.warn(
            "E414",
            node.path,
            f"the name of `{name}` says that it begins with the easiest",
            "a ranking is read as hardest first, so that `hardest` and `easiest` would change places",
            "turn the order round (`order[::-1]`) and give the file another name",
        )
    if Path(path).suffix in LATER:
        return
    try:
        table = _numbers(path, digest)
        if table is not None:
            _check(table, name, role, data)
    except UserError as error:
        help = Hint(error.help)
        if getattr(error, "scores", False):
            help = write(node.span, f"scores in {node.path.span.text}", error.help)
        findings.reject(getattr(error, "code", "E306"), node.path, _quoted(error.reason, path, name), help=help)


def largest_number(path: str, digest: str) -> float | None:
    """Return the largest number of a file that has one for each image; None where it is not read here."""
    table = None if Path(path).suffix in LATER else _numbers(path, digest)
    if table is None or not table.numbers.size:
        return None
    numbers = table.numbers
    return float(numbers.max() if numbers.ndim == 1 else numbers[:, -1].max())


def _check(table: NumberTable, name: str, role: Role, data: Dataset) -> None:
    import numpy as np

    from satdsl import rankings

    whole = data.whole
    if role == "class order":
        rankings.class_order(table, name, len(data.facts.classes) if data.facts else 0)
        return
    if role == "list":
        rankings.list_of(table, name, whole)
        return
    images = np.arange(whole or 0) if data.train == whole else np.arange(0)
    if role == "weights":
        rankings.image_weights(table, name, whole, images)
        return
    if role == "factors":
        rankings.image_factors(table, name, whole, images)
        return
    rankings.image_scores(table, name, whole, images, role == "order")


def _says_easiest_first(name: str) -> bool:
    """Return whether the name of a file says that what it lists begins with the easiest: `increasing_entropy.pth`."""
    name = name.lower()
    easy, hard = ("increasing", "ascending", "easiest", "easy_first"), ("decreasing", "descending", "hardest")
    return any(word in name for word in easy) and not any(word in name for word in hard)


def _quoted(reason: str, path: str, name: str) -> str:
    """Return a reason with the name of the file in quotes, in the place of its path."""
    reason = reason.replace(path, name)
    return reason.replace(name, f"`{name}`", 1)


@lru_cache(16)
def _numbers(path: str, digest: str) -> NumberTable | None:
    """Return the numbers in a file of this digest; None where reading it takes long."""
    from satdsl.number_files import read_numbers

    file = Path(path)
    if file.suffix in (".txt", ".csv") and file.stat().st_size > LONGEST_TEXT:
        return None
    return read_numbers(file)
