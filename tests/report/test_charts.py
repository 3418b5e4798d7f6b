"""What the figures of a page show, looked up in the SVG itself."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from made_up_values import N, plan_of, values

from satdsl.ir.plan import Display, Plan, Published
from satdsl.report.charts.chart import Chart
from satdsl.report.charts.palette import CLEAN, CYCLE, FULL, ORDERS, SUBSET_A, SUBSET_B, WHOLE
from satdsl.report.charts.theme import INK, STYLE
from satdsl.report.charts.training_curves import curve_svg
from satdsl.report.charts.xy_plot import positions
from satdsl.report.curves import Curve
from satdsl.report.figure import Figure
from satdsl.report.number_text import amount
from satdsl.report.results import Measured

SPEC = """sat 1
dataset d = digits(holdout=20%)
model m = small_cnn(4)
attack p = pgd(norm=L2, eps=0.5, steps=2, step_size=0.3)
recipe r = sgd(epochs=2, lr=0.1)
recipe h = sgd(epochs=2, lr=0.1)
train ref = m on d using r { keep snapshots every epoch }
train full = m on d using r { attack all with p }
sweep {
  order = [hardest, easiest, random]
  share = [10%, 30%, 60%]
  draw = 0..2 if $order == random else 0
  k = classes of d
  count = [1, 4]
  tenths = 1..3
}
split esat of d { A = $order $share examples by snapshot-entropy of ref seed = $draw; B = rest }
split csat of d { A = $order $count classes by snapshot-entropy of ref seed = 0; B = rest }
split single of d { rest_of_it = rest; A = class $k }
split weighed of d { A = hardest (10%*$tenths) examples by snapshot-entropy of ref; B = rest; weight A = 2 }
train sat = m on esat using r { attack A with p }
train class_sat = m on csat using r { attack A with p }
train one = m on single using r { attack A with p }
train heavy = m on weighed using r { attack A with p }
transfer head = heavy to d using h { head = linear() }
evaluate ref { clean = clean accuracy on val; robust = robust accuracy under p on val
               entropy = mean snapshot-entropy on train by class }
evaluate full { robust = robust accuracy under p on val }
evaluate sat { robust = robust accuracy under p on val; clean = clean accuracy on val }
evaluate class_sat { robust = robust accuracy under p on A_val, B_val }
evaluate one { robust = robust accuracy under p on val by class; parts = robust accuracy under p on A_val, val }
evaluate head { robust = robust accuracy under p on val }
plot "Lines" = line(y=sat.robust, x=$share, series=$order, mean=$draw, baselines=[full.robust, ref.robust])
plot "No draws" = line(y=sat.robust[draw=0], x=$share, series=$order)
plot "Bars" = bars(y=class_sat.robust, x=$count, series=[part, $order], baselines=[full.robust])
plot "Orders" = bars(y=sat.clean[share=30%], x=$order, mean=$draw)
plot "Map" = heatmap(value=one.robust, x=class, y=$k)
plot "Score" = bars(y=ref.entropy, x=class)
plot "Tenths" = line(y=head.robust, x=$tenths)
table "Rows" = rows(ref.clean, ref.robust)
"""

LINES, NO_DRAWS, BARS, ORDERED, MAP, SCORE, TENTHS, ROWS = range(8)
SVG = "{http://www.w3.org/2000/svg}"
SIDES = (("x", "width"), ("y", "height"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("charts")


@pytest.fixture(scope="module")
def plan(folder: Path) -> Plan:
    return plan_of(SPEC, folder)


@pytest.fixture(scope="module")
def results(plan: Plan, folder: Path) -> list[Measured]:
    """Every value another one; two of the lines' and one of the map's are not run."""
    counter = iter(range(1000))

    def value(one: Measured) -> float | None:
        point = dict(one.point)
        missing = (point.get("order"), point.get("share"), point.get("draw"))
        if missing in (("easiest", "30%", "0"), ("random", "60%", "2")):
            return None
        if one.result == "one.robust" and (point["k"], point["class"]) == ("2", "3"):
            return None
        return 0.1 + 0.003 * next(counter)

    return values(plan, folder, value)


def svg(display: Display, plan: Plan, results: list[Measured], *, prefix: str) -> str | None:
    return Figure(display, plan, results).inline_svg(prefix)


def drawn(display: Display, plan: Plan, results: list[Measured], prefix: str = "f") -> ET.Element:
    shown = svg(display, plan, results, prefix=prefix)
    assert shown is not None
    return ET.fromstring(shown)


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in root.iter() if element.get("class") == name]


def says(element: ET.Element) -> str:
    return element.findtext(f"{SVG}title") or ""


def data_of(display: Display, plan: Plan, results: list[Measured]) -> Chart:
    found = Figure(display, plan, results).chart
    assert found is not None
    return found


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [LINES, NO_DRAWS, BARS, ORDERED, SCORE, TENTHS])
def test_every_measured_value_is_one_point_that_says_the_number_of_the_table(
    plan: Plan, results: list[Measured], number: int
) -> None:
    display = plan.displays[number]
    points = of_class(drawn(display, plan, results), "point")
    said = {(point.get("data-series"), point.get("data-x")): says(point) for point in points}
    shown = Figure(display, plan, results).pivot
    cells = {
        (column, row.names[0]): cell
        for row in shown.rows
        for column, cell in zip(shown.columns, row.cells, strict=True)
        if cell is not None and cell.value is not None
    }
    assert len(points) == len(said) == len(cells) > 0
    for place, cell in cells.items():
        assert said[place].split(": ")[1].startswith(amount(cell.value, cell.unit))


def test_a_point_says_its_place_spread_draws_images_and_what_is_published(plan: Plan, results: list[Measured]) -> None:
    at = (("order", "random"), ("share", "60%"))
    known = replace(plan, published=(Published("sat.robust", at, 0.633),))
    root = drawn(plan.displays[LINES], known, results)
    point = next(
        one for one in of_class(root, "point") if (one.get("data-series"), one.get("data-x")) == ("random", "60%")
    )
    assert re.fullmatch(
        r"random, share=60%: \d\d\.\d % ± \d\.\d \(2 of 3 draws, n=1,000\); published 63\.3 %", says(point)
    )
    assert [says(one) for one in of_class(root, "published")] == ["random, share=60%: published 63.3 %"]
    assert "published" in texts(root)


def test_a_single_value_says_its_interval(plan: Plan, results: list[Measured]) -> None:
    point = of_class(drawn(plan.displays[TENTHS], plan, results), "point")[0]
    assert re.search(r"\(n=1,000, 95 % interval \d+\.\d \.\. \d+\.\d\)$", says(point))


def test_what_is_published_but_not_run_is_drawn_and_no_point(plan: Plan, folder: Path) -> None:
    at = (("order", "hardest"), ("share", "10%"))
    known = replace(plan, published=(Published("sat.robust", at, 0.5), Published("full.robust", (), 0.69)))
    root = drawn(plan.displays[LINES], known, values(plan, folder, lambda one: None))
    assert of_class(root, "point") == of_class(root, "baseline") == []
    assert len(of_class(root, "published")) == 2
    assert "not run yet" not in texts(root)


def test_a_figure_without_a_value_says_so(plan: Plan, folder: Path) -> None:
    nothing = values(plan, folder, lambda one: None)
    for display in plan.displays[:ROWS]:
        root = drawn(display, plan, nothing)
        assert "not run yet" in texts(root)
        assert of_class(root, "point") == []


def test_a_table_has_no_figure(plan: Plan, results: list[Measured]) -> None:
    assert svg(plan.displays[ROWS], plan, results, prefix="f") is None


def test_what_is_not_run_is_a_gap_in_its_line(plan: Plan, results: list[Measured]) -> None:
    def strokes(root: ET.Element) -> int:
        axes = next(element for element in root.iter() if element.get("id") == "f-axes_1")
        paths = [path for path in axes.iter(f"{SVG}path") if ORDERS["easiest"].lower() in path.get("style", "")]
        return max(path.get("d", "").count("L") for path in paths if "fill: none" in path.get("style", ""))

    display = plan.displays[LINES]
    whole = [one if one.value is not None else replace(one, value=0.5, n=N) for one in results]
    assert strokes(drawn(display, plan, whole)) == 2
    assert strokes(drawn(display, plan, results)) < 2


def test_draws_have_a_band_and_single_values_an_interval(plan: Plan, results: list[Measured]) -> None:
    def bands(root: ET.Element) -> int:
        return sum("fill-opacity: 0.2" in element.get("style", "") for element in root.iter())

    def thin(root: ET.Element) -> int:
        return sum("stroke-width: 0.7" in element.get("style", "") for element in root.iter())

    averaged, plain = (drawn(plan.displays[number], plan, results) for number in (LINES, NO_DRAWS))
    assert (bands(averaged), thin(averaged)) == (1, 0)
    assert (bands(plain), thin(plain)) == (0, len(of_class(plain, "point")))


def test_a_figure_can_say_what_its_spread_is(plan: Plan, results: list[Measured]) -> None:
    def said(number: int) -> str:
        return data_of(plan.displays[number], plan, results).spread

    assert said(LINES) == "Shaded: one standard deviation over draw, either side of the mean."
    assert said(NO_DRAWS) == "Vertical lines: 95 % intervals, from the number of images."
    assert said(MAP) == ""
    assert "one standard deviation over draw" in drawn(plan.displays[LINES], plan, results).findtext(f"{SVG}desc", "")


def test_bars_of_means_have_no_interval_among_their_deviations(plan: Plan, results: list[Measured]) -> None:
    def thin(root: ET.Element) -> int:
        return sum("stroke-width: 0.8" in element.get("style", "") for element in root.iter())

    bars = replace(plan.displays[LINES], kind="bars")
    figure = Figure(bars, plan, results).chart
    assert figure is not None
    deviations = [mark for mark in figure.marks if mark.cell.std is not None]
    assert 0 < len(deviations) < sum(mark.cell.value is not None for mark in figure.marks)
    assert thin(drawn(bars, plan, results)) == len(deviations)


@pytest.fixture(scope="module")
def unrun(plan: Plan, folder: Path) -> tuple[Plan, list[Measured]]:
    return plan, values(plan, folder, lambda one: None)


finite = st.one_of(st.none(), st.floats(0, 1), st.just(math.nan))


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    number=st.sampled_from([LINES, NO_DRAWS, BARS, ORDERED, MAP, SCORE, TENTHS]),
    title=st.text(max_size=40),
    chosen=st.lists(finite, min_size=1, max_size=12),
    scale=st.sampled_from([1.0, 1e9]),
)
@example(number=LINES, title="\x1f$\\_{", chosen=[math.nan, 0.5], scale=1.0)
def test_whatever_the_results_each_finite_value_is_one_point(
    unrun: tuple[Plan, list[Measured]], number: int, title: str, chosen: list[float | None], scale: float
) -> None:
    plan, missing = unrun
    display = replace(plan.displays[number], title=title)
    measured = [None if value is None else value * (scale if number == SCORE else 1.0) for value in chosen]
    found = [replace(one, value=measured[place % len(measured)], n=N) for place, one in enumerate(missing)]
    marks = data_of(display, plan, found).marks
    expected = sorted(mark.tooltip for mark in marks if mark.cell.value is not None and math.isfinite(mark.cell.value))
    assert sorted(says(point) for point in of_class(drawn(display, plan, found), "point")) == expected
    assert len(set(expected)) == len(expected)


# --- meaning -------------------------------------------------------------------------------------


def test_the_axes_are_named_in_words_read_off_the_plan(plan: Plan, results: list[Measured]) -> None:
    found = [data_of(display, plan, results) for display in plan.displays[:ROWS]]
    assert [(one.x_label, one.y_label) for one in found] == [
        ("share of the examples that are attacked", "robust accuracy on val (%)"),
        ("share of the examples that are attacked", "robust accuracy on val (%)"),
        ("number of classes that are attacked", "robust accuracy (%)"),
        ("order", "clean accuracy on val (%)"),
        ("class", "robust accuracy on val (%)"),
        ("class", "mean snapshot-entropy on train"),
        ("tenths of the examples that are attacked", "robust accuracy on val (%)"),
    ]
    assert found[MAP].down_label == "class that is attacked"


def test_an_axis_called_share_that_is_none_keeps_its_name(folder: Path) -> None:
    text = SPEC.replace("$order $share examples", "$order 5% examples").replace("lr=0.1)", "lr=$share)", 1)
    text = text.replace("share = [10%, 30%, 60%]", "share = [0.1, 0.2]").replace("share=30%", "share=0.1")
    text = re.sub(r"(?m)^(train (ref|full|class_sat|one|heavy) .*using) r", r"\1 h", text)
    plan = plan_of(text, folder / "share")
    results = values(plan, folder, lambda one: 0.5)
    assert data_of(plan.displays[LINES], plan, results).x_label == "share"


def test_baselines_have_their_colour_by_what_was_attacked_not_by_name(plan: Plan, results: list[Measured]) -> None:
    def colours(plan: Plan, results: list[Measured]) -> dict[str, str]:
        root = drawn(plan.displays[LINES], plan, results)
        lines = {line.get("data-series", ""): line.find(f"{SVG}path") for line in of_class(root, "baseline")}
        return {name: path.get("style", "") for name, path in lines.items() if path is not None}

    found = colours(plan, results)
    assert FULL.lower() in found["full.robust"]
    assert CLEAN.lower() in found["ref.robust"]


def test_a_network_attacked_on_a_subset_is_neither_baseline(plan: Plan, results: list[Measured]) -> None:
    display = replace(plan.displays[LINES], baselines=plan.displays[TENTHS].results)
    found = {baseline.attacked for baseline in data_of(display, plan, results).baselines}
    assert found == {"some"}


def test_orders_and_subsets_have_the_same_colour_in_every_figure(plan: Plan, results: list[Measured]) -> None:
    for number in (LINES, NO_DRAWS, BARS):
        styles = [element.get("style", "") for element in drawn(plan.displays[number], plan, results).iter()]
        assert all(any(colour.lower() in style for style in styles) for colour in ORDERS.values())
    bars = of_class(drawn(plan.displays[ORDERED], plan, results), "point")
    fills = {bar.get("data-x"): bar.find(f"{SVG}path").get("style", "") for bar in bars}  # type: ignore[union-attr]
    assert all(ORDERS[order or ""].lower() in style for order, style in fills.items())


def test_a_heat_map_frames_exactly_the_attacked_classes(plan: Plan, results: list[Measured]) -> None:
    shown = data_of(plan.displays[MAP], plan, results)
    assert {(series.name, mark.x) for series in shown.series for mark in series.marks if mark.attacked} == {
        (name, name) for name in plan.axes["k"]
    }
    root = drawn(plan.displays[MAP], plan, results)
    assert sum(says(point).endswith("; attacked") for point in of_class(root, "point")) == 10
    frames = [e for e in root.iter(f"{SVG}path") if f"stroke: {SUBSET_A.lower()}" in e.get("style", "")]
    assert len(frames) == 10 + 1, "ten cells and the legend"


def test_a_heat_map_has_the_number_in_each_cell(plan: Plan, results: list[Measured]) -> None:
    root = drawn(plan.displays[MAP], plan, results)
    points = of_class(root, "point")
    assert len(points) == 99
    numbers = [re.search(r": ([\d.]+) %", says(point)) for point in points]
    shown = texts(root)
    assert all(number is not None and number[1] in shown for number in numbers)


# --- the SVG -------------------------------------------------------------------------------------


def test_a_point_answers_where_it_is_drawn(plan: Plan, results: list[Measured]) -> None:
    def place(element: ET.Element) -> list[float]:
        return [float(element.get(side, "")) + float(element.get(long, 0)) / 2 for side, long in SIDES]

    root = drawn(plan.displays[LINES], plan, results)
    axes = next(element for element in root.iter() if element.get("id") == "f-axes_1")
    points = of_class(root, "point")
    for order, colour in ORDERS.items():
        drawn_in_it = [mark for mark in axes.iter(f"{SVG}use") if colour.lower() in mark.get("style", "")]
        marks = [mark for mark in drawn_in_it if "fill-opacity" not in mark.get("style", "")]
        areas = [
            next(element for element in point if element.get("class") == "hit")
            for point in points
            if point.get("data-series") == order
        ]
        assert [place(area) for area in areas] == [pytest.approx(place(mark), abs=0.1) for mark in marks] != []
        assert all(float(area.get(long, "")) >= 12 for area in areas for _, long in SIDES)


def test_many_figures_live_on_one_page(plan: Plan, results: list[Measured]) -> None:
    roots = [drawn(display, plan, results, f"f{i}") for i, display in enumerate(plan.displays[:ROWS])]
    ids = [element.get("id", "") for root in roots for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for i, root in enumerate(roots):
        assert root.get("role") == "img"
        assert root.get("aria-label") == plan.displays[i].title
        assert root.findtext(f"{SVG}desc")
        text = ET.tostring(root, encoding="unicode")
        references = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
        assert references <= set(ids)
        assert all(reference.startswith(f"f{i}-") for reference in references)
        assert not list(root.iter(f"{SVG}style")), "a style sheet would hold for the whole page"
        assert "http://www.w3.org/1999/xlink" not in text
        assert INK not in text
        assert "currentColor" in text


def test_the_same_results_give_the_same_bytes_whatever_the_users_settings(plan: Plan, results: list[Measured]) -> None:
    import matplotlib as mpl

    displays = [plan.displays[number] for number in (LINES, BARS)]
    before = [svg(display, plan, results, prefix="f") for display in displays]
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "lines.linewidth": 9, "text.usetex": True}):
        assert [svg(display, plan, results, prefix="f") for display in displays] == before
        assert mpl.rcParams["font.size"] == 30
        assert mpl.rcParams["text.usetex"] is True


def test_drawing_leaves_the_settings_and_pyplot_alone(plan: Plan, results: list[Measured]) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    svg(plan.displays[LINES], plan, results, prefix="f")
    assert dict(mpl.rcParams) == before
    probe = (
        "import sys, satdsl.report.figure, satdsl.report.figure_files, satdsl.report.charts.training_curves\n"
        "assert 'matplotlib' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)


def test_threads_draw_the_same(plan: Plan, results: list[Measured]) -> None:
    displays = [plan.displays[number] for number in (LINES, NO_DRAWS, BARS, ORDERED)]
    alone = [svg(display, plan, results, prefix="f") for display in displays]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda display: svg(display, plan, results, prefix="f"), displays)) == alone


def test_the_style_is_one_that_matplotlib_reads() -> None:
    from matplotlib import rcParams, style

    with style.context(STYLE):
        assert rcParams["figure.figsize"] == [3.25, 2.3]
        assert rcParams["pdf.fonttype"] == 42


@pytest.mark.parametrize(
    ("labels", "places"),
    [
        (("10%", "30%", "90%"), [0, 0.5, 2]),
        (("1", "2", "4", "8", "16"), [0, 1, 2, 3, 4]),
        (("a", "2", "4"), [0, 1, 2]),
        (("1", "100%", "5"), [0, 1, 2]),
        (("7",), [0]),
        ((), []),
    ],
)
def test_numbers_lie_at_their_values_and_words_in_a_row(labels: tuple[str, ...], places: list[float]) -> None:
    assert positions(labels) == pytest.approx(places)


# --- colours -------------------------------------------------------------------------------------

_SEEN_WITH = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])


def linear(colour: str) -> np.ndarray:
    share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(_XYZ @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("group", [(*ORDERS.values(), FULL, CLEAN), (SUBSET_A, SUBSET_B, WHOLE, FULL, CLEAN), CYCLE])
def test_colours_are_told_apart_by_everyone_and_seen_on_light_and_dark(group: tuple[str, ...]) -> None:
    for sight, matrix in _SEEN_WITH.items():
        for one, other in combinations(group, 2):
            far = np.linalg.norm(lab(np.asarray(matrix) @ linear(one)) - lab(np.asarray(matrix) @ linear(other)))
            assert far >= 15, f"{one} and {other} with {sight}"
    for colour in group:
        luminance = (_XYZ @ linear(colour))[1]
        dark = (_XYZ @ linear("#121212"))[1]
        assert 1.05 / (luminance + 0.05) >= 2.99
        assert (luminance + 0.05) / (dark + 0.05) >= 3


# --- trainings -----------------------------------------------------------------------------------


def curve(epochs: int, chosen: int | None = None) -> Curve:
    documents: list[dict[str, Any]] = [
        {
            "epoch": number,
            "lr": 0.1 if number < 3 else 0.001,
            "n": 30,
            "loss": 2.0 / number,
            "accuracy": 0.5,
            "subsets": [
                {"n": 10, "loss": 2.5 / number, "accuracy": 0.4, "attack_success": 0.5},
                {"n": 20, "loss": 1.5 / number, "accuracy": 0.55},
                {"n": 0},
            ],
            "probe": {"part": "hold-out", "n": 64, "clean": 0.8, "robust": 0.3},
        }
        for number in range(1, epochs + 1)
    ]
    return Curve("sat", (("order", "hardest"),), "key", ("A", "B", "none"), documents, chosen or epochs)


def test_each_epoch_of_a_training_says_its_numbers() -> None:
    root = ET.fromstring(curve_svg(curve(5, chosen=3), prefix="c"))
    assert root.get("aria-label") == "Training of sat[order=hardest]"
    found = [says(element) for element in of_class(root, "epoch")]
    assert len(found) == 5
    assert found[2] == (
        "epoch 3 (chosen): A loss 0.833, 40.0 % right; B loss 0.500, 55.0 % right; "
        "hold-out clean 80.0 %, robust 30.0 %; learning rate 0.001"
    )
    assert {"A (attacked)", "B", "hold-out, robust", "loss", "accuracy (%)", "lr", "0.1", "0.001"} <= set(texts(root))
    assert all(any(c.lower() in e.get("style", "") for e in root.iter()) for c in (SUBSET_A, SUBSET_B))


def test_the_figure_of_a_long_training_stays_small() -> None:
    shown = curve_svg(curve(300, chosen=77), prefix="c")
    found = [says(element) for element in of_class(ET.fromstring(shown), "epoch")]
    assert len(found) <= 64
    assert found[0].startswith("epoch 1:")
    assert found[-1].startswith("epoch 300:")
    assert any(said.startswith("epoch 77 (chosen)") for said in found)
    assert len(shown) < 60_000


def test_a_training_of_one_epoch_or_with_a_loss_that_is_not_finite_is_drawn() -> None:
    broken = curve(3)
    broken.epochs[1]["subsets"][0]["loss"] = math.nan
    for one in (curve(1), broken):
        assert of_class(ET.fromstring(curve_svg(one, prefix="c")), "epoch")
