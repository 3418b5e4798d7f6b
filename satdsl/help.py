"""Explain findings by their codes, and show how the words of the language are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from satdsl.catalog import show
from satdsl.catalog.pages import FAMILIES, codes, page, pages
from satdsl.concepts import TERMS, concept, words
from satdsl.errors import RequestError
from satdsl.hints import did_you_mean
from satdsl.syntax.layout import RESERVED
from satdsl.syntax.messages import EXAMPLES

BETWEEN = "` or `"
"""The text between the lines of an example that has several."""

FORMS = {
    "split line": (
        "A = random 30% examples seed = 1",
        "A = easiest 10% examples per class by entropy of ref",
        "A = hardest 4 classes by entropy of ref",
        "A = class cat",
        "A = classes 0..4",
        "A = classes cat, dog, 7",
        "A = examples where entropy of ref > 0.5",
        "A = hardest 30% examples by loss of ref under pgd10",
        'A = examples listed in "indices.txt"',
        'A = hardest 30% examples by scores in "scores.npy"',
        "A = hardest 40% examples by loss of itself every 5 epochs",
        'weight A = scores in "weights.npy"',
        "real = images of cifar10",
        "share real = 30%",
        'A = hardest 30% examples by ranking in "hardest_first.pth"',
    ),
    "train line": (
        "select by robust accuracy under pgd7 after each lr drop",
        "attack A with linf, l2",
        "attack A with each of linf, l2 until epoch 20",
        "attack A with one of linf, l2 from epoch 21",
        'attack A with pgd7 scaled by scores in "radii.npy"',
        "loss A = bce(adversarial) + 5*kl(clean, adversarial)*(1 - p(clean))",
        "select at end",
        "select by clean accuracy every epoch",
        "keep weights every 5 epochs",
        "start from ref",
        "start from ref[epoch=20]",
        "seed = $seed",
    ),
    "evaluate": (
        "evaluate sat every 10 epochs { robust = robust accuracy under pgd20 on val }",
        "evaluate sat at end { last = robust accuracy under aa on val }",
    ),
    "train": ("train pruned = resnet on s.A using rice",),
    "transfer line": ("train head",),
    "evaluate line": (
        "difficulty = mean entropy on train by class",
        "curve = robust accuracy under fmn100 at 0..2 step 0.1 on val",
        "distance = median distance under fmn100 on val",
        "away = mean distance under fmn100 on val",
        "attacked = mean loss under pgd10 on val",
        "moved = robust accuracy under pgd20 made on other on val",
        "wobbles = flips(radius=0.1) on val",
    ),
    "sweep line": ("draw = 0..9 if $order == random else 0", "(wd, batch) = [base: (5e-4, 128), small: (1e-4, 64)]"),
    "expect": (
        'expect "hard beats easy": for all share: sat.robust[order=hardest] > sat.robust[order=easiest]',
        'expect "both": sat.clean > 80% and sat.robust > 30%',
    ),
}
"""Examples by construct. Together with those of the messages, they have every word of the language."""


class NoHelp(RequestError):
    """There is no help on this code or word; `help` names the nearest that there is."""


def overview() -> list[RenderableType]:
    """Return a line for each finding, by family, and the words that begin statements."""
    parts: list[RenderableType] = []
    for family, about in FAMILIES.items():
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 1), pad_edge=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for one in pages().values():
            if one.code.startswith(family):
                doubt = f" ({one.severity})" if one.severity != "error" else ""
                table.add_row(Text(one.code, "bold"), Text(one.title + doubt))
        parts += [Text(f"{family}xx: {about}", "bold underline"), table, Text()]
    parts += [Text("Statements", "bold underline"), Padding(Text(", ".join(RESERVED)), (0, 0, 1, 1))]
    terms = ", ".join(TERMS)
    parts += [Text("Terms", "bold underline"), Padding(Text(terms), (0, 0, 1, 1))]
    return [
        *parts,
        Text("`satdsl help E203` explains a finding, `satdsl help split` shows how a word is written", "dim"),
    ]


def topics(asked: list[str]) -> list[str]:
    """Return what is asked about, with words that are one term together as one: `robust accuracy`."""
    found: list[str] = []
    while asked:
        together = next((n for n in range(len(asked), 1, -1) if concept(" ".join(asked[:n])) is not None), 1)
        found.append(" ".join(asked[:together]))
        asked = asked[together:]
    return found


def about(name: str) -> list[RenderableType]:
    """Return the page of a code; or examples of a word of the language, and the catalog's entries of this name.

    Raises:
        NoHelp: there is no such code, word or entry.
    """
    if name.upper() in codes():
        return [Markdown(page(name.upper()).text)]
    word = name.lower() if name.lower() in keywords() else name
    parts = list(_written(word))
    if (term := concept(name)) is not None:
        parts = [Text(term.name, "bold"), Padding(_prose(term.text), (0, 0, 1, 2)), *parts]
    try:
        return [*parts, *show.show(name)]
    except show.UnknownNameError as error:
        if parts:
            return parts
        if error.nearest and error.nearest[0].lower() == name.lower():
            return list(show.show(error.nearest[0]))
        near = did_you_mean(
            name.upper() if re.fullmatch(r"[eE]\d+", name) else name,
            [*codes(), *keywords(), *words()],
        ).text
        near = near or (f"did you mean `{error.nearest[0]}`?" if error.nearest else "`satdsl help` lists all findings")
        raise NoHelp(f"there is no help on `{name}`", near) from None


def _prose(text: str) -> Text:
    """Return sentences with what is to be typed in the colour of examples, and between its backticks everywhere."""
    shown = Text(text)
    shown.highlight_regex(r"`[^`]+`", "cyan")
    return shown


def _written(word: str) -> Iterator[RenderableType]:
    """Yield the statement that a word begins and the lines of its block, or all lines that the word is in."""
    if word in EXAMPLES:
        yield _example(word, [*EXAMPLES[word].split(BETWEEN), *FORMS.get(word, ())])
        if f"{word} line" in EXAMPLES:
            yield _example(f"lines of `{word}`", EXAMPLES[f"{word} line"].split(BETWEEN))
    elif word in keywords():
        for construct, lines in _with(word):
            yield _example(f"`{word}` in `{construct.removesuffix(' line')}`", lines)


def _with(word: str) -> list[tuple[str, list[str]]]:
    """Return the examples that have a word, by construct: lines of blocks, or if there are none whole statements."""
    found = []
    for construct, example in EXAMPLES.items():
        lines = [*example.split(BETWEEN), *FORMS.get(construct, ())]
        if having := [line for line in lines if re.search(rf"\b{word}\b", line)]:
            found.append((construct, having))
    in_blocks = [(construct, lines) for construct, lines in found if construct.endswith("line")]
    return in_blocks or found


def _example(heading: str, lines: list[str]) -> RenderableType:
    return Group(Text(heading, "bold"), *(Padding(Text(line, "cyan"), (0, 0, 0, 2)) for line in lines), Text())


@cache
def keywords() -> frozenset[str]:
    """Return the words to which the grammar gives a meaning."""
    from satdsl.syntax.read import grammar_text

    patterns = re.findall(r"^[_A-Z]+(?:\.\d)?: /\(?([a-z|?]+)", grammar_text(), re.MULTILINE)
    return frozenset(re.findall(r"[a-z]+", " ".join(patterns).replace("?", ""))) | {*RESERVED}
