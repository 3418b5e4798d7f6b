"""Write docs/reference/findings.md from the pages in satdsl/catalog/findings: `python tools/findings.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from satdsl.catalog.pages import FindingExample, index, pages
from satdsl.compile import check_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding

TARGET = Path(__file__).parents[1] / "docs/reference/findings.md"


def findings_of(example: FindingExample, folder: Path) -> tuple[Finding, ...]:
    """Return what is found in an example, which is written into a folder."""
    try:
        return check_file(example.written(folder), example.overrides).warnings
    except SpecError as error:
        return error.findings


def first_message(code: str, example: FindingExample) -> str:
    """Return the message for an example of a code, in a folder whose name reads well."""
    with tempfile.TemporaryDirectory() as folder:
        found = findings_of(example, Path(folder).resolve())
        return next(f.message for f in found if f.code == code).replace(str(Path(folder).resolve()), "/home/me")


def written() -> str:
    """Return the index of all findings."""
    return index({code: first_message(code, page.wrong) for code, page in pages().items()})


if __name__ == "__main__":
    TARGET.write_text(written(), "utf-8")
