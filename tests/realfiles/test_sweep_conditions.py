"""Conditions and ranges of sweeps as people write them: none silently loses the points that its author meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from satdsl.check import analyse, check
from satdsl.compile import compile_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Source

SPEC = """sat 1
dataset d = digits(limit=60, limit_val=40)
model m = small_cnn(width=4)
sweep {{
  {axes}
}}
recipe r = sgd(epochs=1)
train t = m on d using r {{ seed = {seed} }}
evaluate t {{ clean = clean accuracy on val }}
table "All" = rows({shown})
"""


def codes(text: str, **overrides: str) -> list[str]:
    try:
        found = check("spec.sat", text, overrides).warnings
    except SpecError as error:
        found = error.findings
    return [finding.code for finding in found if finding.code != "E707"]


def labels(axes: str, axis: str, seed: str, folder: Path, **overrides: str) -> list[str]:
    """The labels that an axis has over the whole sweep, once for each point."""
    (folder / "spec.sat").write_text(SPEC.format(axes=axes, seed=seed, shown="t.clean"), "utf-8")
    plan = compile_file(folder / "spec.sat", overrides).plan
    return [dict(result.point)[axis] for result in plan.results]


# --- conditions compare like with like --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "condition", "holding"),
    [
        ("order = [hardest, random]", "$order == random", ["random"]),
        ("order = [hardest, random]", '$order == "random"', ["random"]),
        ('order = ["hardest", "random"]', "$order == random", ["random"]),
        ("order = [hardest, random]", "random == $order", ["random"]),
        ("order = [hardest, random]", "$order != random", ["hardest"]),
        ("order = [20%, 40%]", "$order == 20%", ["20%"]),
        ("order = [20%, 40%]", "$order == 0.2", ["20%"]),
        ("order = [20%, 40%]", "$order == 1/5", ["20%"]),
        ("order = [20%, 40%]", "$order > 0.3", ["40%"]),
        ("order = [20%, 40%]", "0.3 < $order", ["40%"]),
        ("order = [20%, 40%]", "$order <= 20%", ["20%"]),
        ("order = [0.2, 0.4]", "$order == 20%", ["0.2"]),
        ("order = [0.1, 0.2, 0.3]", "$order == 0.1 + 0.2", ["0.3"]),
        ("order = [1e-4, 5e-4]", "$order == 0.0005", ["0.0005"]),
        ("order = [few: 2, many: 50]", "$order == many", ["many"]),
        ("order = [few: 2, many: 50]", '$order == "many"', ["many"]),
        ("order = [few: 2, many: 50]", "$order == 50", ["many"]),
        ("order = [few: 2, many: 50]", "$order != 50", ["few"]),
        ("order = [few: 2, many: 50]", "$order >= many", ["many"]),
        ("order = [few: 2, many: 50]", "$order > 10", ["many"]),
        ('order = [0.25: "a.pt", 0.5: "b.pt"]', "$order == 0.25", ["0.25"]),
        ('order = [0.25: "a.pt", 0.5: "b.pt"]', '$order == "b.pt"', ["0.5"]),
        ('order = ["no decay": 0, base: 5e-4]', '$order == "no decay"', ["no decay"]),
        ("order = [none, 0.1]", "$order == none", ["none"]),
        ("order = [none, 0.1]", "$order == 0.1", ["0.1"]),
        ("order = [true, false]", "$order == true", ["true"]),
        ("order = classes of d", "$order == 3", ["3"]),
        ("order = [entropy, snapshot-entropy]", "$order == snapshot-entropy", ["snapshot-entropy"]),
    ],
)
def test_a_condition_holds_where_its_author_means_it(axis: str, condition: str, holding: list[str]) -> None:
    text = SPEC.format(axes=f"{axis}\n  a = [1, 2] if {condition} else 0", seed="$a", shown="t.clean")
    found = analyse(Source("spec.sat", text))
    assert [finding.code for finding in found.findings] == []
    assert found.axes is not None
    points = found.axes.points(frozenset({"order", "a"}))
    assert list(dict.fromkeys(point["order"].label for point in points if point["a"].label != "0")) == holding


@pytest.mark.parametrize(
    ("axis", "condition", "code"),
    [
        ("order = [hardest, random]", "$order == randm", "E715"),
        ("order = [hardest, random]", "$order != Random", "E715"),
        ("order = [hardest, random]", '$order == "hard"', "E715"),
        ("order = [hardest, random]", "$order == 3", "E715"),
        ("order = [few: 2, many: 50]", "$order == mny", "E715"),
        ("order = [few: 2, many: 50]", "$order == 51", "E715"),
        ("order = [20%, 40%]", "$order == 20", "E715"),
        ("order = [20%, 40%]", "$order == 30%", "E715"),
        ("order = [20%, 40%]", "$order > 20", "E716"),
        ("order = 0..9", "$order == 10", "E715"),
        ("order = [hardest, random]", "$order > 3", "E301"),
        ("(order, b) = [(hardest, 1), (random, 2)]", "$order == rndom", "E715"),
    ],
)
def test_a_condition_that_is_the_same_everywhere_is_an_error(axis: str, condition: str, code: str) -> None:
    text = SPEC.format(axes=f"{axis}\n  a = [1, 2] if {condition} else 0", seed="$a", shown="t.clean")
    assert code in codes(text)


def test_a_condition_in_an_argument_or_a_param_is_looked_at_too() -> None:
    axes = "order = [hardest, random]\n  a = 1"
    text = SPEC.format(axes=axes, seed="$a", shown="t.clean")
    assert "E715" in codes(text.replace("epochs=1", "epochs=1 if $order == rndom else 2"))
    assert "E715" in codes(text.replace("epochs=1", "epochs=$p") + "param p = 1 if $order == rndom else 2\n")
    assert codes(text.replace("epochs=1", "epochs=1 if $order == random else 2")) == []


def test_what_set_decides_may_lack_a_value_that_a_condition_names() -> None:
    axes = "order = [hardest, random]\n  last = 90\n  a = [1, 2] if $order == random else 0"
    text = SPEC.format(axes=axes, seed="$a + $last", shown="t.clean")
    assert codes(text, order="hardest") == []
    counted = text.replace("order = [hardest, random]", "order = 1..$top").replace("== random", "== 8")
    counted += "param top = 8\n"
    assert codes(counted) == []
    assert codes(counted, top="4") == []
    assert "E715" in codes(counted.replace("== 8", "== 9"))


@pytest.mark.parametrize(("size", "fine"), [("20", False), ("none", True), ("large", True), ('"small"', True)])
def test_a_param_is_compared_with_its_like(size: str, fine: bool) -> None:
    text = SPEC.format(axes="a = 1", seed="$a", shown="t.clean").replace(
        "epochs=1", "epochs=1 if $size == small else 2"
    )
    assert ("E716" in codes(text + f"param size = {size}\n")) != fine
    assert codes(text + "param size = small\n", size="20") == []


# --- values in brackets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "picked", "label"),
    [
        ("a = [20%, 40%]", "20%", "20%"),
        ("a = [20%, 40%]", "0.2", "20%"),
        ("a = [20%, 40%]", "1/5", "20%"),
        ("a = [0.2, 0.4]", "20%", "0.2"),
        ('a = [0.25: "a.pt", 0.5: "b.pt"]', "0.25", "0.25"),
        ('a = ["no decay": 0, base: 5e-4]', '"no decay"', "no decay"),
        ("a = [few: 2, many: 50]", "many", "many"),
    ],
)
def test_brackets_pick_a_value_by_its_label_or_as_a_number(axis: str, picked: str, label: str, tmp_path: Path) -> None:
    text = SPEC.format(axes=axis, seed="1 if $a == $a else 2", shown=f"t.clean[a={picked}]")
    text = text.replace("{ seed = 1 if $a == $a else 2 }", "").replace("epochs=1", f"epochs=1 if $a == {picked} else 2")
    (tmp_path / "spec.sat").write_text(text, "utf-8")
    (display,) = compile_file(tmp_path / "spec.sat").experiment.displays
    assert f"('a', '{label}')" in repr(display)


def test_brackets_with_a_number_among_percentages_say_what_was_meant() -> None:
    text = SPEC.format(axes="a = [20%, 40%]", seed="0", shown="t.clean[a=20]")
    text = text.replace("epochs=1", "epochs=1 if $a == 20% else 2")
    with pytest.raises(SpecError) as raised:
        check("spec.sat", text)
    (finding,) = raised.value.findings
    assert finding.code == "E701"
    assert "`20%`" in finding.help
    assert finding.fix is not None


# --- labels and ranges --------------------------------------------------------------------------------------


def test_labels_may_be_numbers_shares_and_texts(tmp_path: Path) -> None:
    axes = 'a = [0.25: 1, 50%: 2, "no decay": 3, plain: 4, 5]'
    assert labels(axes, "a", "$a", tmp_path) == ["0.25", "50%", "no decay", "plain", "5"]


def test_one_label_for_two_values_is_still_an_error() -> None:
    assert "E201" in codes(SPEC.format(axes="a = [0.25: 1, 0.25: 2]", seed="$a", shown="t.clean"))


def test_labels_that_would_be_dropped_are_warned_of() -> None:
    listed = SPEC.format(axes="a = 1", seed="$a", shown="t.clean")
    assert codes(listed.replace("limit=60", "limit=60, augment=[moved: crop(padding=1)]")) == ["E718"]


@pytest.mark.parametrize(
    ("range_", "warned"),
    [
        ("1..32 step 8", True),
        ("8..32 step 8", False),
        ("0..9 step 5", True),
        ("0..10 step 5", False),
        ("0..9", False),
        ("1..4.5", True),
        ("7..7 step 3", False),
        ("7..8 step 3", True),
    ],
)
def test_a_range_whose_end_no_step_meets_is_warned_of(range_: str, warned: bool) -> None:
    assert codes(SPEC.format(axes=f"a = {range_}", seed="$a", shown="t.clean")) == ["E717"] * warned


@pytest.mark.parametrize(
    ("range_", "warned"),
    [
        ("10%..90% step 10%", False),
        ("10%..95% step 10%", True),
        ("10%..100% step 7%", True),
        ("1%..2% step 0.1%", False),
        ("10%..70% step 20%", False),
    ],
)
def test_rounding_is_no_missed_end(range_: str, warned: bool) -> None:
    text = SPEC.format(axes=f"a = {range_}", seed="0", shown="t.clean").replace("on d using", "on s using")
    found = codes(text + "split s of d { A = random $a examples; B = rest }\n")
    assert ("E717" in found) == warned
