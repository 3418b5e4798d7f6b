from __future__ import annotations

from pathlib import Path

import pytest
from made_up_results import Study, at, rows, study_in

from satdsl.ir.plan import Claim, Display
from satdsl.report.claims import verdicts
from satdsl.report.figure import Figure
from satdsl.report.pivot import Cell, PivotTable
from satdsl.report.result_tables import spread_note, verdict_table
from satdsl.report.results import ReportError, measured
from satdsl.show.terminal import ruled, ruled_in_pieces, text


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


def figure_of(study: Study, display: Display) -> Figure:
    return Figure(display, study.plan, measured(study.plan, study.store))


def table_of(study: Study, display: Display) -> PivotTable:
    return figure_of(study, display).pivot


def shown(study: Study, display: Display, width: int = 80) -> str:
    return text(ruled_in_pieces(figure_of(study, display).table, width), width)


@pytest.fixture
def paper(study: Study) -> Study:
    """Two baselines and a sweep in which only `random` has several draws; one of its points is half run."""
    study.axes = {
        "order": ("hardest", "easiest", "random"),
        "share": ("10%", "50%", "90%"),
        "draw": ("0", "1", "2"),
    }
    right = {"hardest": (521, 663, 685), "easiest": (301, 443, 640), "random": (410, 560, 660)}
    for number, order in enumerate(right):
        for place, share in enumerate(study.axes["share"]):
            for draw in range(3 if order == "random" else 1):
                count = right[order][place] + 7 * draw
                missing = (order, share, draw) in (("random", "90%", 2), ("easiest", "10%", 0))
                evaluation = study.evaluation(
                    None if missing else rows(count, 1000 - count), lr=number + place / 10, seed=draw
                )
                point = (("order", order), ("share", share), ("draw", str(draw)))
                study.accuracy("sat.robust", evaluation, at=point)
    study.accuracy("full.robust", study.evaluation(rows(690, 310), lr=7))
    study.accuracy("full.clean", study.evaluation(rows(892, 108), lr=7, attack="none"))
    study.accuracy("ref.robust", study.evaluation(rows(0, 1000), lr=8))
    return study


def test_a_line_has_a_row_for_each_x_a_column_for_each_series_and_its_baselines_below(paper: Study) -> None:
    display = Display(
        "Robust accuracy",
        "line",
        (at("sat.robust"),),
        x="share",
        series=("order",),
        mean=("draw",),
        baselines=(at("full.robust"), at("ref.robust")),
    )
    assert (
        shown(paper, display)
        == """\
Robust accuracy (%)
share         hardest   easiest                random
─────────────────────────────────────────────────────
10%              52.1   not run            41.7 ± 0.7
50%              66.3      44.3            56.7 ± 0.7
90%              68.5      64.0   66.3 ± 0.5 (2 of 3)

full.robust      69.0
ref.robust        0.0
±: standard deviation (n - 1) of the 2 to 3 values along draw; no interval of
their mean; a number without ± is one value
"""
    )


def test_bars_without_series_have_one_column_named_after_the_result(paper: Study) -> None:
    display = Display("Hardest", "bars", (at("sat.robust", order="hardest"),), x="share", mean=("draw",))
    assert (
        shown(paper, display)
        == """\
Hardest (%)
share   sat.robust
──────────────────
10%           52.1
50%           66.3
90%           68.5
"""
    )


def test_axes_that_nobody_placed_become_series(paper: Study) -> None:
    display = Display("All", "line", (at("sat.robust", order="random"),), x="share")
    assert table_of(paper, display).columns == ("0", "1", "2")


def test_a_heatmap_has_y_down_and_x_across(paper: Study) -> None:
    display = Display("Map", "heatmap", (at("sat.robust"),), x="share", y="order", mean=("draw",))
    assert (
        shown(paper, display)
        == """\
Map (%)
order            10%          50%                   90%
───────────────────────────────────────────────────────
hardest         52.1         66.3                  68.5
easiest      not run         44.3                  64.0
random    41.7 ± 0.7   56.7 ± 0.7   66.3 ± 0.5 (2 of 3)
±: standard deviation (n - 1) of the 2 to 3 values along draw; no interval of
their mean; a number without ± is one value
"""
    )


def test_a_plus_minus_is_explained_as_what_it_is_and_only_where_there_is_one(paper: Study) -> None:
    def notes(order: str, *mean: str) -> list[str]:
        display = Display("Random", "rows", (at("sat.robust", order=order),), series=("share",), mean=mean)
        return list(figure_of(paper, display).table.notes)

    spread = "±: standard deviation (n - 1) of the 2 to 3 values along draw; no interval of their mean"
    assert notes("random", "draw") == [spread]
    assert notes("random") == notes("hardest", "draw") == []
    both = Display("Both", "rows", (at("sat.robust", order="random"),), mean=("draw", "share"))
    assert figure_of(paper, both).table.notes == [
        "±: standard deviation (n - 1) of the 8 values along share and draw; no interval of their mean"
    ]
    endless = Cell(float("inf"), "distance", over=2, of=2)
    assert spread_note([endless, Cell(0.5, "share")]) == []
    one = next(cell for cell in figure_of(paper, both).pivot.cells if cell.std is not None)
    assert spread_note([one, endless])[0].endswith("; a number without ± is a mean that is not finite")


def test_a_table_has_a_row_for_each_weights_and_point_and_a_column_for_each_measure(paper: Study) -> None:
    results = (at("full.clean"), at("full.robust"), at("sat.robust", order="hardest"))
    assert (
        shown(paper, Display("Summary", "rows", results, mean=("draw",)))
        == """\
Summary (%)
weights   share   clean   robust
────────────────────────────────
full               89.2     69.0
sat       10%               52.1
sat       50%               66.3
sat       90%               68.5
"""
    )


def test_a_table_with_shares_and_scores_gives_each_cell_its_unit(study: Study) -> None:
    study.accuracy("ref.clean", study.evaluation(rows(3, 1)))
    study.mean_score("ref.hardness", study.scored([0.5, 1.0]))
    display = Display("Both", "rows", (at("ref.clean"), at("ref.hardness")))
    assert (
        shown(study, display)
        == """\
Both
weights    clean   hardness
───────────────────────────
ref       75.0 %       0.75
"""
    )


def test_rows_by_class_are_in_the_order_of_the_classes(study: Study) -> None:
    evaluation = study.evaluation([1, 0, 1, 1], label=[2, 0, 1, 0])
    study.accuracy("net.clean", evaluation, by_class=True)
    found = table_of(study, Display("By class", "bars", (at("net.clean"),), x="class"))
    assert [row.names for row in found.rows] == [("cat",), ("dog",), ("ship",)]


def test_names_with_brackets_are_shown_as_they_are(study: Study) -> None:
    study.axes = {"w": ("[red]", "[/]")}
    for number, label in enumerate(study.axes["w"]):
        study.accuracy("net.clean", study.evaluation(rows(3, 1), lr=number), at=(("w", label),))
    lines = shown(study, Display("[bold]", "bars", (at("net.clean"),), x="w")).splitlines()
    assert [line.split()[0] for line in (lines[0], lines[3], lines[4])] == ["[bold]", "[red]", "[/]"]


@pytest.fixture
def wide(study: Study) -> Study:
    study.axes = {"k": tuple(f"value{n}" for n in range(20)), "c": ("a", "b")}
    for number, label in enumerate(study.axes["k"]):
        for other, c in enumerate(study.axes["c"]):
            evaluation = study.evaluation(rows(50 + number, 50), lr=number, seed=other)
            study.accuracy("net.clean", evaluation, at=(("k", label), ("c", c)))
    return study


def test_a_table_too_wide_for_the_terminal_goes_on_below_itself(wide: Study) -> None:
    shown_wide = shown(wide, Display("Wide", "heatmap", (at("net.clean"),), x="k", y="c"))
    assert max(map(len, shown_wide.splitlines())) <= 80
    assert all(f"value{n}" in shown_wide for n in range(20))
    assert shown_wide.count("Wide (%)") > 1
    assert "…" not in shown_wide


def test_a_display_of_nothing_is_an_error(paper: Study) -> None:
    with pytest.raises(ReportError, match=r'"Empty" shows sat\.robust'):
        table_of(paper, Display("Empty", "rows", (at("sat.robust", order="unheard"),)))


def test_verdicts_are_worded_wrapped_and_have_their_figures_below(paper: Study) -> None:
    paper.claim(at("full.robust"), ">", 0.5)
    text_of_claim = "half of the adversarial examples recover adversarial training (abstract, contribution iii)"
    slack = paper.claims[0].comparisons[0]
    paper.claims.append(Claim(text_of_claim, (slack,), "made_up.sat", 9))
    paper.claim(at("full.robust"), "<", 0.5)
    paper.claim(at("full.robust"), "<", 0.7)
    paper.claim(at("sat.robust", order="easiest", share="10%"), "<", 0.7)
    found = verdicts(paper.plan, measured(paper.plan, paper.store))
    assert (
        text(ruled(verdict_table(found)))
        == """\
verdict             claim
────────────────────────────────────────────────────────────────────────────────
holds               a claim
                    69.0 % > 50 %: difference +19.0 points, 95 % interval ±2.9
holds               half of the adversarial examples recover adversarial
                    training (abstract, contribution iii)
                    69.0 % > 50 %: difference +19.0 points, 95 % interval ±2.9
fails               a claim
                    69.0 % < 50 %: difference +19.0 points, 95 % interval ±2.9
too close to call   a claim
                    69.0 % < 70 %: difference -1.0 points, 95 % interval ±2.9
not run             a claim
                    not run < 70 %
"""
    )
