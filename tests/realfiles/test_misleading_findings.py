"""Findings that mislead: what is right is not warned of, what is wrong is said once and with the true reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from satdsl.api import load
from satdsl.catalog.overfitting_probe import probes
from satdsl.check import check
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding
from satdsl.ir.steps import CatalogCall
from satdsl.report.curves import to_csv

HEAD = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn(width=4)
recipe r = sgd(epochs=2, batch=64, lr=0.1)
attack linf = pgd(norm=Linf, eps=8/255, step_size=2/255, steps=7)
attack l2 = pgd(norm=L2, eps=0.5, step_size=0.1, steps=7)
attack l1 = pgd(norm=L1, eps=8, step_size=2, steps=7)
attack aa_linf = autoattack(norm=Linf, eps=8/255)
attack aa_l2 = autoattack(norm=L2, eps=0.5)
"""


def found(text: str) -> list[Finding]:
    """What is found in a specification, but for what nothing shows (E707 to E709)."""
    try:
        findings = check("spec.sat", text).warnings
    except SpecError as error:
        findings = error.findings
    return [finding for finding in findings if finding.code not in ("E707", "E708", "E709")]


def codes(text: str) -> list[str]:
    return [finding.code for finding in found(text)]


# --- E609: the threat model of the training ---

SPLIT = "split s of d { A = random 50% examples; B = rest }\n"
TWO = SPLIT + "train t = m on s using r { attack A with linf; attack B with l2 }\n"
ONE = "train t = m on d using r { attack all with linf }\n"


@pytest.mark.parametrize(
    ("train", "measures", "expected"),
    [
        (TWO, "a = robust accuracy under aa_linf on val; b = robust accuracy under aa_l2 on val", []),
        (TWO, "b = robust accuracy under aa_l2 on val", []),
        (TWO, "b = robust accuracy under aa_linf, aa_l2 on val", []),
        (TWO, "b = robust accuracy under l1 on val", ["E609"]),
        (SPLIT + "train t = m on s using r { attack A with linf }\n", "b = robust accuracy under aa_linf on val", []),
        ("train t = m on d using r\n", "b = robust accuracy under l2 on val", []),
        (ONE.replace("linf", "no") + "attack no = none()\n", "b = robust accuracy under l2 on val", []),
        (ONE, "a = robust accuracy under linf on val; b = robust accuracy under l2 on val", []),
        (ONE, "a = robust accuracy under l2 on val; b = robust accuracy under l1 on val", ["E609"]),
        (ONE, "a = clean accuracy on val", []),
    ],
)  # fmt: skip
def test_a_network_is_to_be_measured_under_a_threat_model_of_its_training(train, measures, expected):
    assert codes(f"{HEAD}{train}evaluate t {{ {measures} }}\n") == expected


def test_measures_of_several_statements_count_together():
    assert codes(
        f"{HEAD}{ONE}evaluate t {{ a = robust accuracy under l2 on val }}\n"
        "evaluate t { b = robust accuracy under aa_linf on d.train }\n"
    ) == []  # fmt: skip


CURVE = "attack e = pgd(norm=Linf, eps=$e/255, step_size=$e/255/4, steps=10)\n"


@pytest.mark.parametrize(
    ("radii", "expected"),
    [
        ("0.5, 1, 2, 4, 8, 16", []),
        ("1, 2, 4, 16", []),
        ("1, 2, 3, 4", ["E609"]),
        ("12, 16, 32", ["E609"]),
        ("7.905", []),
        ("7", ["E609"]),
    ],
)
def test_a_curve_over_radii_is_doubted_once_and_not_where_it_goes_past_that_of_the_training(radii, expected):
    text = f"{HEAD}{CURVE}sweep {{ e = [{radii}] }}\n{ONE}evaluate t {{ a = robust accuracy under e on val }}\n"
    assert codes(text) == expected


def test_lines_of_a_curve_that_are_written_one_by_one_are_doubted_once():
    attacks = "".join(f"attack e{i} = pgd(norm=Linf, eps={i}/255, step_size={i}/1000, steps=10)\n" for i in range(1, 5))
    lines = "; ".join(f"r{i} = robust accuracy under e{i} on val" for i in range(1, 5))
    (finding,) = found(f"{HEAD}{attacks}{ONE}evaluate t {{ {lines} }}\n")
    assert (finding.code, finding.span.text) == ("E609", "e1")
    assert "Linf, eps=0.003922 to 0.01569" in finding.message


def test_networks_that_are_trained_with_other_radii_are_compared_under_one():
    text = HEAD + CURVE + "sweep { e = [4, 8, 16] }\ntrain t = m on d using r { attack all with e }\n"
    assert codes(text + "evaluate t { a = robust accuracy under aa_linf on val }\n") == []


def test_networks_that_are_trained_under_other_norms_are_each_measured_under_their_own():
    text = HEAD + "sweep { with = [linf, l2] }\ntrain t = m on d using r { attack all with $with }\n"
    (finding,) = found(text + "evaluate t { a = robust accuracy under aa_linf on val }\n")
    assert "trained under L2, eps=0.5, but only ever measured under Linf" in finding.message
    assert codes(text + "evaluate t { a = robust accuracy under $with on val }\n") == []
    assert codes(text + "evaluate t { a = robust accuracy under aa_linf, aa_l2 on val }\n") == []


def test_what_cannot_be_read_gives_no_doubt_about_what_is_measured():
    text = (
        f"{HEAD}{ONE}evaluate t {{ a = robust accuracy under l2 on val; b = robust accuracy under nothing on val }}\n"
    )
    assert codes(text) == ["E203"]


# --- E602: the reach of an attack ---


@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        ("fgsm(norm=Linf, eps=8/255, step_size=4/255, random_start=ball)", []),  # R+FGSM
        ("fgsm(norm=Linf, eps=8/255, step_size=10/255, random_start=ball)", []),  # Wong et al.
        ("fgsm(norm=Linf, eps=8/255, step_size=4/255)", ["E602"]),
        ("fgsm(norm=Linf, eps=8/255, step_size=1/255, random_start=ball)", ["E602"]),
        ("pgd(norm=L2, eps=0.5, step_size=0.05, steps=5, random_start=radial)", []),
        ("pgd(norm=L2, eps=0.5, step_size=0.05, steps=5)", ["E602"]),
        ("pgd(norm=L1, eps=12, step_size=1, steps=5, random_start=sphere)", ["E602"]),
        ("pgd(norm=L1, eps=12, step_size=1, steps=6, random_start=sphere)", []),
        ("pgd(norm=L1, eps=12, step_size=1, steps=6)", ["E602"]),
        ("pgd(norm=Linf, eps=8/255, step_size=1/2550, steps=10, restarts=10, random_start=ball)", ["E602"]),
    ],
)
def test_the_reach_of_an_attack_is_counted_from_its_start(attack, expected):
    assert codes(f"{HEAD}attack x = {attack}\n") == expected


def test_a_random_start_is_not_said_to_be_out_of_reach_of_the_edge():
    (finding,) = found(f"{HEAD}attack x = pgd(norm=L2, eps=0.5, step_size=0.01, steps=7, random_start=ball)\n")
    assert finding.message == "7 steps of 0.01 lead at most 0.07 away from the random start, in a ball of eps=0.5"
    assert "out of reach" not in finding.reason


# --- E513: a new head before a network is fine-tuned ---

BLANK = """dataset few = synthetic(classes=4, shape=[1, 8, 8], train=80, val=40)
recipe nothing = sgd(epochs=0)
train ref = m on d using r
transfer blank = ref to few using nothing
"""
FINE = "train fine = m on few using r { start from blank }\nevaluate fine { clean = clean accuracy on val }\n"


def test_fine_tuning_begins_with_a_new_head_that_nothing_has_trained():
    assert codes(HEAD + BLANK + FINE) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "evaluate blank { clean = clean accuracy on val }\n",
        "train idle = m on few using nothing { start from blank }\nevaluate idle { clean = clean accuracy on val }\n",
    ],
)
def test_a_random_head_is_not_measured(wrong):
    assert codes(HEAD + BLANK + FINE + wrong) == ["E513"]


def test_a_network_is_fine_tuned_from_a_new_head(tmp_path: Path):
    file = tmp_path / "fine.sat"
    head = HEAD.replace("digits(holdout=10%)", "digits(limit=100)").replace("epochs=2", "epochs=1")
    file.write_text(head + BLANK + FINE)
    spec = load(file, store=tmp_path / "store")
    spec.run(progress=False, device="cpu")
    (result,) = spec.measured
    assert result.value is not None
    assert 0 <= result.value <= 1


# --- E104: what is shown of a line that is refused ---


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("attack A wit l2", "did you mean `with`?"),
        ("attack A l2", "write `attack A with pgd7`"),
        ("loss A trades(beta=6)", "write `loss A = trades(beta=6)`"),
        ("keep every epoch", "write `keep snapshots every epoch` or `keep weights every 5 epochs`"),
        ("select by robust accuracy l2", "write `select by robust accuracy under pgd7 every 5 epochs`"),
        ("seed = 3", "write `seed = 1`"),
        ("start ref", "write `start from ref`"),
        ("epochs = 3", "write it in the recipe: `recipe r = sgd(epochs=30, batch=128, lr=0.1)`"),
        ("eps = 3", "write it in an attack: `attack pgd7 = pgd(norm=Linf, eps=8/255, step_size=2/255, steps=7)`"),
    ],
)
def test_a_line_that_is_refused_is_shown_a_line_of_its_kind(line, shown):
    (finding,) = found(f"{HEAD}train t = m on d using r {{ {line} }}\n")
    assert (finding.code, finding.help) == ("E104", shown)


def test_a_word_at_the_wrong_place_is_not_said_to_be_unexpected():
    (finding,) = found(f"{HEAD}train t = m on d using r {{ batch_size = 3 }}\n")
    assert finding.message == "`batch_size` is no line of a `train` block"


# --- the probe for catastrophic overfitting ---


def test_radii_are_compared_within_a_norm():
    def pgd(norm: str, eps: float) -> CatalogCall:
        return CatalogCall("pgd", (("norm", norm), ("eps", eps)))

    found = probes([pgd("L2", 0.5), None, pgd("Linf", 4 / 255), pgd("Linf", 8 / 255), pgd("L1", 12)])
    assert [(one["norm"], one["eps"]) for one in found] == [("L2", 0.5), ("Linf", 8 / 255), ("L1", 12)]
    assert all(one["step_size"] == one["eps"] / 4 for one in found)
    assert probes([None]) == ()


def test_a_training_under_two_norms_is_probed_under_each(tmp_path: Path):
    file = tmp_path / "two.sat"
    head = HEAD.replace("digits(holdout=10%)", "digits(limit=200, limit_val=60)")
    file.write_text(head + TWO + "evaluate t { clean = clean accuracy on val }\n")
    spec = load(file, store=tmp_path / "store")
    spec.run(progress=False, device="cpu")
    (curve,) = spec.curves
    for epoch in curve.epochs:
        probe = epoch["probe"]
        assert set(probe["under"]) == {"Linf", "L2"}
        assert probe["robust"] == min(probe["under"].values())
        assert max(probe["under"].values()) <= probe["clean"]
    parts = [line.split(",")[3] for line in to_csv(spec.curves).splitlines()[1:]]
    assert parts[:5] == ["all", "A", "B", "probe train under Linf", "probe train under L2"]


# --- one cause, one finding ---


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("recipe x = sgd(epochs=9, schedule=step(at=[3, 5))\n", ["E103"]),
        ("train t = m on d using r { attack all  l2; loss all = trades(beta=6) }\n", ["E104"]),
        ("q = sgd(epochs=3)\ntrain t = m on d using q\n", ["E101"]),
        ("split s of d  A = random 30% examples; B = rest }\ntrain t = m on s using r\n", ["E104"]),
        ("evaluate tt { a = clean accuracy on val }\ntrain t = m on d using r\ntable \"x\" = rows(t.a)\n", ["E203"]),
        ("attack x = pgd(norm=L2, eps=0.5, step_size2/255, steps=7)\n", ["E303"]),
        ("train t = m on d using r { keep snapshots every epohc }\n"
         "split s of d { A = easiest 9% examples by aum of t; B = rest }\n", ["E104"]),
        ("split s of d { A = hardets 9% examples by loss of u; B = rest }\ntrain u = m on d using r\n"
         "train t = m on s using r\nevaluate t { a = clean accuracy on A_train }\n", ["E104"]),
        ("sta 1\n", ["E101"]),
        ("split s of d { A = randmo 9% examples; B = random 9% examples - A; C = rest }\n", ["E104"]),
        ("dataset e = digits(limit300, holdout=10%, augment=[flip])\n", ["E303"]),
    ],
)  # fmt: skip
def test_one_mistake_gives_one_finding(wrong, expected):
    text = HEAD.removeprefix("sat 1\n") if wrong == "sta 1\n" else HEAD
    assert codes(wrong + text if wrong == "sta 1\n" else text + wrong) == expected


@pytest.mark.parametrize(
    ("wrong", "help"),
    [
        ("train t = m on d using r { keep snapshots every epohc }\n", "did you mean `epoch`?"),
        ("split s of d { A = hardets 9% examples by loss of t; B = rest }\n", "did you mean `hardest`?"),
        ("attack x = pgd(norm=L2, eps=0.5, step_size2/255, steps=7)\n", "did you mean `step_size=2/255`?"),
        ("split s of d { A = random 1/3 examples; B = rest }\n", "write `A = random 30% examples seed = 1`"),
        ("train t = m on d using r { A with l2 }\n",
         "its lines begin with `attack`, `loss`, `select`, `keep`, `seed`, `start`"),
    ],
)  # fmt: skip
def test_the_way_out_fits_what_is_written(wrong, help):
    (finding,) = found(HEAD + wrong)
    assert finding.help == help


def test_an_attack_that_does_not_fit_the_data_is_told_once():
    few = HEAD.replace("digits(holdout=10%)", "synthetic(classes=5, shape=[1, 8, 8], train=80, val=40, holdout=10%)")
    text = (
        few
        + ONE
        + "train u = m on d using r { attack all with linf; select by robust accuracy under aa_linf at end }\n"
    )
    lines = "a = robust accuracy under aa_linf on val; b = robust accuracy under linf, aa_linf on train"
    assert codes(f"{text}evaluate t {{ {lines} }}\nevaluate u {{ {lines} }}\n") == ["E606"]


def test_a_reference_that_is_attacked_is_told_once_for_all_that_it_ranks():
    split = "split s of d { A = hardest 9% examples by loss of t; B = easiest 9% examples by loss of t; C = rest }\n"
    train = "train t = m on d using r { attack all with linf }\ntrain u = m on s using r { attack A with linf }\n"
    assert codes(HEAD + train + split) == ["E505"]


@pytest.mark.parametrize(("when", "expected"), [("at end", []), ("every 1 epochs", ["E509"])])
def test_a_selection_that_has_nothing_to_choose_between_is_not_doubted(when, expected):
    assert codes(f"{HEAD}train t = m on d using r {{ attack all with linf; select {when} }}\n") == expected


def test_a_bracket_that_is_left_open_is_told_where_it_is_open():
    (finding,) = found(f"{HEAD}recipe x = sgd(epochs=9, schedule=step(at=[3, 5))\n")
    assert (finding.message, finding.span.text, finding.help) == ("`[` is never closed", "[", "close it before `)`")
