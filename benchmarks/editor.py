"""Keys typed into a specification of 500 lines to milliseconds: what a language server takes to answer an editor.

The server is a process of its own and is spoken to over its standard input and output, as by an editor. After each key
the benchmark waits for the diagnostics of the new text, then asks what editors ask while one types.

    python benchmarks/editor.py
"""

from __future__ import annotations

import argparse
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import timing

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lsp"))

from lsp_client import Editor  # noqa: E402

URI = "file:///benchmark/paper.sat"
AGAIN = (("fig5-csat.sat", "csat", "again_csat"), ("fig6-esat.sat", "esat", "again_esat"))
"""Files of the paper that come once more, with what is renamed in them: 500 lines in all."""


@dataclass(frozen=True)
class Typing:
    """Keys that are typed one after the other, behind `before`; what they are about."""

    about: str
    before: str
    keys: str
    depends: str


TYPINGS = (
    Typing(
        "a training and its measure",
        "# Linf on ImageNet-200",
        "\ntrain extra = net32 on hard10 using sgd32 { attack A with fgsm32; select by robust accuracy under aa32 }\n"
        "evaluate extra { clean = clean accuracy on val }\n#",
        "nothing else",
    ),
    Typing(
        "a claim",
        "\n# SVHN.",
        '\nexpect "half is enough": esat10_sat.robust[order=hardest, share=50%] >= full10.robust - 4%\n#',
        "nothing else",
    ),
    Typing("a comment", "# Nine sizes of A;", " and more of it, in words that change nothing", "nothing"),
    Typing("a split's weight", "weight A = (1 + $share/10%)", "*1.25 + 0.125", "two trainings and a transfer"),
    Typing("an axis's values", "beta = [1, 6, 12, 24", ", 48, 96", "one training at six points"),
    Typing("the radius of an attack", "attack  pgd32", " ", "two thirds of the file"),
    Typing("a data set's hold-out", " = CIFAR10(", "limit=40000, ", "half of the file"),
)


@dataclass
class Times:
    """Milliseconds by what was waited for: that passed, and that the server computed."""

    pid: int
    of: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def measure(self, what: str, ask: Callable[[], Any]) -> None:
        begun, computed = time.perf_counter(), cpu_milliseconds(self.pid)
        ask()
        passed = 1000 * (time.perf_counter() - begun)
        self.of.setdefault(what, []).append((passed, cpu_milliseconds(self.pid) - computed))


def specification() -> str:
    """The paper as one file, and two of its figures once more."""
    lines = ["sat 1", 'title "The paper in one file"']
    seen: set[str] = set()

    def add(name: str, old: str = "", new: str = "") -> None:
        for line in (ROOT / "specs" / name).read_text("utf-8").splitlines():
            used = re.match(r'use "(.*)"', line)
            if used is None:
                if not line.startswith(("sat 1", "title ")) and not (old and re.match(r'published "[^"]*" full', line)):
                    lines.append(line.replace(old, new) if old else line)
            elif used[1] not in seen:
                seen.add(used[1])
                add(used[1])

    add("paper.sat")
    for name, old, new in AGAIN:
        add(name, old, new)
    return "\n".join(lines) + "\n"


def type_keys(editor: Editor, typing: Typing, times: Times, answers: Times) -> None:
    """Type some keys, each awaited with its diagnostics and what editors ask; then take them out again."""
    text = editor.texts[URI]
    start = place = text.index(typing.before) + len(typing.before)
    for key in typing.keys:
        times.measure(typing.about, partial(type_key, editor, place, key))
        place += 1
        for what, ask in questions(editor, place):
            answers.measure(what, ask)
    editor.change(URI, start, place, "")
    editor.diagnostics(URI)
    assert editor.texts[URI] == text


def type_key(editor: Editor, place: int, key: str) -> None:
    editor.change(URI, place, place, key)
    editor.diagnostics(URI)


def questions(editor: Editor, place: int) -> list[tuple[str, Callable[[], Any]]]:
    """What editors ask while one types, and what one asks them."""
    whole, here = editor.whole(URI), {"start": editor.position(URI, place), "end": editor.position(URI, place)}
    return [
        ("completion", lambda: editor.at("completion", URI, place)),
        ("signature help", lambda: editor.at("signatureHelp", URI, place)),
        ("semantic tokens", lambda: editor.of("semanticTokens/full", URI)),
        ("inlay hints, whole file", lambda: editor.of("inlayHint", URI, range=whole)),
        ("document symbols", lambda: editor.of("documentSymbol", URI)),
        ("folding", lambda: editor.of("foldingRange", URI)),
        ("code actions", lambda: editor.of("codeAction", URI, range=here, context={"diagnostics": []})),
        ("hover", lambda: editor.at("hover", URI, place - 1)),
        ("definition", lambda: editor.at("definition", URI, place - 1)),
        ("references", lambda: editor.at("references", URI, place - 1, context={"includeDeclaration": True})),
    ]


def cpu_milliseconds(pid: int) -> float:
    """What the main thread of a process has computed so far; nan where the system does not tell (Linux does)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    except OSError:
        return float("nan")


# --- the report ----------------------------------------------------------------------------------


def table(times: Times, names: tuple[str, ...], more: Callable[[str], tuple[str, ...]]) -> list[str]:
    """Median, 95th percentile and maximum of each kind, of both clocks."""
    head = [*names, "number", *(f"{what} {clock}" for clock in ("ms", "CPU ms") for what in ("median", "95 %", "most"))]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(names)}{'---:|' * 7}"]
    for what, found in times.of.items():
        numbers = [number for clock in zip(*found, strict=True) for number in summary(clock)]
        lines.append(f"| {' | '.join([what, *more(what), f'{len(found):,}', *(f'{n:.1f}' for n in numbers)])} |")
    return lines


def summary(found: Sequence[float]) -> tuple[float, float, float]:
    return statistics.median(found), percentile(found, 0.95), max(found)


def percentile(found: Sequence[float], share: float) -> float:
    return sorted(found)[min(len(found) - 1, int(share * len(found)))]


def report(text: str, times: Times, answers: Times, opened: tuple[float, float], load: float) -> list[str]:
    """The whole result page."""
    depends = {typing.about: typing.depends for typing in TYPINGS}
    passed, computed = (
        summary(clock) for clock in zip(*(one for found in times.of.values() for one in found), strict=True)
    )
    number = sum(map(len, times.of.values()))
    return [
        "# Typing into a specification",
        "",
        *timing.paragraph(
            "Written by `benchmarks/editor.py`. Keys typed one by one into a specification of "
            f"{len(text.splitlines()):,} lines (the paper in one file, two of its figures twice), through a real "
            "server over its standard input and output. `ms` is what an editor waits, `CPU ms` what the server "
            "computes meanwhile: on a machine that others use, the first has their share in it."
        ),
        "## From a key to the findings of the new text",
        "",
        *timing.paragraph(
            "From sending `textDocument/didChange` to having `textDocument/publishDiagnostics` for that version. "
            "After a check that computes for more than 50 ms the next one waits for a pause of 100 ms in the typing, "
            "which is in these times: so it is where most of the file depends on what is typed."
        ),
        *table(times, ("typed", "on which depends"), lambda what: (depends[what],)),
        "",
        *timing.paragraph(
            f"All {number:,} keys: median {passed[0]:.1f} ms, 95 % {passed[1]:.1f} ms, most {passed[2]:.1f} ms; "
            f"computed {computed[0]:.1f}, {computed[1]:.1f} and {computed[2]:.1f} ms. The first check, when the file "
            f"is opened: {opened[0]:.0f} ms, {opened[1]:.0f} ms of them computed."
        ),
        "## Requests",
        "",
        *timing.paragraph("After each of these keys, once the findings are there, in this order."),
        *table(answers, ("request",), lambda what: ()),
        "",
        f"{timing.processor()}; Python {platform.python_version()}, pygls {version('pygls')}.",
        timing.load_line(load),
    ]


def main() -> None:
    """Measure, print, and write the result page."""
    parser = argparse.ArgumentParser(description="Milliseconds that the language server takes while one types.")
    parser.add_argument("--output", type=Path, default=timing.RESULTS / "editor.md", help="where the result page goes")
    options = parser.parse_args()
    load = timing.load_average()
    text = specification()
    editor = Editor()
    opening = Times(editor.process.pid)
    opening.measure("open", lambda: (editor.open(URI, text), editor.diagnostics(URI)))
    errors = [one["message"] for one in editor.diagnostics(URI) if one["severity"] == 1]
    assert not errors, errors
    type_keys(editor, TYPINGS[2], Times(editor.process.pid), Times(editor.process.pid))  # what is imported late is now
    times, answers = Times(editor.process.pid), Times(editor.process.pid)
    for typing in TYPINGS:
        print(f"typing {typing.about}", file=sys.stderr)
        type_keys(editor, typing, times, answers)
    assert editor.log == []
    editor.stop()
    timing.publish(options.output, report(text, times, answers, opening.of["open"][0], load))


if __name__ == "__main__":
    main()
