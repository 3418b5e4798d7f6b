"""Write a table as LaTeX: a `tabular` in the style of the booktabs package, for a table of a paper."""

from __future__ import annotations

from collections.abc import Iterable

from satdsl.show.table import Row, Table, text_of

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "±": r"$\pm$",
}

MOST_PERCENT_SIGNS = 4
"""Columns that each say that they are in percent; of more columns one line above says it."""


def latex(table: Table) -> str:
    r"""Return a `tabular` with `\toprule`, `\midrule` and `\bottomrule`, its foot below a line of its own.

    Its notes follow in a small font. The unit of all columns stands in their heads, or above them where they are many.
    """
    names, numbers = table.columns[: table.names], table.columns[table.names :]
    together = bool(table.unit) and len(numbers) > MOST_PERCENT_SIGNS
    unit = f" ({table.unit})" if table.unit and not together else ""
    body = [_row(row, table.names) for row in table.rows]
    foot = [_row(row, table.names) for row in table.foot]
    lines = [
        *(f"% {line}" for line in table.title.splitlines()),
        r"% needs \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{'l' * len(names)}{'r' * len(numbers)}}}",
        r"\toprule",
        *(_above(table) if together else ()),
        _line([*(escaped(column.head) for column in names), *(escaped(column.head + unit) for column in numbers)]),
        *([r"\midrule", *body] if body else []),
        *([r"\midrule", *foot] if foot else []),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip{{\footnotesize {escaped(note)}\par}}" for note in table.notes),
    ]
    return "\n".join([*lines, ""])


def _above(table: Table) -> list[str]:
    """Return what the columns have in common, above all of them."""
    first, last = table.names + 1, len(table.columns)
    head = escaped(f"{table.across or 'accuracy'} ({table.unit})")
    spanning = rf"\multicolumn{{{last - table.names}}}{{c}}{{{head}}}"
    return [_line([*[""] * table.names, spanning]), rf"\cmidrule(lr){{{first}-{last}}}"]


def escaped(text: str) -> str:
    """Return a text as LaTeX shows it: every character that LaTeX gives a meaning is written out."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _row(row: Row, names: int) -> str:
    numbers = (escaped(text_of(value)).replace("-", "$-$") for value in row[names:])
    return _line([*(escaped(text_of(value)) for value in row[:names]), *numbers])


def _line(cells: Iterable[str]) -> str:
    # A line that begins with a bracket would be taken for an argument of the \\ before it.
    line = " & ".join(cells)
    return ("{}" if line.startswith("[") else "") + line + r" \\"
