"""Losses that are written as formulas: what they mean, what is the same loss, and what they cost."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from words import CLEAN, HEAD, codes_of, passes_of, plan_of, step_called

from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.plan import Passes
from satdsl.ir.steps import Loss, Train
from satdsl.plan.saved import load, save
from satdsl.show.text import page

SPLIT = "split s of d { A = classes 0, 1, 2; B = rest }\n"
IMAGES, OF_A, EPOCHS = 1437, 432, 10

MART = "bce(adversarial) + 5*kl(clean, adversarial)*(1 - p(clean))"


def trained_with(loss: str, before: str = "", attack: str = "attack A with pgd7; ") -> str:
    return f"{HEAD}{before}{SPLIT}train sat = m on s using r {{ {attack}loss A = {loss} }}\n{CLEAN}"


def loss_of(text: str) -> Loss | None:
    settings = step_called(plan_of(text), "train sat").settings
    assert isinstance(settings, Train)
    return settings.subsets[0].loss


def key_of(text: str) -> str:
    return step_called(plan_of(text), "train sat").key


SAME = [
    ("ce(clean) + 6*kl(clean, adversarial)", "kl(x=clean, y=adversarial)*6 + (ce(x=clean))"),
    ("ce(clean) + 6*kl(clean, adversarial)", "ce(clean) + (2*3)*kl(clean, adversarial)"),
    ("50%*ce(clean) + 50%*ce(adversarial)", "0.5*ce(clean) + 0.5*ce(adversarial)"),
    ("ce(adversarial)", "cross_entropy"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_loss_is_one_step(one: str, other: str) -> None:
    assert key_of(trained_with(one)) == key_of(trained_with(other))


def test_params_and_axes_stand_for_their_values() -> None:
    written = trained_with("ce(clean) + 6*kl(clean, adversarial)")
    assert key_of(
        trained_with("ce(clean) + $beta*$distance", before="param beta = 6\nparam distance = kl(clean, adversarial)\n")
    ) == key_of(written)
    swept = trained_with("$loss", before="sweep { loss = [mart: bce(adversarial), trades: trades(beta=6)] }\n")
    plan = plan_of(swept)
    losses = {
        label: step.settings.subsets[0].loss
        for key, step in plan.steps.items()
        if isinstance(step.settings, Train) and (label := plan.labels[key]) != "train ref"
    }
    assert losses["train sat[loss=mart]"] == LossFormula(("bce", "adversarial"))
    assert len(losses) == 2


@pytest.mark.parametrize(
    "change",
    [
        ("5*", "6*"),
        ("kl(clean, adversarial)", "kl(adversarial, clean)"),
        ("bce", "ce"),
        ("1 - p(clean)", "p(clean) - 1"),
    ],
)
def test_another_formula_is_another_step(change: tuple[str, str]) -> None:
    assert key_of(trained_with(MART)) != key_of(trained_with(MART.replace(*change)))


@pytest.mark.parametrize(
    ("loss", "passes"),
    [
        ("bce(adversarial)", Passes(1, 7)),
        ("bce(adversarial) + p(adversarial)", Passes(1, 7)),
        (MART, Passes(1, 8)),
        ("ce(clean) + kl(clean, adversarial)", Passes(1, 8)),
    ],
)
def test_a_loss_costs_the_passes_of_its_terms(loss: str, passes: Passes) -> None:
    """PGD-7 that keeps its best iterate costs 7 passes with backward and one forward; the probe costs what it did."""
    plain = passes_of(plan_of(trained_with("cross_entropy")), "train sat")
    found = passes_of(plan_of(trained_with(loss)), "train sat")
    beside = Passes(passes.forward - 1, passes.forward_backward - 7).times(OF_A * EPOCHS)
    assert found == plain + beside


def test_an_attack_on_the_divergence_costs_the_prediction_that_it_moves_away_from() -> None:
    """So TRADES as a formula costs what `trades` costs, which brings that objective itself."""
    formula = trained_with("ce(clean) + 6*kl(clean, adversarial)").replace("steps=7)", "steps=7, objective=kl)", 1)
    by_name = passes_of(plan_of(trained_with("trades(beta=6)")), "train sat")
    assert passes_of(plan_of(formula), "train sat") == by_name


def test_a_loss_of_clean_images_costs_nothing_beside_the_pass() -> None:
    assert passes_of(plan_of(trained_with("bce(clean)", attack="")), "train sat") == Passes(0, IMAGES * EPOCHS)


def test_a_saved_plan_has_its_formulas(tmp_path: Path) -> None:
    plan = plan_of(trained_with(MART))
    save(plan, tmp_path / "plan.yaml")
    assert load(tmp_path / "plan.yaml") == plan


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (MART, "5*kl(clean, adversarial)*(1 - p(clean)) + bce(adversarial)"),
        (
            "5*((1 - p(clean))*kl(clean, adversarial)) + bce(adversarial)",
            "5*((1 - p(clean))*kl(clean, adversarial)) + bce(adversarial)",
        ),
        ("ce(clean) - (p(clean) - p(adversarial))", "ce(clean) - (p(clean) - p(adversarial))"),
        ("-(ce(clean) + ce(adversarial))/2", "-(ce(adversarial) + ce(clean))/2"),
        ("ce(adversarial)/(p(clean)/2)", "ce(adversarial)/(p(clean)/2)"),
        ("ce(adversarial)*-1", "-1*ce(adversarial)"),
    ],
)
def test_what_is_shown_means_the_same(formula: str, text: str) -> None:
    loss = loss_of(trained_with(formula))
    assert isinstance(loss, LossFormula)
    assert loss.text == text
    assert loss_of(trained_with(loss.text)) == loss


def test_a_word_of_another_library_alone_is_not_a_term() -> None:
    assert codes_of(trained_with("ce")) == ["E106"]
    assert "E106" not in codes_of(trained_with("ce(adversarial)"))


# --- other networks ----------------------------------------------------------------------------------

TEACHERS = "train big = m on d using r { attack all with pgd7 }\ntrain small = m on d using r { seed = 4 }\n"


def test_names_of_teachers_enter_no_key() -> None:
    loss = "kl(big(clean), adversarial) + kl(small(clean), adversarial)"
    one = trained_with(loss, before=TEACHERS)
    other = trained_with("kl(b(clean), adversarial) + kl(a(clean), adversarial)",
                         before=TEACHERS.replace("big", "a").replace("small", "b"))  # fmt: skip
    swapped = trained_with(loss, before=TEACHERS.replace("big", "x").replace("small", "big").replace("x", "small"))
    weighted = trained_with(loss.replace(" + ", " + 2*"), before=TEACHERS)
    assert key_of(one) == key_of(other) == key_of(swapped) != key_of(weighted)
    step = step_called(plan_of(one), "train sat")
    plan = plan_of(one)
    asked = {plan.labels[key] for role, key in step.inputs if role.startswith("teacher")}
    assert asked == {"train big", "train small"}


def test_explain_calls_teachers_what_the_file_calls_them() -> None:
    loss = "kl(small(clean), adversarial) + kl(big(clean), adversarial)"
    plan = plan_of(trained_with(loss, before=TEACHERS))
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(page(plan, dict.fromkeys(plan.steps, "new")))
    text = console.export_text()
    assert "kl(small(clean), adversarial)" in text
    assert "kl(big(clean), adversarial)" in text


def test_a_teacher_costs_a_forward_pass_of_what_it_is_asked_about() -> None:
    plain = passes_of(plan_of(trained_with("bce(adversarial)", before=TEACHERS)), "train sat")
    for loss, asked in (
        ("kl(big(clean), adversarial)", 1),
        ("kl(big(clean), adversarial) + p(big(clean))*p(adversarial)", 1),
        ("kl(big(clean), adversarial) + p(small(adversarial))*p(adversarial)", 2),
    ):
        found = passes_of(plan_of(trained_with(loss, before=TEACHERS)), "train sat")
        assert found == plain + Passes(asked * OF_A * EPOCHS)


def test_a_subset_that_is_not_attacked_may_be_taught() -> None:
    found = passes_of(plan_of(trained_with("kl(big(clean), clean)", TEACHERS, attack="")), "train sat")
    assert found == Passes(OF_A * EPOCHS, IMAGES * EPOCHS)


def test_a_teacher_at_a_point_is_the_one_of_that_point() -> None:
    before = "sweep { seed = 0..1 }\n" + TEACHERS.replace("seed = 4", "seed = $seed")
    plan = plan_of(trained_with("kl(small[seed=1](clean), adversarial)", before))
    step = step_called(plan, "train sat")
    assert [plan.labels[key] for role, key in step.inputs if role == "teacher0"] == ["train small[seed=1]"]
    following = plan_of(trained_with("kl(small(clean), adversarial)", before))
    assert step_called(following, "train sat[seed=0]").key != step_called(following, "train sat[seed=1]").key
