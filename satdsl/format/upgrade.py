"""Write a specification in the words of the newest language version."""

from __future__ import annotations

from satdsl.check.collector import FindingCollector
from satdsl.check.renamed import renamed
from satdsl.check.used_files import LANGUAGE, check_version
from satdsl.diagnostics import SpecError
from satdsl.findings import Fix, Source, applied
from satdsl.format import formatted
from satdsl.syntax import tree
from satdsl.syntax.read import read


def upgraded(source: Source) -> str:
    """Return the formatted text in the words of the newest version, with its `sat` line raised or added.

    Raises:
        SpecError: it cannot be read, or is written in a newer version of the language than this satdsl knows.
    """
    file, findings = read(source)
    if findings:
        raise SpecError(findings)
    version = FindingCollector()
    check_version(source, file, version)
    wrong = [finding for finding in version.all.values() if finding.severity == "error"]
    if wrong:
        raise SpecError(wrong)
    edits = [change.edit for change in renamed(file)[1]]
    versions = [statement for statement in file.statements if isinstance(statement, tree.Version)]
    edits += [(statement.number.span, str(LANGUAGE)) for statement in versions if statement.number.value < LANGUAGE]
    text = applied(Fix("upgrade", tuple(edits)), source.text)
    if file.statements and not versions:
        text = f"sat {LANGUAGE}\n{text}"
    return formatted(Source(source.path, text))
