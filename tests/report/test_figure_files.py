"""Files for a paper: figures, their numbers, LaTeX tables."""

from __future__ import annotations

import csv
import io
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_values import plan_of, values

from satdsl.ir.plan import Published
from satdsl.report.figure_files import FORMATS, NUMBERS, PAGE, figure_files, names
from satdsl.report.latex import escaped, latex
from satdsl.report.load_report import Report
from satdsl.report.results import Measured
from satdsl.show.table import Column, Table, Value, numeric

SPEC = """sat 1
dataset d = digits(holdout=20%)
model m = small_cnn(4)
attack p = pgd(norm=L2, eps=0.5, steps=2, step_size=0.3)
recipe r = sgd(epochs=2, lr=0.1)
train ref = m on d using r { keep snapshots every epoch }
train full = m on d using r { attack all with p }
sweep { order = [hardest, random]; share = [10%, 30%]; draw = 0..1 if $order == random else 0 }
split esat of d { A = $order $share examples by snapshot-entropy of ref seed = $draw; B = rest }
train sat = m on esat using r { attack A with p }
evaluate ref { clean = clean accuracy on val; entropy = mean snapshot-entropy on train }
evaluate full { robust = robust accuracy under p on val }
evaluate sat { robust = robust accuracy under p on val }
plot "Robust & 100 %" = line(y=sat.robust, x=$share, series=$order, mean=$draw, baselines=[full.robust])
table "Both_units" = rows(ref.clean, ref.entropy)
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("files")
    plan = plan_of(SPEC, folder)
    known = Published("sat.robust", (("order", "hardest"), ("share", "10%")), 0.521)

    def value(one: Measured) -> float | None:
        point = dict(one.point)
        if (point.get("order"), point.get("share"), point.get("draw")) == ("random", "30%", "1"):
            return None
        return 0.25 + 0.01 * len(one.point) + 0.05 * int(point.get("draw", 0))

    return Report(replace(plan, published=(known,)), values(plan, folder, value))


def test_every_display_has_its_files_in_the_order_of_the_plan(report: Report, tmp_path: Path) -> None:
    plot, rows = figure_files(report.figures, tmp_path)
    assert (plot.name, rows.name) == ("robust-100", "both-units")
    assert set(plot.paths) == set(FORMATS)
    assert set(rows.paths) == {"csv", "tex"}
    written = {path for files in (plot, rows) for path in files.paths.values()}
    assert written == set((tmp_path / "figures").iterdir()), "and nothing half-written beside them"
    assert plot.paths["pdf"].read_bytes().startswith(b"%PDF")
    assert plot.paths["svg"].read_text().count("<text") > 5


def test_a_figure_is_as_wide_as_a_column_at_300_dots_an_inch(report: Report, tmp_path: Path) -> None:
    def width(path: Path) -> int:
        return int(struct.unpack(">I", path.read_bytes()[16:20])[0])

    assert width(figure_files(report.figures, tmp_path, ["png"])[0].paths["png"]) == 975
    assert width(figure_files(report.figures, tmp_path, ["png"], width=PAGE)[0].paths["png"]) == 2025


def test_the_same_results_give_the_same_files(report: Report, tmp_path: Path) -> None:
    first, second = (figure_files(report.figures, tmp_path / name)[0].paths for name in ("a", "b"))
    for format in FORMATS:
        assert first[format].read_bytes() == second[format].read_bytes(), format


def test_fonts_of_a_pdf_are_outlines_that_journals_take(report: Report, tmp_path: Path) -> None:
    text = figure_files(report.figures, tmp_path, ["pdf"])[0].paths["pdf"].read_bytes()
    assert b"/CIDFontType2" in text
    assert b"/Type3" not in text
    stream = next(
        zlib.decompress(part) for part in re.findall(rb"/Length1 .*?stream\r?\n(.*?)\r?\nendstream", text, re.S)
    )
    tables = {stream[at : at + 4] for at in range(12, 12 + 16 * struct.unpack(">H", stream[4:6])[0], 16)}
    assert {b"glyf", b"loca", b"hmtx", b"head", b"maxp"} <= tables
    assert not tables & {b"GSUB", b"GPOS", b"GDEF", b"MATH"}, "a PDF places each glyph itself"


def test_the_csv_has_a_line_for_each_cell(report: Report, tmp_path: Path) -> None:
    text = figure_files(report.figures, tmp_path, ["csv"])[0].paths["csv"].read_text()
    lines = list(csv.DictReader(io.StringIO(text)))
    assert tuple(lines[0]) == NUMBERS
    by_place = {(line["series"], line["x"]): line for line in lines}
    assert set(by_place) == {
        *((order, share) for order in ("hardest", "random") for share in ("10%", "30%")),
        ("full.robust", ""),
    }
    hardest, mean, half = (by_place[place] for place in (("hardest", "10%"), ("random", "10%"), ("random", "30%")))
    assert (hardest["mean"], hardest["published"], hardest["std"]) == ("0.28", "0.521", "")
    assert float(hardest["low"]) < 0.28 < float(hardest["high"])
    assert float(mean["mean"]) == pytest.approx(0.305)
    assert float(mean["std"]) == pytest.approx(0.05 / 2**0.5)
    assert (mean["draws"], mean["low"], mean["published"]) == ("2", "", "")
    assert (half["draws"], half["std"]) == ("1", "")


def test_an_unknown_format_is_named(report: Report, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no format gif; these are known: svg, pdf, png, csv, tex"):
        figure_files(report.figures, tmp_path, ["gif"])


def test_each_title_has_a_name_of_its_own() -> None:
    titles = ["Robust accuracy", "robust: accuracy!", "Größe", "精度", "?", "robust accuracy 2", "a" * 200, "../x"]
    found = names(titles)
    assert found[:6] == [
        "robust-accuracy",
        "robust-accuracy-2",
        "groe",
        "figure",
        "figure-2",
        "robust-accuracy-2-2",
    ]
    assert len(found[6]) == 80
    assert found[7] == "x"


# --- LaTeX ---------------------------------------------------------------------------------------


def test_a_table_in_latex_has_spreads_published_values_and_baselines_below(report: Report) -> None:
    assert (
        latex(report.figures[0].table)
        == r"""% Robust & 100 %
% needs \usepackage{booktabs}
\begin{tabular}{lrr}
\toprule
share & hardest (\%) & random (\%) \\
\midrule
10\% & 28.0 [52.1] & 30.5 $\pm$ 3.5 \\
30\% & 28.0 & 28.0 (1 of 2) \\
\midrule
full.robust & 25.0 &  \\
\bottomrule
\end{tabular}
\par\smallskip{\footnotesize $\pm$: standard deviation (n - 1) of the 2 values along draw; no interval of their mean; a number without $\pm$ is one value\par}
\par\smallskip{\footnotesize in brackets: published\par}
"""  # noqa: E501
    )


def test_cells_of_several_units_have_them_each(report: Report) -> None:
    assert "ref & 25.0 \\% & 0.25 \\\\" in latex(report.figures[1].table)


NASTY = "a_b & 50% #1 $x$ {y} ~ ^ \\ <z> | [k=1]"


def nasty() -> Table:
    value = Value("-0.5 [0.25]", -0.5)
    rows = [("[first]", value, ""), (NASTY, "not run", value)]
    return Table([Column(NASTY), *numeric(NASTY, "plain")], rows, f"{NASTY}\nsecond line", notes=[NASTY])


def test_a_wide_table_of_shares_says_once_that_they_are_in_percent() -> None:
    classes = ("cat", "dog", "ship", "car", "frog")
    row = ("cat", *(Value("25.0", 0.25) for _ in classes))
    columns = [Column("attacked"), *numeric(*classes, unit="%")]
    lines = latex(Table(columns, [row], "By class", across="class")).splitlines()
    assert lines[4:7] == [
        r" & \multicolumn{5}{c}{class (\%)} \\",
        r"\cmidrule(lr){2-6}",
        r"attacked & cat & dog & ship & car & frog \\",
    ]


def test_special_characters_are_escaped_and_columns_balance() -> None:
    text = latex(nasty())
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 3
    for line in body:
        bare = re.sub(r"\\[&%$#_{}]|\\\w+(\{\})?|\$\\pm\$|\$-\$", "", line.removesuffix(r"\\"))
        assert bare.count("&") == 2
        assert not set(bare) & set("$#_~^\\<>|%"), bare
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert body[1].startswith("{}[first]"), "a bracket after a line's end would be its argument"
    assert all(line.startswith("%") for line in text.splitlines()[:2]), "each line of the title is a comment"
    assert escaped("±") == r"$\pm$"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles_it(report: Report, tmp_path: Path) -> None:
    tables = [latex(figure.table) for figure in report.figures]
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n%s\\end{document}\n"
    (tmp_path / "a.tex").write_text(document % "\n\n".join([*tables, latex(nasty())]))
    subprocess.run(["pdflatex", "-halt-on-error", "-interaction=batchmode", "a.tex"], cwd=tmp_path, check=True)
