"""A `Table` as LaTeX: a `tabular` in the style of the booktabs package, for a table of a paper."""

from __future__ import annotations

from collections.abc import Iterable

from satdsl.report.number_text import NOT_RUN, amount
from satdsl.report.render import in_brackets
from satdsl.report.results import Unit
from satdsl.report.tables import MEASURE, WEIGHTS, Cell, Row, Table

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
    r"""A `tabular` with `\toprule`, `\midrule` and `\bottomrule`; baselines below a line of their own.

    Shares are in percent: in the header where all cells are shares, once where the columns are many, else in each cell.
    A mean over draws has its standard deviation, a published value stands in brackets behind ours.
    """
    in_percent = table.unit == "share"
    together = in_percent and len(table.columns) > MOST_PERCENT_SIGNS
    heads = [*table.heads, *(f"{name} (%)" if in_percent and not together else name for name in table.columns)]
    lines = [
        *(f"% {line}" for line in table.title.splitlines()),
        r"% needs \usepackage{booktabs}",
        *(f"% {line}" for line in in_brackets(table).splitlines()),
        rf"\begin{{tabular}}{{{'l' * len(table.heads)}{'r' * len(table.columns)}}}",
        r"\toprule",
        *(_above(table) if together else ()),
        _line(escaped(name) for name in heads),
        r"\midrule",
    ]
    baseline = False
    for row in table.rows:
        if row.baseline and not baseline and lines[-1] != r"\midrule":
            lines.append(r"\midrule")
        baseline = row.baseline
        lines.append(_row(row, len(table.heads), in_percent=in_percent))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _above(table: Table) -> list[str]:
    """What the columns have in common, above all of them."""
    first, last = len(table.heads) + 1, len(table.heads) + len(table.columns)
    axes = ", ".join(axis for axis in table.across if axis not in (WEIGHTS, MEASURE))
    spanning = rf"\multicolumn{{{len(table.columns)}}}{{c}}{{{escaped(axes or 'accuracy')} (\%)}}"
    return [_line([*[""] * len(table.heads), spanning]), rf"\cmidrule(lr){{{first}-{last}}}"]


def escaped(text: str) -> str:
    """`text` as LaTeX shows it: every character that LaTeX gives a meaning is written out."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _row(row: Row, heads: int, *, in_percent: bool) -> str:
    names = [*row.names, *[""] * (heads - len(row.names))]
    return _line([*map(escaped, names), *(_cell(cell, in_percent=in_percent) for cell in row.cells)])


def _line(cells: Iterable[str]) -> str:
    # A line that begins with a bracket would be taken for an argument of the \\ before it.
    line = " & ".join(cells)
    return ("{}" if line.startswith("[") else "") + line + r" \\"


def _cell(cell: Cell | None, *, in_percent: bool) -> str:
    if cell is None:
        return ""
    percent = "" if in_percent or cell.unit != "share" else r" \%"
    shown = NOT_RUN if cell.value is None else f"{_number(cell.value, cell.unit)}{_spread(cell)}{percent}"
    if cell.over < cell.of and cell.over:
        shown += f" ({cell.over} of {cell.of})"
    return shown if cell.published is None else f"{shown} [{_number(cell.published, cell.unit)}]"


def _spread(cell: Cell) -> str:
    return "" if cell.std is None else rf" $\pm$ {_number(cell.std, cell.unit)}"


def _number(value: float, unit: Unit) -> str:
    return amount(value, unit).removesuffix(" %").replace("-", "$-$")
