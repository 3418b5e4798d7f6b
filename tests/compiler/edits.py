"""Edit good specifications at random as people mistype, and measure what the checker says of the results.

`python tests/compiler/edits.py` prints the figures over `EDITS` edits of every specification of the repository.
"""

from __future__ import annotations

import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from satdsl.compile import compile_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding
from satdsl.lint import fixed

ROOT = Path(__file__).parents[2]
COPIED = ("specs", "examples", "tests/specs/language")
"""The folders that specifications are taken from, with what they use."""

EDITS = 10_000
SEED = 20

TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?%?|\$?[^\W\d]\w*|\.\.|>=|<=|==|!=|[^\s\w]')
"""What a text is edited by: comments, texts, numbers, words, signs."""


@dataclass(frozen=True)
class Edit:
    """A changed text: what was done at which place (`start` to `end` of the changed text)."""

    kind: str
    text: str
    start: int
    end: int


@dataclass
class Figures:
    """What was found over many edits."""

    edits: int = 0
    unnoticed: int = 0
    """Edits without a finding that leave the plan as it was, as that of a title."""
    silent: int = 0
    """Edits without a finding that make another plan: another number may be meant."""
    told: int = 0
    """Edits with a finding."""
    stands_there: int = 0
    """Of these, those whose first finding stands on the edit."""
    restored: int = 0
    """Of these, those whose fixes give the plan again."""
    wrongly_fixed: int = 0
    """Of these, those whose fixes leave no finding and give another plan."""
    no_way_out: Counter[str] = field(default_factory=Counter)
    """Findings with neither help nor a fix, by code and message."""
    examples: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Give the figures as text."""
        yield f"{self.edits:,} edits, {self.told:,} with findings, {self.silent:,} that say something else"
        yield f"the first finding stands on the edit: {_share(self.stands_there, self.told)}"
        yield f"fixes restore the plan: {_share(self.restored, self.told)}"
        yield f"fixes make another plan: {_share(self.wrongly_fixed, self.told)}"
        yield f"findings without a way out: {sum(self.no_way_out.values()):,}"


def _share(part: int, of: int) -> str:
    return f"{part / of:.1%} ({part:,} of {of:,})" if of else "none"


def specifications() -> list[Path]:
    """Return every specification of the repository that stands alone or beside what it uses."""
    return [path for place in COPIED for path in sorted((ROOT / place).rglob("*.sat"))]


def edited(text: str, draw: random.Random) -> Edit | None:
    """Return `text` with one random edit; None where this draw has none."""
    tokens = [match for match in TOKEN.finditer(text) if match[0][0] != "#"]
    place = draw.randrange(len(tokens))
    token, kind = tokens[place], draw.choice(("drop", "swap", "misspell", "unit", "double"))
    before, after = text[: token.start()], text[token.end() :]
    match kind:
        case "drop":
            gap = " " if fuses(before, after) else ""
            return Edit(kind, before + gap + after, token.start(), token.start() + len(gap))
        case "double":
            return Edit(kind, f"{before}{token[0]} {token[0]}{after}", token.start(), token.end() + 1 + len(token[0]))
        case "swap" if place + 1 < len(tokens):
            other = tokens[place + 1]
            between = text[token.end() : other.start()]
            pieces = before, other[0], between, token[0], text[other.end() :]
            fused = any(fuses(one, following) for one, following in pairwise(filter(None, pieces)))
            if "\n" in between or other[0] == token[0] or fused:
                return None
            return Edit(kind, "".join(pieces), token.start(), other.end())
        case "misspell" if re.fullmatch(r"\$?[^\W\d]\w{3,}", token[0]):
            word = misspelt(token[0], draw)
            return (
                None
                if word == token[0]
                else Edit(kind, before + word + after, token.start(), token.start() + len(word))
            )
        case "unit" if token[0][0].isdigit():
            number = token[0].rstrip("%")
            word = number if token[0].endswith("%") else f"{number}%"
            return Edit(kind, before + word + after, token.start(), token.start() + len(word))
    return None


def fuses(before: str, after: str) -> bool:
    """Whether two texts side by side would make one word of two."""
    return bool(re.search(r"[\w$]$", before) and re.match(r"[\w$]", after))


def misspelt(word: str, draw: random.Random) -> str:
    """Return a word with one mistake of typing: a letter left out, doubled, wrong, or swapped with the next."""
    at = draw.randrange(1 + word.startswith("$"), len(word) - 1)
    match draw.randrange(4):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + word[at] + word[at:]
        case 2:
            return word[:at] + draw.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def measured(count: int, seed: int = SEED, paths: Sequence[Path] = ()) -> Figures:
    """Return the figures over `count` edits of the specifications, drawn by `seed`."""
    figures, draw = Figures(), random.Random(seed)
    files = list(paths) or specifications()
    plans = {path: frozenset(compile_file(path).plan.steps) for path in files}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "copy"
        for folder_of in COPIED:
            shutil.copytree(ROOT / folder_of, place / folder_of)
        while figures.edits < count:
            path = draw.choice(files)
            edit = edited(path.read_text("utf-8"), draw)
            if edit is not None:
                _measure(figures, edit, place / path.relative_to(ROOT), plans[path])
    return figures


def _measure(figures: Figures, edit: Edit, path: Path, plan: frozenset[str]) -> None:
    original = path.read_text("utf-8")
    figures.edits += 1
    try:
        path.write_text(edit.text, "utf-8")
        found, keys = _checked(path)
        if not found:
            figures.unnoticed += keys == plan
            figures.silent += keys != plan
            return
        figures.told += 1
        for one in found:
            if not one.help and one.fix is None:
                figures.no_way_out[f"{one.code} {re.sub('`[^`]*`', '`...`', one.message)}"] += 1
                figures.examples.setdefault(one.code + one.message[:40], []).append(_line(edit.text, edit.start))
        figures.stands_there += _stands_there(found[0], edit, path)
        if keys == plan:
            figures.restored += 1
            return
        fixed(path, {})
        left, keys = _checked(path)
        figures.restored += keys == plan
        figures.wrongly_fixed += keys not in (plan, None) and not left
        if keys != plan:
            figures.examples.setdefault(f"not restored: {edit.kind} {found[0].code}", []).append(
                _line(edit.text, edit.start) + "   | " + found[0].message + " | " + found[0].help
            )
        if not _stands_there(found[0], edit, path):
            figures.examples.setdefault(f"elsewhere: {edit.kind} {found[0].code}", []).append(
                _line(edit.text, edit.start) + "   | " + found[0].span.text[:40] + " | " + found[0].message
            )
    finally:
        path.write_text(original, "utf-8")


def _line(text: str, at: int) -> str:
    start = text.rfind("\n", 0, at) + 1
    return text[start : text.find("\n", at)].strip()


def _checked(path: Path) -> tuple[list[Finding], frozenset[str] | None]:
    """Return what is found, errors first, and the keys of the plan, if there is one."""
    try:
        compiled = compile_file(path)
    except SpecError as error:
        return sorted(error.findings, key=lambda one: one.severity != "error"), None
    return list(compiled.experiment.warnings), frozenset(compiled.plan.steps)


def _stands_there(finding: Finding, edit: Edit, path: Path) -> bool:
    """Whether a finding is about the edited place: the token there, or the one on either side of it."""
    span = finding.span
    if span is None or Path(span.source.path) != path:
        return False
    around = list(TOKEN.finditer(edit.text))
    before = [token for token in around if token.end() <= edit.start]
    after = [token for token in around if token.start() >= edit.end]
    start = before[-1].start() if before else 0
    end = after[0].end() if after else len(edit.text)
    return span.start <= end and start <= span.end


if __name__ == "__main__":
    found = measured(int(sys.argv[1]) if len(sys.argv) > 1 else EDITS)
    print(*found.lines(), sep="\n")
    for text, count in found.no_way_out.most_common():
        print(f"{count:6} {text}")
    if "-v" in sys.argv:
        for name, texts in found.examples.items():
            print(f"\n{name}: {len(texts)}")
            for text in texts[:12]:
                print("   ", text)
