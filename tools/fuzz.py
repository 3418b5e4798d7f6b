"""Fuzz the code that reads text, guided by coverage: `python tools/fuzz.py check|fmt|lsp -max_total_time=600`.

Whatever the text, the checker, formatter and language server give findings and answers, never another exception; what
the formatter writes reads as the same tree and stays as it is. Needs atheris (`pip install atheris`); the other options
are libFuzzer's. An input that fails is written to a file, and given as an argument it is run again.
"""

from __future__ import annotations

import gc
import re
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
FOLDERS = ("examples", "specs", "tests/compiler/bad", "tests/specs/language", "satdsl/templates")
PATH = "fuzz.sat"
LONGEST = 1200
"""The most characters of a text. Longer texts take longer, and show no other bugs."""

with atheris.instrument_imports(include=["satdsl"]):
    from satdsl.check import check
    from satdsl.diagnostics import SpecError, rendered
    from satdsl.findings import Finding, Source, applied
    from satdsl.format import formatted
    from satdsl.lint import Checked
    from satdsl.lsp.workspace import Workspace
    from satdsl.plan.expand import expand
    from satdsl.sarif import sarif
    from satdsl.syntax.read import read
    from tests.lsp.test_editor_fuzz import ask_everything


def checked(data: bytes) -> None:
    """Check a text and plan it, or show its findings in every format."""
    text = _text(data)
    found = _findings(text)
    rendered(found)
    sarif(Checked(found, ()))
    for finding in found:
        if finding.fix is not None and all(span.source.path == PATH for span, _ in finding.fix.edits):
            _findings(applied(finding.fix, text))


def _findings(text: str) -> tuple[Finding, ...]:
    try:
        experiment = check(PATH, text)
    except SpecError as error:
        return error.findings
    plan = expand(experiment)
    assert plan.steps.keys() == plan.labels.keys()
    return experiment.warnings


def laid_out(data: bytes) -> None:
    """Format a text that can be read: its tree must stay, and formatting it again must change nothing."""
    source = Source(PATH, _text(data))
    try:
        text = formatted(source)
    except SpecError:
        return
    again = Source(PATH, text)
    assert read(again)[0] == read(source)[0]
    assert formatted(again) == text


def edited(data: bytes) -> None:
    """Open a text in the language server, change it to another, and ask for every feature in both."""
    given = atheris.FuzzedDataProvider(data)
    where = given.ConsumeProbability()
    cut = given.ConsumeIntInRange(0, LONGEST)
    text = _text(given.ConsumeBytes(len(data)))
    workspace = Workspace()
    document = workspace.open("file:///fuzz.sat", text[:cut])
    for now in (text[:cut], text):
        document.source = Source("/fuzz.sat", now)
        ask_everything(workspace.snapshot(document), int(where * len(now)))


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")[:LONGEST]


def main() -> None:
    target = {"check": checked, "fmt": laid_out, "lsp": edited}[sys.argv.pop(1)]
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder, "seeds")
        seeds.mkdir()
        texts = [path.read_text("utf-8") for name in FOLDERS for path in sorted((ROOT / name).rglob("*.sat"))]
        for number, text in enumerate(texts):
            Path(seeds, str(number)).write_text(text[:LONGEST], "utf-8")
        words = {word for text in texts for word in re.findall(r"[$\w.%]{3,}", text) if word.isascii()}
        dictionary = Path(folder, "words")
        dictionary.write_text("".join(f'"{word}"\n' for word in sorted(words)), "utf-8")
        usual = [f"-dict={dictionary}", "-max_len=1200", "-timeout=60", "-rss_limit_mb=4096"]
        atheris.Setup([sys.argv[0], *usual, *sys.argv[1:], *([] if _reruns() else [str(seeds)])], target)
        atheris.Fuzz()


def _reruns() -> bool:
    return any(not word.startswith("-") for word in sys.argv[1:])


if __name__ == "__main__":
    main()
