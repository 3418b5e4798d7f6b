"""Find which trainings stand behind the numbers of a chart, and what they attack, from the plan's steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from satdsl.ir.plan import Plan, SplitFacts, SubsetSummary
from satdsl.ir.steps import Key, Step, Train
from satdsl.report.pivot import Cell
from satdsl.report.results import Measured

Attacked = Literal["all", "some", "none", "unknown"]
"""How much of its training set a network was attacked on; unknown for weights made elsewhere."""


@dataclass(frozen=True)
class TrainingSplit:
    """A split of a training: its subsets' facts, and those of the subsets that the training attacks."""

    subsets: tuple[SubsetSummary, ...]
    attacked: tuple[SubsetSummary, ...]


class Trainings:
    """The trainings of a plan, which are asked about the values that they stand behind."""

    def __init__(self, plan: Plan) -> None:
        self._steps = plan.steps
        self._facts: dict[Key, SplitFacts] = {}
        for facts in plan.splits:
            self._facts.setdefault(facts.key, facts)

    def attacked(self, cell: Cell) -> Attacked:
        """Return how much the trainings behind a cell attack; `some` where they differ."""
        found = {self._attacked(step) for measured in cell.measured for step in self._of(measured)}
        return found.pop() if len(found) == 1 else "some" if found else "unknown"

    def split(self, measured: Measured) -> TrainingSplit | None:
        """Return the split of the training behind a value; None where there is none, or more than one training."""
        steps = self._of(measured)
        if len(steps) != 1 or not isinstance(steps[0].settings, Train):
            return None
        facts = self._facts.get(dict(steps[0].inputs).get("split", ""))
        if facts is None:
            return None
        trained = steps[0].settings.subsets
        attacked = [facts.subsets[place] for place, one in zip(facts.order, trained, strict=True) if one.attack]
        return TrainingSplit(facts.subsets, tuple(attacked))

    def attacked_classes(self, measured: Measured) -> frozenset[str] | None:
        """Return the classes that the training behind a value attacks; None if it splits none or they are not known."""
        split = self.split(measured)
        classes = [subset.classes for subset in split.attacked] if split else [None]
        known = [names for names in classes if names is not None]
        return frozenset(name for names in known for name in names) if len(known) == len(classes) else None

    def _of(self, measured: Measured) -> list[Step]:
        """Return the training steps; the one of a transfer is that which its features come from."""
        found = {self._training(key) for key in measured.source.measure.steps}
        return [self._steps[key] for key in sorted(key for key in found if key)]

    def _training(self, key: Key) -> Key | None:
        while (step := self._steps.get(key)) is not None:
            if step.kind == "train":
                return key
            key = dict(step.inputs).get("weights", "")
        return None

    def _attacked(self, step: Step) -> Attacked:
        settings = step.settings
        if not isinstance(settings, Train):
            return "unknown"
        seen = settings.subsets if settings.part is None else (settings.subsets[settings.part],)
        attacks = [subset.attack is not None for subset in seen]
        if all(attacks) and not (settings.pretrained and not settings.recipe.get("epochs", 1)):
            return "all"
        if any(attacks):
            return "some"
        if settings.pretrained:
            return "unknown"
        start = self._steps.get(dict(step.inputs).get("start", ""))
        if start is None:
            return "none"
        return "none" if self._attacked(start) == "none" else "some"
