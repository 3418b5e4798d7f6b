"""Short ways to specifications, their plans and their findings."""

from __future__ import annotations

from satdsl.check import check
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding
from satdsl.ir.plan import Passes, Plan
from satdsl.ir.steps import Key, Step
from satdsl.plan.expand import expand

HEAD = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn()
attack pgd7 = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)
attack aa = autoattack(norm=Linf, eps=0.1)
recipe r = sgd(epochs=10, schedule=step(at=[5, 8]))
train ref = m on d using r { keep snapshots every epoch }
"""
"""1,437 training images; of the 360 others 38 (of each class a tenth) select checkpoints."""

SUBSET = "split s of d { A = hardest 30% examples by snapshot-entropy of ref; B = rest }\n"
SAT = "train sat = m on s using r { attack A with pgd7 }\n"
CLEAN = "evaluate sat { clean = clean accuracy on val }\n"


def plan_of(text: str, **overrides: str) -> Plan:
    return expand(check("spec.sat", text, overrides))


def keys_of(text: str, **overrides: str) -> frozenset[Key]:
    return frozenset(plan_of(text, **overrides).steps)


def findings_of(text: str, **overrides: str) -> tuple[Finding, ...]:
    try:
        return check("spec.sat", text, overrides).warnings
    except SpecError as error:
        return error.findings


def codes_of(text: str, **overrides: str) -> list[str]:
    return [finding.code for finding in findings_of(text, **overrides)]


def keys_by_label(text: str, **overrides: str) -> dict[str, Key]:
    """The key of each step that is shown, by what the file calls the step."""
    plan = plan_of(text, **overrides)
    found = {plan.labels[key]: key for key in plan.shown}
    assert len(found) == len(plan.shown)
    return found


def step_called(plan: Plan, label: str) -> Step:
    return next(step for key, step in plan.steps.items() if plan.labels[key] == label)


def passes_of(plan: Plan, label: str) -> Passes:
    return plan.whole_passes(step_called(plan, label).key)
