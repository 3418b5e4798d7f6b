"""Write the manual's pages about the catalog: a page for one or two families, with every argument of each entry."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from satdsl.catalog import Argument, Entry, catalog
from satdsl.catalog.show import NOTATION, about, is_average, signature, takes, value

FOLDER = "reference/catalog"

PAGES = {
    "datasets": ("Data sets", ("dataset",), "Declared by `dataset NAME = ENTRY(...)`."),
    "models": ("Models", ("model",), "Declared by `model NAME = ENTRY(...)`: an architecture, with its normalisation."),
    "attacks": ("Attacks", ("attack",), "Declared by `attack NAME = ENTRY(...)`."),
    "losses": (
        "Losses",
        ("loss", "term"),
        "Chosen for a subset by `loss A = ENTRY(...)` in a training, or written as a formula of terms: "
        "`loss A = ce(clean) + 6*kl(clean, adversarial)`.",
    ),
    "recipes": (
        "Recipes and schedules",
        ("recipe", "schedule", "perturbation"),
        "A recipe is declared by `recipe NAME = ENTRY(...)`; its `schedule` and `perturb` are arguments of it.",
    ),
    "augmentations": (
        "Augmentations and heads",
        ("augmentation", "head"),
        "Augmentations stand in a data set's `augment`, in the order in which they are applied; a head in a transfer.",
    ),
    "scores": (
        "Scores",
        ("score",),
        f"Named in subsets (`by SCORE of MODEL`) and measures (`mean SCORE on train`). Larger is harder. "
        f"In the formulas {NOTATION}. More on each stands in [the language](../language.md#scores).",
    ),
    "displays": ("Plots and tables", ("plot", "table"), 'Declared by `plot "TITLE" = ENTRY(...)` and `table ...`.'),
}
"""The title of each page, by its file; the families on it, and how they are written."""

HEADINGS = {
    "loss": "Losses",
    "term": "Terms of formulas",
    "recipe": "Recipes",
    "schedule": "Schedules",
    "perturbation": "Perturbations of the weights",
    "augmentation": "Augmentations",
    "head": "Heads for transfer",
    "plot": "Plots",
    "table": "Tables",
}


def pages() -> dict[str, str]:
    """Return all pages by their place in `docs/`."""
    written = {f"{FOLDER}/{file}.md": _page(*known) for file, known in PAGES.items()}
    return {f"{FOLDER}/index.md": _index(), **written}


def _index() -> str:
    rows = []
    for file, (title, families, _) in PAGES.items():
        links = [f"[`{entry.name}`]({file}.md#{_anchor(entry)})" for family in families for entry in _entries(family)]
        rows.append(f"| [{title}]({file}.md) | {' '.join(links)} |")
    return (
        "# Catalog\n\n"
        "What a specification can name, generated from the entries in `satdsl/catalog/` that the checker reads. "
        "`satdsl catalog NAME` shows the same in a terminal. All entries are written as calls with named arguments; "
        "one that needs no argument may be written without brackets.\n\n"
        "| page | entries |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


def _page(title: str, families: tuple[str, ...], intro: str) -> str:
    parts = [f"# {title}", intro]
    for family in families:
        several = len(families) > 1
        parts += [f"## {HEADINGS[family]}"] if several else []
        for entry in _entries(family):
            parts += _entry(entry, "###" if several else "##")
    return "\n\n".join(parts) + "\n"


def _entry(entry: Entry, heading: str) -> Iterator[str]:
    yield f"{heading} `{entry.name}` {{ #{_anchor(entry)} }}"
    yield _text(entry.help)
    if entry.args:
        yield f"`{signature(entry)}`"
    facts = [(name, text) for name, text in about(entry) if name not in ("where", "order")]
    if facts:
        yield "\n".join(f"- {name}: {_code(text) if name == 'formula' else _text(text)}" for name, text in facts)
    if entry.args:
        yield _table(("argument", "takes", "default", "meaning"), (_argument(arg) for arg in entry.args.values()))


def _argument(arg: Argument) -> tuple[str, ...]:
    default = "required" if arg.required else _code(value(arg, arg.default))
    return _code(arg.name), _text(takes(arg)), default, _text(arg.help)


def _entries(family: str) -> list[Entry]:
    """Return a family's entries, without the scores that average another one over snapshots."""
    return [entry for entry in catalog().entries(family) if not is_average(entry)]


def _anchor(entry: Entry) -> str:
    return f"{entry.family}-{entry.name}"


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"


def _text(text: str) -> str:
    """Return plain text as Markdown for one cell of a table."""
    kept = escape(text, quote=False).replace("\\", "\\\\").replace("|", "&#124;")
    for mark in "*_[]$":
        kept = kept.replace(mark, f"&#{ord(mark)};")
    return _backquoted(kept)


def _backquoted(text: str) -> str:
    """Return a text of the facts as Markdown; `word` in it is code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return text
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
