"""A store filled with made-up rows, and the plan that they would come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from satdsl.artifacts.epochs import to_columns
from satdsl.artifacts.outcomes import outcomes
from satdsl.artifacts.schemas import CURVES, ROWS, SCORES, SPLIT, VALUES
from satdsl.backend.artifact_files import write_table
from satdsl.engine.local_store import LocalStore
from satdsl.ir.plan import (
    Accuracy,
    Claim,
    Comparison,
    Display,
    Distance,
    Expression,
    MeanScore,
    Number,
    OwnMean,
    Part,
    Plan,
    Point,
    Published,
    Result,
    Selected,
)
from satdsl.ir.steps import Block, CatalogCall, Data, Evaluate, Score, Settings, Split, Step, SubsetTraining, Train

FORMS = {form.name: form for form in (ROWS, SCORES, SPLIT, VALUES)}

CLASSES = ("cat", "dog", "ship")


def train_settings(seed: int, lr: float) -> Train:
    recipe = CatalogCall("sgd", (("epochs", 2), ("lr", lr)))
    whole = (SubsetTraining(None, 1.0),)
    return Train(CatalogCall("small_cnn"), recipe, (), None, whole, (0.5,), (0.2,), seed=seed)


@dataclass
class Study:
    """Stores rows under the keys of steps that it makes up, and collects results, displays and claims."""

    store: LocalStore
    steps: list[Step] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    displays: list[Display] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    axes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    published: list[Published] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        steps = {step.key: step for step in self.steps}
        labels = dict.fromkeys(steps, "a step")
        return Plan(
            title="made up",
            steps=steps,
            labels=labels,
            results=tuple(self.results),
            displays=tuple(self.displays),
            claims=tuple(self.claims),
            axes=self.axes,
            published=tuple(self.published),
        )

    # --- artifacts -------------------------------------------------------------------------------

    def data(self, name: str = "digits", train: Sequence[int] = ()) -> Step:
        step = self._step(Data(CatalogCall(name)))
        labels = {"train": np.asarray(train), "train_index": np.arange(len(train))}
        return self._stored(step, "labels", labels, {"classes": CLASSES})

    def evaluation(
        self,
        correct: ArrayLike | None,
        *,
        index: ArrayLike | None = None,
        label: ArrayLike | None = None,
        data: str = "digits",
        lr: float = 0.1,
        seed: int = 0,
        attack: str | CatalogCall | None = None,
        warnings: Sequence[str] = (),
        attacks: Sequence[str] = (),
        broken_by: ArrayLike | None = None,
        distance: ArrayLike | None = None,
        epoch: int | None = None,
    ) -> Step:
        """An evaluation of a network trained so; without `correct` it is not run."""
        source = self._step(Data(CatalogCall(data)))
        weights = self._step(train_settings(seed, lr), data=source)
        choice = CatalogCall(attack) if isinstance(attack, str) else attack
        step = self._step(Evaluate(choice, "val", None, epoch=epoch), weights=weights, data=source)
        if correct is None:
            return step
        right = np.asarray(correct, bool)
        places = np.arange(len(right)) if index is None else np.asarray(index)
        labels = np.zeros(len(right), int) if label is None else np.asarray(label)
        first = np.where(right, -1, 0) if broken_by is None else np.asarray(broken_by)
        arrays = {"index": places, "label": labels, "correct": right, "broken_by": first}
        if distance is not None:
            arrays["distance"] = np.asarray(distance, float)
        facts = {"n": len(right), "warnings": list(warnings), "attacks": list(attacks)}
        return self._stored(step, "rows", arrays, facts)

    def evaluation_in_blocks(
        self, correct: ArrayLike, count: int, stored: int, *, label: ArrayLike | None = None, lr: float = 0.1, seed=0
    ) -> Step:
        """An evaluation of which the first blocks are stored, and where they all are, itself.

        The images are measured in the order of their indices: it is for the test to have shuffled them.
        """
        right = np.asarray(correct, bool)
        labels = np.zeros(len(right), int) if label is None else np.asarray(label)
        source = self._step(Data(CatalogCall("digits")))
        weights = self._step(train_settings(seed, lr), data=source)
        attack = CatalogCall("autoattack", (("eps", 0.5), ("norm", "L2")))
        blocks = {}
        for k in range(count):
            settings = Evaluate(attack, "val", None, block=Block(k, count))
            blocks[f"block{k}"] = self._step(settings, weights=weights, data=source)
        whole = self._step(Evaluate(attack, "val", None), weights=weights, data=source, **blocks)
        sizes = np.bincount(labels, minlength=len(CLASSES)).tolist()
        for k, step in enumerate(blocks.values()):
            if k < stored:
                one = slice(k * len(right) // count, (k + 1) * len(right) // count)
                self._rows(step, right[one], np.arange(len(right))[one], labels[one], {"sizes": sizes})
        if stored == count:
            self._rows(whole, right, np.arange(len(right)), labels, {})
        return whole

    def _rows(self, step: Step, right: np.ndarray, places: np.ndarray, labels: np.ndarray, more: Any) -> None:
        arrays = {"index": places, "label": labels, "correct": right, "broken_by": np.where(right, -1, 0)}
        self._stored(step, "rows", arrays, {"n": len(right), "warnings": [], "attacks": [], **more})

    def training(self, curves: Sequence[Mapping[str, object]], seed: int = 0, lr: float = 0.1) -> Step:
        """A finished training that left these curves."""
        step = self._step(train_settings(seed, lr), data=self._step(Data(CatalogCall("digits"))))
        out = self.store.begin(step.key)
        write_table(out, CURVES, to_columns(curves))
        (out / "selection.json").write_text(json.dumps({"measure": None, "candidates": [], "chosen": 1}))
        self.store.commit(step, "a step", seconds=0, continued=False, device="cpu")
        return step

    def scored(self, values: ArrayLike, score: str = "entropy", index: ArrayLike | None = None) -> Step:
        source = self._step(Data(CatalogCall("digits")))
        weights = self._step(train_settings(0, 0.1), data=source)
        step = self._step(Score(score, None), weights=weights, data=source)
        places = np.arange(len(np.asarray(values))) if index is None else np.asarray(index)
        return self._stored(step, "scores", {"index": places, score: np.asarray(values)}, {})

    def measured_by(self, name: str, values: ArrayLike, label: ArrayLike | None = None) -> Step:
        """An evaluation by a function of one's own."""
        source = self._step(Data(CatalogCall("digits")))
        weights = self._step(train_settings(0, 0.1), data=source)
        step = self._step(Evaluate(None, "val", None, own=CatalogCall(name)), weights=weights, data=source)
        found = np.asarray(values, np.float64)
        labels = np.zeros(len(found), int) if label is None else np.asarray(label)
        arrays = {"index": np.arange(len(found)), "label": labels, "value": found}
        return self._stored(step, "values", arrays, {"n": len(found), "warnings": [], "attacks": []})

    def split(self, subset: Sequence[int], classes: Sequence[Sequence[int] | None]) -> Step:
        step = self._step(Split((), None), data=self._step(Data(CatalogCall("digits"))))
        arrays = {"index": np.arange(len(subset)), "subset": np.asarray(subset, np.int16)}
        sizes = [list(subset).count(i) for i in range(len(classes))]
        return self._stored(step, "split", arrays, {"sizes": sizes, "classes": list(classes), "warnings": []})

    def _step(self, settings: Settings, **inputs: Step) -> Step:
        step = Step(settings, tuple((role, source.key) for role, source in inputs.items()))
        self.steps.append(step)
        return step

    def _stored(self, step: Step, table: str, arrays: Mapping[str, np.ndarray], facts: object) -> Step:
        out = self.store.begin(step.key)
        if table not in FORMS:
            np.savez(out / f"{table}.npz", **arrays)
        else:
            if table == "rows":
                arrays = {**arrays, "outcome": outcomes(arrays["broken_by"], ["an attack"] * 9)}
            write_table(out, FORMS[table], arrays)
        (out / "facts.json").write_text(json.dumps(facts))
        self.store.commit(step, "a step", seconds=0, continued=False, device="cpu")
        return step

    # --- what the file says ----------------------------------------------------------------------

    def accuracy(
        self,
        name: str,
        *evaluations: Step,
        at: Point = (),
        part: Part | None = None,
        by_class: bool = False,
    ) -> None:
        attacks = [step.settings.attack for step in evaluations if step.settings.attack is not None]
        measure = Accuracy(tuple(step.key for step in evaluations), tuple(attacks))
        self._result(name, at, measure, part or self.val(evaluations[0]), by_class)

    def robust_at(self, name: str, radius: float, *evaluations: Step, at: Point = (), by_class: bool = False) -> None:
        attacks = tuple(step.settings.attack for step in evaluations)
        measure = Accuracy(tuple(step.key for step in evaluations), attacks, radius=radius)
        self._result(name, at, measure, self.val(evaluations[0]), by_class)

    def distance(self, name: str, statistic: Any, *evaluations: Step, by_class: bool = False) -> None:
        attacks = tuple(step.settings.attack for step in evaluations)
        measure = Distance(tuple(step.key for step in evaluations), attacks, statistic)
        self._result(name, (), measure, self.val(evaluations[0]), by_class)

    def mean_score(self, name: str, of: Step, *, part: Part | None = None, by_class: bool = False) -> None:
        measure = MeanScore(of.settings.score, of.key)
        whole = Part("train", "train", dict(of.inputs)["data"])
        self._result(name, (), measure, part or whole, by_class)

    def own_mean(self, name: str, of: Step, *, share: bool = False, by_class: bool = False) -> None:
        measure = OwnMean(of.settings.own.name, of.key, share)
        self._result(name, (), measure, self.val(of), by_class)

    def _result(self, name, at, measure, part, by_class) -> None:
        self.results.append(Result(name, at, measure, part, by_class, CLASSES if by_class else ()))

    def val(self, evaluation: Step) -> Part:
        return Part("val", "val", dict(evaluation.inputs)["data"])

    def claim(self, left: Expression, operator: str, right: Expression | float) -> None:
        self.claims.append(Claim("a claim", (compare(left, operator, right),), "made_up.sat", 7))


def compare(left: Expression, operator: str, right: Expression | float) -> Comparison:
    return Comparison(operator, left, Number(right) if isinstance(right, float) else right)


def at(name: str, **point: str) -> Selected:
    return Selected(name, tuple(point.items()))


def study_in(folder: Path) -> Study:
    return Study(LocalStore(folder / "store"))


def rows(right: int, wrong: int) -> np.ndarray:
    """`right` correct images, then `wrong` ones that are not."""
    return np.arange(right + wrong) < right
