"""Markdown pages of findings to data: what each code means, why, and an example, wrong and right.

`findings/E203.md` is a title, a line `error in names`, paragraphs, and below `## Wrong` and `## Right` a specification
in a fence `sat`. Fences before it with a `title` are files that it uses; `data-files` names files that have to be there
(`sample_files` knows what is in some of them; another that ends in `.png` is a small image, one for each name), and
links, as in `a>b`. `data-set` is what is given with `--set`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from satdsl.catalog.sample_files import content, png
from satdsl.records import Record, record

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

FAMILIES = {
    "E1": "reading",
    "E2": "names",
    "E3": "values, units, ranges, files",
    "E4": "splits and parts",
    "E5": "training, selection, transfer",
    "E6": "attacks and threat models",
    "E7": "sweeps, results, claims",
}
"""What the findings of each hundred are about."""

MAIN = "main.sat"
"""What an example's own file is called."""

_FENCE = re.compile(r"^```(?:sat|python)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')


@record
class FindingExample(Record):
    """A specification, the files that it uses, those that need only be there, and what `--set` gives."""

    text: str
    used: Mapping[str, str]
    present: tuple[str, ...]
    overrides: Mapping[str, str]

    def written(self, folder: Path) -> Path:
        """The specification as a file in a folder, with all that it needs."""
        for name in self.present:
            _put(folder, name)
        for name, text in {**self.used, MAIN: self.text}.items():
            (folder / name).write_text(text, "utf-8")
        return folder / MAIN


def _put(folder: Path, name: str) -> None:
    """Make a file that has to be there, or a link, and the folders around it."""
    name, _, target = name.partition(">")
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if target:
        place.unlink(missing_ok=True)
        place.symlink_to(target)
    else:
        place.write_bytes(content(name) or (_image(name) if name.endswith(".png") else b""))


@record
class FindingPage(Record):
    """All there is to say of one code. `text` is the whole page in Markdown, `about` its paragraphs."""

    code: str
    title: str
    severity: str
    family: str
    about: str
    wrong: FindingExample
    right: FindingExample
    text: str


@cache
def codes() -> tuple[str, ...]:
    """Every code that has a page, in order."""
    return tuple(sorted(f.name.removesuffix(".md") for f in _folder().iterdir() if f.name.endswith(".md")))


@cache
def page(code: str) -> FindingPage:
    """The page of a code; raises `KeyError` where it has none."""
    if code not in codes():
        raise KeyError(code)
    text = (_folder() / f"{code}.md").read_text("utf-8")
    head, wrong, right = re.split(r"^## (?:Wrong|Right)\n", text, flags=re.MULTILINE)
    title, severity, about = head.split("\n\n", 2)
    return FindingPage(
        code=code,
        title=title.removeprefix(f"# {code}: "),
        severity=severity.partition(" in ")[0],
        family=FAMILIES[code[:2]],
        about=about.strip(),
        wrong=_example(wrong),
        right=_example(right),
        text=text,
    )


def pages() -> dict[str, FindingPage]:
    """Every page, by its code, in order."""
    return {code: page(code) for code in codes()}


def address(code: str) -> str | None:
    """Where an editor opens a code's page; None where the package is no folder of files."""
    place = _folder() / f"{code}.md"
    return place.as_uri() if isinstance(place, Path) and place.is_file() else None


def index(messages: Mapping[str, str], link: str = "") -> str:
    """The table of all findings in Markdown, a section a family.

    `messages` has what is said of each page's wrong example. `link` is where the page of `{code}` lies, if anywhere.
    """
    parts = [_INTRODUCTION]
    for family, about in FAMILIES.items():
        rows = [
            f"| {f'[{page.code}]({link.format(code=page.code)})' if link else page.code} | {page.severity} "
            f"| {_cell(page.title)} | {_cell(messages[page.code])} |"
            for page in pages().values()
            if page.code.startswith(family)
        ]
        heading = f"## {family}xx: {about}\n\n| code | | means | for example |\n|---|---|---|---|"
        parts.append("\n".join([heading, *rows]))
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """# Findings

Every finding has a code, the exact place, what is wrong, why it matters and, where there is one, the way out. All
findings of a specification are shown in one go, the first hundred in full. Errors end `check` with exit code 1;
warnings do under `--strict`. `satdsl help E203` has a page for each code: what it means, why, and an example, wrong and
right.

A warning that is meant is accepted in the file, for a reason that the report shows:
`# sat: allow E609 because the question is robustness to unseen norms`, on the line above or at the end of the line
([comments](language.md)).

Where it is certain what was meant, a finding has a fix: a misspelt name, a missing `sat 1`, quote, bracket or word,
`eps=8` under Linf, a share written as a number, the same said twice, an argument or a line that has to be there.
`satdsl check --fix` makes all of them, says what it did, and shows what is left. `--format json`, `sarif` and `github`
are described in [formats](formats.md#findings)."""


def _folder() -> Traversable:
    return files(__package__) / "findings"


def _example(text: str) -> FindingExample:
    used: dict[str, str] = {}
    for attributes, body in _FENCE.findall(text):
        given = dict(_ATTRIBUTE.findall(attributes))
        if "title" in given:
            used[given["title"]] = body
        else:
            present = [name for names in given.get("data-files", "").split() for name in _expanded(names)]
            set_ = given.get("data-set", "").split()
            overrides = dict(one.split("=", 1) for one in set_)
            return FindingExample(body, used, tuple(present), overrides)
    raise ValueError(f"no example in {text!r}")


def _expanded(names: str) -> list[str]:
    """Return every name that one with choices in braces stands for, as in a shell."""
    before, brace, rest = names.partition("{")
    if not brace:
        return [names]
    choices, _, after = rest.partition("}")
    return [before + choice + end for choice in choices.split(",") for end in _expanded(after)]


def _image(name: str) -> bytes:
    """Return a PNG of 8 x 8 grey pixels, which are others for each name."""
    return png(8, hashlib.sha512(name.encode()).digest())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
