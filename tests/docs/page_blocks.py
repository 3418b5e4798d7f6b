"""The code blocks of a page, each done as its language and marks say, in a folder of the page's own.

- ```sat: a specification without findings. `title="x.sat"` puts it into the folder. `fragment`: statements beside those
  of `context.sat` (or of `in="x.sat"`), which they replace where they declare the same; `fragment=split` (`train`,
  `evaluate`, `sweep`): lines of such a block. `wrong="E203"`: what has these errors, and no others; `warns="E602"`:
  what has these warnings.
- ```python: run in one namespace a page; ```text output: what the blocks since the last one have printed.
- ```text unformatted: what `satdsl fmt` makes the next ```sat formatted of.
- ```console: `$ command` lines with what they print; `...` stands for any text in a line, a line of it for any lines.
  `exit="1"` is the last command's exit code. A command without output is run and may print anything. `figures=vary`:
  numbers are not compared, since another processor trains to others.
- ```json, yaml, toml: read. ```diff: put into the folder, for a command to apply.
- `title="x.txt"` puts any block into the folder; `<!-- before: command -->` runs one that readers need not see.
- `unrun="reason"`: not run. What it calls of satdsl exists all the same, options included.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main
import yaml
from typer.testing import CliRunner

from satdsl.cli import app
from satdsl.compile import check_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Source
from satdsl.format import formatted
from satdsl.syntax import tree
from satdsl.syntax.read import read
from tools.manual.fences import Block, blocks

ROOT = Path(__file__).parents[2]
CONTEXT = Path(__file__).with_name("context.sat")
BEFORE = re.compile(r"^<!-- before: (.*?) -->$", re.MULTILINE)
SHELL = set("|&;<>*`$")
"""Characters that need a shell."""


class Page:
    """A page's folder and names, while its blocks are done in order."""

    def __init__(self, page: Path, folder: Path, update: bool = False) -> None:
        self.page, self.folder, self.update = page, folder, update
        self.renewed: list[tuple[int, str, str]] = []
        self.names: dict[str, Any] = {}
        self.unformatted = ""
        self.printed = io.StringIO()
        self.before = [(_line(page, found.start()), found[1]) for found in BEFORE.finditer(page.read_text("utf-8"))]

    def do(self, block: Block) -> None:
        """Do one block; an AssertionError says what is not as the page has it."""
        while self.before and self.before[0][0] < block.line:
            done = shell(self.before.pop(0)[1])
            assert done[0] == 0, done[1]
        if "title" in block.marks and block.language != "sat":
            (self.folder / block.marks["title"]).write_text(block.text, "utf-8")
        if "unrun" in block.marks:
            unrun(block)
            return
        how: dict[str, Callable[[Block], None]] = {
            "sat": self.sat,
            "python": self.python,
            "console": self.console,
            "diff": self.diff,
            "text": self.text,
            "json": lambda block: json.loads(block.text),
            "yaml": lambda block: yaml.safe_load(block.text),
            "toml": lambda block: tomllib.loads(block.text) and None,
        }
        assert block.language in how, f"nobody knows how to try a block of `{block.language or 'no language'}`"
        how[block.language](block)

    def sat(self, block: Block) -> None:
        if "formatted" in block.marks:
            self.compare(block, "satdsl fmt", block.text, formatted(Source(str(block.page), self.unformatted)))
            return
        text = block.text
        if "fragment" in block.marks:
            text = self.completed(block)
        elif "wrong" not in block.marks:
            self.in_layout(block)
        place = self.folder / block.marks.get("title", f"block-{block.line}.sat")
        place.write_text(text, "utf-8")
        fragment = "fragment" in block.marks
        found = findings(place)
        wanted, doubted = (set(block.marks.get(mark, "").split()) for mark in ("wrong", "warns"))
        codes = {f.code for f in found if f.severity == "error" or (f.code not in doubted and not fragment)}
        missing = doubted - {f.code for f in found}
        assert not missing, f"no warning {missing}"
        said = "; ".join(f"{f.code} {f.message} ({f.span.text})" for f in found)
        assert codes == wanted, said or "no findings"

    def in_layout(self, block: Block) -> None:
        """A whole specification stands on a page as `satdsl fmt` writes it."""
        self.compare(block, "satdsl fmt", block.text, formatted(Source(str(block.page), block.text)))

    def completed(self, block: Block) -> str:
        """A fragment among the statements of its context that it does not declare itself."""
        context = self.folder / block.marks["in"] if "in" in block.marks else CONTEXT
        inside = block.marks["fragment"]
        text = INSIDE[inside].format(block.text) if inside else block.text
        new, _ = read(Source("fragment", text))
        old, _ = read(Source(str(context), context.read_text("utf-8")))
        own = {name for statement in new.statements for name in declared(statement)}
        kept = [s.span.text for s in old.statements if not own & set(declared(s))]
        return "\n".join([*kept, text])

    def python(self, block: Block) -> None:
        with contextlib.redirect_stdout(self.printed):
            exec(compile("\n" * block.line + block.text, str(block.page), "exec"), self.names)

    def diff(self, block: Block) -> None:
        assert "title" in block.marks, "a change is put into a file, and a later command applies it"

    def text(self, block: Block) -> None:
        if "unformatted" in block.marks:
            self.unformatted = block.text
            return
        assert "output" in block.marks, "a text that nothing compares is marked: unrun"
        self.compare(block, "the Python above", block.text, self.printed.getvalue())
        self.printed = io.StringIO()

    def console(self, block: Block) -> None:
        told = list(commands(block.text))
        assert told, "no line begins with `$ `"
        for i, (command, output) in enumerate(told):
            code, printed = satdsl(command) if simple(command) else shell(command)
            wanted = int(block.marks.get("exit", 0)) if i == len(told) - 1 else 0
            assert code == wanted, f"`{command}` ended with {code}:\n{printed}"
            if output.strip():
                self.compare(block, f"$ {command}", output, printed)

    def compare(self, block: Block, command: str, wanted: str, got: str) -> None:
        try:
            same(wanted, got, command, vary="figures" in block.marks)
        except AssertionError:
            if not self.update:
                raise
            self.renewed.append((block.line, wanted, plain(got)))

    def write(self) -> None:
        """Put what was printed where the page has something else (`--update-golden`)."""
        lines = self.page.read_text("utf-8").split("\n")
        place, shift = 0, 0
        for line, wanted, got in self.renewed:
            old, new = wanted.strip("\n").split("\n"), got.split("\n")
            place = max(place, line + shift)
            place = next(i for i in range(place, len(lines)) if lines[i : i + len(old)] == old)
            lines[place : place + len(old)] = new
            place, shift = place + len(new), shift + len(new) - len(old)
        if self.renewed:
            self.page.write_text("\n".join(lines), "utf-8")


INSIDE = {
    "split": "split fragment_split of digits10 {{\n{0}\n}}",
    "train": "train fragment_train = cnn on parts using short {{\n{0}\n}}",
    "transfer": "transfer fragment_head = ref to digits10 using short {{\n{0}\n}}",
    "evaluate": "evaluate sat {{\n{0}\n}}",
    "sweep": "sweep {{\n{0}\n}}",
}


def declared(statement: tree.Statement) -> Iterator[str]:
    """What a statement declares, so that the same of a context makes room for it."""
    kind = type(statement).__name__
    if isinstance(statement, tree.Sweep):
        for line in statement.lines:
            yield from (f"${axis.text}" for axis in line.names)
    elif isinstance(statement, tree.Evaluate):
        yield from (f"evaluate {name.text}" for name in statement.trained)
    elif isinstance(statement, tree.Param):
        yield f"${statement.name.text}"
    elif kind in ("Version", "Title", "Expect"):
        yield kind
    elif hasattr(statement, "name"):
        yield statement.name.text


def findings(place: Path) -> tuple[Any, ...]:
    try:
        return tuple(check_file(place).warnings)
    except SpecError as error:
        return error.findings


def unrun(block: Block) -> None:
    """A block that is not run has a reason, and names commands and options that exist."""
    assert block.marks["unrun"].strip(), "a block that is not run says why"
    if block.language != "console":
        return
    for command, _ in commands(block.text):
        words = shlex.split(command.replace("[", " ").replace("]", " "), comments=True)
        if words and words[0] == "satdsl":
            known = typer.main.get_command(app)
            used = [word.split("=")[0] for word in words[1:] if word.startswith("-")]
            for word in words[1:]:
                if word in getattr(known, "commands", {}):
                    known = known.commands[word]  # type: ignore[attr-defined]
            options = {name for one in known.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
            assert not set(used) - options, f"`{command}` has options that do not exist"


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command, `\\` at the end of a line continuing it, and what the page has for its output."""
    lines = text.splitlines()
    while lines:
        line = lines.pop(0)
        assert line.startswith("$ "), f"output before any command: {line}"
        command = line[2:]
        while command.endswith("\\"):
            command = command[:-1] + lines.pop(0).removeprefix("> ")
        output = []
        while lines and not lines[0].startswith("$ "):
            output.append(lines.pop(0))
        yield command, "\n".join(output)


def simple(command: str) -> bool:
    quoted_out = re.sub(r"'[^']*'", "", command)
    return command.startswith("satdsl ") and not SHELL & set(quoted_out)


def satdsl(command: str) -> tuple[int, str]:
    """Exit code and output of the command in this process, which has imported torch already."""
    words = shlex.split(command, comments=True)[1:]
    try:
        done = CliRunner().invoke(app, words, env={"COLUMNS": "80", "NO_COLOR": "1"})
    finally:
        gc.enable()
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def shell(command: str) -> tuple[int, str]:
    own = {"SATDSL": str(ROOT), "PYTHONPATH": str(ROOT), "COLUMNS": "80", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    start = f'satdsl() {{ "{sys.executable}" -m satdsl "$@"; }}; python() {{ "{sys.executable}" "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", start + command],
        env={**os.environ, **own, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


CONTINUED = re.compile(r"[ ]*\n[ ]{15,}(?=\S)")
"""Where a cell goes on in the next line of a table."""

NUMBER = re.compile(r"[+-]?\d[\d,.]*(?: [kMG]\b)?")


def plain(printed: str) -> str:
    """Output without spaces at the ends of lines, and without empty lines around it."""
    return "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())


def same(wanted: str, got: str, command: str = "", *, vary: bool = False) -> None:
    """The page's output is what was printed, `...` standing for what differs from run to run; numbers may `vary`.

    Where they do, so does where the words around them are broken into lines.
    """
    if vary:
        wanted, got = (_without_numbers(text) for text in (wanted, got))
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line.rstrip()).replace(r"\.\.\.", "[^\n]*") + "\n"
        for line in wanted.strip("\n").splitlines()
    )
    assert re.fullmatch(pattern, f"{plain(got)}\n"), f"{command}\nprints:\n{plain(got)}\n\nand the page has:\n{wanted}"


def _without_numbers(text: str) -> str:
    one_line = CONTINUED.sub(" ", text.replace("...", "\0"))
    return re.sub(r"[ ─]+", " ", NUMBER.sub("#", one_line)).replace("\0", "...")


def _line(page: Path, offset: int) -> int:
    return page.read_text("utf-8").count("\n", 0, offset) + 1


def pages() -> list[Path]:
    """All pages that readers see."""
    written = sorted((ROOT / "docs").rglob("*.md"))
    return [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")), *written]


__all__ = ["ROOT", "Block", "Page", "blocks", "pages", "same"]
