"""The command `satdsl fmt`."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli.app import WRITE, app
from satdsl.cli.output import FAILED, FINDINGS, USAGE, fail, show_findings, stderr, stdout

if TYPE_CHECKING:
    from rich.text import Text

    from satdsl.findings import Finding

STDIN = Path("-")


@app.command(rich_help_panel=WRITE)
def fmt(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files, folders, or - for standard input.", show_default=False),
    ],
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; list the files that would change, and exit with code 1 for them."),
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change as a diff.")] = False,
    upgrade: Annotated[
        bool,
        typer.Option(
            "--upgrade",
            help="Also replace the words of older versions, and raise the `sat` line.",
        ),
    ] = False,
) -> None:
    """Format specifications in the one canonical layout. This never changes a plan."""
    from satdsl.format.rewrite import specifications

    chosen = list(dict.fromkeys(specifications(files)))
    if not chosen:
        fail(f"there are no .sat files in {', '.join(map(str, files))}", USAGE)
    work = _Formatting(write=not (check or diff), diff=diff, upgrade=upgrade)
    for file in chosen:
        work.file(file)
    work.summary(check)
    if work.unreadable:
        fail("; ".join(work.unreadable), USAGE)
    if work.unwritten:
        fail("; ".join(work.unwritten), FAILED)
    if work.findings or (check and work.changed):
        raise typer.Exit(FINDINGS)


class _Formatting:
    """Format files one after the other, and collect what became of them."""

    def __init__(self, write: bool, diff: bool, upgrade: bool) -> None:
        self.write = write
        self.diff = diff
        self.upgrade = upgrade
        self.changed: list[Path] = []
        self.fine = 0
        self.findings: list[Finding] = []
        self.unreadable: list[str] = []
        self.unwritten: list[str] = []
        self.piped = False

    def file(self, path: Path) -> None:
        from satdsl.diagnostics import SpecError
        from satdsl.sources import UnreadableFile, decoded

        try:
            content = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
            old = decoded(path, content)
            new = self._formatted(path, old)
        except OSError as error:
            self.unreadable.append(f"{path} cannot be read: {error.strerror}")
        except UnreadableFile as error:
            self.unreadable.append(str(error))
        except SpecError as error:
            self.findings += error.findings
        else:
            marked = "\ufeff" * content.startswith(codecs.BOM_UTF8)
            self._settle(path, marked + old, new, changed=new.encode() != content)

    def _formatted(self, path: Path, text: str) -> str:
        from satdsl.findings import Source

        source = Source("<stdin>" if path == STDIN else str(path), text)
        if self.upgrade:
            from satdsl.format.upgrade import upgraded

            return upgraded(source)
        from satdsl.format import formatted

        return formatted(source)

    def _settle(self, path: Path, old: str, new: str, changed: bool) -> None:
        from satdsl.format.rewrite import write_anew

        if self.diff and changed:
            stdout().print(_coloured(path, old, new), soft_wrap=True, highlight=False, end="")
        if self.write and path == STDIN:
            self.piped = True
            sys.stdout.buffer.write(new.encode())
            sys.stdout.buffer.flush()
        elif self.write and changed:
            try:
                write_anew(path, new)
            except OSError as error:
                self.unwritten.append(f"{path} cannot be written: {error.strerror}")
                return
        if changed:
            self.changed.append(path)
        else:
            self.fine += 1

    def summary(self, check: bool) -> None:
        show_findings(self.findings, stderr())
        if self.piped:
            return
        if check:
            for path in self.changed:
                typer.echo(f"{path} would change")
        elif self.write:
            for path in self.changed:
                typer.echo(f"formatted {path}")
            if self.fine and not self.changed:
                typer.echo(
                    f"{self.fine} file{'s' * (self.fine > 1)} left as {'they were' if self.fine > 1 else 'it was'}"
                )


def _coloured(path: Path, old: str, new: str) -> Text:
    """Return a unified diff."""
    from difflib import unified_diff

    from rich.text import Text

    styles = {"---": "bold", "+++": "bold", "@@ ": "cyan"}
    text = Text()
    name = "<stdin>" if path == STDIN else str(path)
    for line in unified_diff(_lines(old), _lines(new), name, f"{name} (formatted)", lineterm=""):
        style = styles.get(line[:3]) or {"+": "green", "-": "red"}.get(line[:1], "")
        text.append(f"{line}\n", style=style)
    return text


def _lines(text: str) -> list[str]:
    """Return the lines as a diff shows them: byte order marks and carriage returns visible, a missing newline noted."""
    lines = text.replace("\ufeff", "<U+FEFF>").replace("\r", "^M").split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
    else:
        lines.pop()
    return lines
