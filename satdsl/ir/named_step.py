"""Find the step of a plan that people mean by its name, or by how its key begins."""

from __future__ import annotations

from satdsl.errors import RequestError
from satdsl.hints import listed, suggest
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key

SHORTEST_KEY = 4
"""Digits of a key that are taken for one."""

MOST_NAMED = 8
"""Steps that are named where several are meant."""


class NoSuchStep(RequestError, LookupError):
    """Nothing in the plan is called so, or several steps are."""


def step_called(plan: Plan, text: str) -> Key:
    """Return the step whose label is `train sat[share=30%]`, also without its kind or its point; or `3f2a...`.

    Blocks are parts of an evaluation, and stand for it.

    Raises:
        NoSuchStep: there is none, or there are several.
    """
    labels = {key: plan.labels[key] for key in plan.shown}
    blocks = {plan.evaluation_of[key] for key in plan.evaluation_of if key.startswith(text.lower())}
    short = {key: label.partition(" ")[2] for key, label in labels.items()}
    found = [key for key, label in labels.items() if label == text]
    found = found or [key for key in labels if len(text) >= SHORTEST_KEY and key.startswith(text.lower())]
    found = found or [key for key in labels if short[key] == text]
    found = found or list(blocks if len(text) >= SHORTEST_KEY else ())
    for names in (labels, short):
        at_points = [key for key, name in names.items() if name.startswith(f"{text}[") and name.endswith("]")]
        found = found or at_points
    if len(found) == 1:
        return found[0]
    if not found:
        raise NoSuchStep(f"the plan has no step `{text}`", str(suggest(text, labels.values(), there_are="there are")))
    alike = len({labels[key] for key in found}) < len(found)
    names_of_found = [f"{labels[key]} ({key[:8]})" if alike else labels[key] for key in found]
    raise NoSuchStep(
        f"`{text}` can be {len(found):,} steps: {listed(names_of_found, MOST_NAMED)}",
        'give the whole name in quotes, as in "train sat[share=30%]", or how the key begins',
    )
