"""What the choice of a checkpoint costs: at most, and where the first attacks of its candidates decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
from words import CLEAN, HEAD, SUBSET, plan_of

from satdsl.ir.part_of_plan import only
from satdsl.ir.plan import Passes, Plan
from satdsl.plan import cost
from satdsl.show.document import totals
from satdsl.show.text import big, sections

HELD_OUT, CANDIDATES = 38, 3
AUTOATTACK = "autoattack(norm=Linf, eps=0.1)"


def selecting(line: str, attack: str = AUTOATTACK) -> Plan:
    more = f"attack strong = {attack}\ntrain sat = m on s using r {{ attack A with pgd7; {line} }}\n"
    return plan_of(f"{HEAD}{SUBSET}{more}{CLEAN}")


def reasons(plan: Plan) -> dict[str, str]:
    return dict.fromkeys(plan.steps, "new")


def notes(plan: Plan) -> list[str]:
    (table,) = dict(sections(plan, reasons(plan)))["Cost"]
    assert not isinstance(table, str)
    return [note for note in table.notes if "selection" in note]


def test_all_candidates_in_full_are_the_most_and_one_with_the_first_attacks_of_the_others_where_these_decide() -> None:
    plan = selecting("select by robust accuracy under strong")
    (found,) = plan.selecting.values()
    (rule,) = {step.settings.select for step in plan.steps.values() if getattr(step.settings, "select", None)}  # type: ignore[union-attr]
    one = cost.robust(rule.attacks, 10).times(HELD_OUT)
    assert found.most == one.times(CANDIDATES)
    # The others are seen without attack and attacked by APGD-CE: the driver asks the network seven questions and looks
    # twice, and the attack looks once and takes 101 gradients.
    first = Passes(1 + 7 + 2 + 1, 101).times(HELD_OUT)
    assert found.first_decide == replace(one + first.times(CANDIDATES - 1), at_most=True)
    assert found.first_decide.cost < found.most.cost / 2
    assert notes(plan) == [
        f"checkpoint selection: at most {big(found.most.cost)} of these passes, "
        f"{big(found.first_decide.cost)} if the first attacks decide"
    ]
    shown = totals(plan, reasons(plan))["selection"]
    assert (shown["at_most"]["cost"], shown["first_attacks_decide"]["cost"]) == (
        round(found.most.cost),
        round(found.first_decide.cost),
    )


def test_the_training_costs_the_most() -> None:
    bare, plan = (selecting(line) for line in ("", "select by robust accuracy under strong"))
    (key, found), (other,) = *plan.selecting.items(), [key for key in bare.steps if bare.labels[key] == "train sat"]
    assert plan.passes[key] == bare.passes[other] + found.most


@pytest.mark.parametrize("attack", ["pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)", "apgd(norm=Linf, eps=0.1)"])
def test_an_attack_that_is_one_has_no_first_that_could_decide(attack: str) -> None:
    plan = selecting("select by robust accuracy under strong", attack)
    (found,) = plan.selecting.values()
    assert found.most == found.first_decide
    assert notes(plan) == [f"checkpoint selection: at most {big(found.most.cost)} of these passes"]


def test_of_several_attacks_the_first_one_may_decide() -> None:
    (found,) = selecting("select by robust accuracy under pgd7, strong").selecting.values()
    whole, first = found.most.cost / CANDIDATES, (3 / 3 + 7) * HELD_OUT
    assert found.first_decide.cost == pytest.approx(whole + (CANDIDATES - 1) * first)


@pytest.mark.parametrize("line", ["", "select by clean accuracy"])
def test_a_training_that_selects_without_attack_has_no_such_cost(line: str) -> None:
    plan = selecting(line)
    assert not plan.selecting
    assert not notes(plan)
    assert totals(plan, reasons(plan))["selection"] is None


def test_a_part_of_a_plan_has_the_selections_of_its_own_steps() -> None:
    plan = only(selecting("select by robust accuracy under strong"), ["ref"])
    assert totals(plan, reasons(plan))["selection"] is None
