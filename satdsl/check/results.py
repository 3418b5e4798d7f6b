"""Evaluations, displays and claims to what they measure, show and compare."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Any, Literal

from satdsl.catalog import Entry
from satdsl.check import science
from satdsl.check.datasets import channels_fit, sizes_fit
from satdsl.check.experiment import Dataset, Family, Measure, Measured, PartOf, Split, Train, Transfer
from satdsl.check.resolve import Resolver
from satdsl.check.trainings import measuring_attacks
from satdsl.check.values import Environment, NoValue, Num, Share, evaluate, result_kind
from satdsl.findings import did_you_mean
from satdsl.plan import plan
from satdsl.plan.steps import Choice
from satdsl.records import Record, record
from satdsl.syntax import tree

REDUCTIONS = ("mean", "std", "min", "max")
PSEUDO_AXES = ("class", "part")
"""What a result by class, or on several parts, has beside the sweep's axes."""


@record
class Known(Record):
    """What a display or a claim may ask of a result: its kind (`Share` or `Num`) and the points it has."""

    measured: Measured
    kind: type
    axes: tuple[str, ...]
    points: tuple[dict[str, str], ...]


class Measures:
    """Reads `evaluate` statements, and gives the results they declare to displays and claims."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.findings = resolver.findings
        self.known: dict[str, Known] = {}
        self.lost: set[str] = set()
        self.lines: dict[str, tree.MeasureLine] = {}
        self.places: dict[str, tree.Node] = {}
        self.used: set[str] = set()

    # --- evaluations ---

    def evaluate(self, statement: tree.Evaluate) -> None:
        for line in statement.lines:
            name = f"{statement.trained.text}.{line.name.text}"
            if line == self.lines.get(name) and line.span.source is not self.lines[name].span.source:
                continue
            self.lines.setdefault(name, line)
            if name in self.known or name in self.lost:
                self.findings.error("E201", line.name, f"`{name}` is already measured", help="give it another name")
                continue
            try:
                trained = self.resolver.declared(statement.trained, statement.trained.text, "train", "transfer")
                self.known[name] = self._measured(trained, line)
                self.places[name] = line.name
            except NoValue:
                self.lost.add(name)

    def _measured(self, trained: str, line: tree.MeasureLine) -> Known:
        node = line.measured
        family: Family[Train | Transfer] = self.resolver.family(trained)
        own = set(self.resolver.axes.used_by([node]))
        if isinstance(node.measure, tree.RobustAccuracy):
            for word in node.measure.attacks:
                for attack in self.resolver.candidates(word, "attack"):
                    own |= self.resolver.axes_of(attack)
        for part in node.parts:
            if part.dataset is not None and part.dataset.text in self.resolver.scope.named:
                own |= self.resolver.axes_of(part.dataset.text)

        def measure(at: Environment, labels: dict[str, str]) -> Measure:
            model = family.at(labels)
            data = self._dataset(model, labels)
            parts = [self._part(part, model, labels) for part in node.parts]
            for part_node, part in zip(node.parts, parts, strict=True):
                on: Dataset = self.resolver.family(part.dataset).at(labels)
                self._fits(part_node, data, on, part)
                self._unseen(part_node, model, data, on)
            attacks, score = self._measure(node, trained, model, data, at, labels)
            return Measure(tuple(parts), attacks, score)

        def alike(labels: dict[str, str]) -> Hashable:
            return tuple([labels[axis] for axis in own]), id(family.at(labels))

        measures = self.resolver.build(trained, own | set(family.axes), measure, alike)
        if measures is None:
            raise NoValue
        return self._know(Measured(trained, line.name.text, measures, node.by_class), len(node.parts) > 1)

    def _know(self, measured: Measured, several_parts: bool) -> Known:
        points: list[dict[str, str]] = []
        for labels, measure in measured.measures.instances():
            for part in measure.parts:
                point = {**labels, "part": part.name} if several_parts else labels
                points += (
                    [{**point, "class": name} for name in self._classes(part, labels)] if measured.by_class else [point]
                )
        extra = ("part",) * several_parts + ("class",) * measured.by_class
        is_score = next(iter(measured.measures.table.values())).score is not None
        return Known(measured, Num if is_score else Share, (*measured.measures.axes, *extra), tuple(points))

    def _classes(self, part: PartOf, labels: dict[str, str]) -> tuple[str, ...]:
        data: Dataset = self.resolver.family(part.dataset).at(labels)
        return data.facts.classes if data.facts else ()

    def _dataset(self, model: Train | Transfer, labels: dict[str, str]) -> Dataset:
        data: Dataset = self.resolver.family(model.dataset).at(labels)
        return data

    def _measure(
        self,
        node: tree.Measured,
        trained: str,
        model: Train | Transfer,
        data: Dataset,
        at: Environment,
        labels: dict[str, str],
    ) -> tuple[tuple[Choice, ...], str | None]:
        match node.measure:
            case tree.CleanAccuracy():
                return (), None
            case tree.RobustAccuracy():
                attacks = measuring_attacks(self.resolver, node.measure, data, at, labels)
                if isinstance(model, Train):
                    for word, attack in zip(node.measure.attacks, attacks, strict=True):
                        science.same_threat(word, attack, model.attacks, self.findings)
                return tuple(attack for attack in attacks if attack.name != "none"), None
            case tree.MeanScore():
                return (), self._mean_score(node, node.measure, trained, model, at)

    def _mean_score(
        self,
        node: tree.Measured,
        measure: tree.MeanScore,
        trained: str,
        model: Train | Transfer,
        at: Environment,
    ) -> str:
        score = self.resolver.score_name(measure.score, at)
        if isinstance(model, Transfer):
            self.findings.error(
                "E503",
                measure,
                "a transferred head has no scores",
                help="measure the scores of the training it starts from",
            )
            raise NoValue
        score = self.resolver.score_of(measure.score, score, trained, model)
        for part in node.parts:
            if not part.part.text.endswith("train") or part.dataset is not None:
                self.findings.error(
                    "E407",
                    part,
                    f"scores are taken of training examples, not of `{part.span.text}`",
                    "no ranking of validation examples exists",
                    "write `on train`, or `on A_train`",
                )
                raise NoValue
        return score

    def _part(self, node: tree.PartName, model: Train | Transfer, labels: dict[str, str]) -> PartOf:
        name = node.part.text
        base: Literal["val", "train"] = "train" if name.endswith("train") else "val"
        split_name = model.split if isinstance(model, Train) else None
        if node.dataset is not None:
            dataset = self.resolver.declared(node.dataset, node.dataset.text, "dataset")
            if name not in ("val", "train"):
                self._no_part(node, f"`{dataset}` has the parts `val` and `train`", ("val", "train"))
            return PartOf(f"{dataset}.{name}", base, dataset)
        if name in ("val", "train"):
            return PartOf(name, base, model.dataset)
        subset, _, ending = name.rpartition("_")
        if split_name is None or ending not in ("val", "train"):
            known = ["val", "train"]
            if split_name is not None:
                known += [f"{s}_{part}" for s in self._split(split_name, labels).names for part in ("val", "train")]
            why = f"its parts are {', '.join(known)}" if split_name else "it is trained on data without subsets"
            self._no_part(node, why, known)
        assert split_name is not None
        split = self._split(split_name, labels)
        if subset not in split.names:
            known = ["val", "train", *(f"{s}_{part}" for s in split.names for part in ("val", "train"))]
            self._no_part(node, f"split `{split_name}` has the subsets {', '.join(split.names)}", known)
        if base == "val" and not split.by_class:
            self.findings.error(
                "E406",
                node,
                f"`{name}` does not exist: `{split_name}` splits by examples",
                "only a split by whole classes splits the validation set too; validation examples have no ranking",
                f"measure on `val`, or on `{subset}_train`, or `transfer` to other data",
            )
            raise NoValue
        return PartOf(name, base, model.dataset, split_name, subset)

    def _no_part(self, node: tree.PartName, why: str, known: Iterable[str]) -> None:
        self.findings.error(
            "E407",
            node,
            f"there is no part called `{node.span.text}`",
            why,
            did_you_mean(node.part.text, known),
        )
        raise NoValue

    def _split(self, name: str, labels: dict[str, str]) -> Split:
        split: Split = self.resolver.family(name).at(labels)
        return split

    def _unseen(self, node: tree.PartName, model: Train | Transfer, data: Dataset, measured: Dataset) -> None:
        """What selection saw is not reported, under whatever name of the same images."""
        if not isinstance(model, Train) or model.select is None or data.holdout == measured.holdout:
            return
        if (
            data.source == measured.source
            and data.holdout is not None
            and node.part.text.startswith(data.holdout.source)
        ):
            self.findings.error(
                "E501",
                node,
                f"`{node.span.text}` has images that the checkpoint was selected on",
                "it is the same data with another hold-out; a reported number must not have seen its images",
                "give both data sets the same `holdout`",
            )
            raise NoValue

    def _fits(self, node: tree.PartName, trained: Dataset, measured: Dataset, part: PartOf) -> None:
        if trained.facts is None or measured.facts is None or trained.facts is measured.facts:
            return
        classes = len(trained.facts.classes), len(measured.facts.classes)
        shapes = trained.facts.shape, measured.facts.shape
        channels, sizes = channels_fit(*shapes), sizes_fit(*shapes)
        if classes[0] != classes[1] or not channels or not sizes:
            of = [" x ".join(str(n) for n in shape) for shape in shapes]
            _, height, width = shapes[0]
            resizable = classes[0] == classes[1] and channels and height == width
            self.findings.error(
                "E506",
                node,
                f"the network was trained for {classes[0]} classes of {of[0]} images; "
                f"`{part.dataset}` has {classes[1]} of {of[1]}",
                "a network can be measured on images and classes like those it was trained on",
                f"write `resize={height}` in `dataset {part.dataset}`"
                if resizable
                else "`transfer` to that data set first",
            )
            raise NoValue

    # --- references ---

    def select(self, node: tree.Reference, at: Environment) -> tuple[plan.Selected, Known, list[dict[str, str]]]:
        """What `sat.robust[order=hardest]` selects: the result, and the points that match."""
        name = f"{node.owner.text}.{node.result.text}"
        known = self.known.get(name)
        self.used.add(name)
        if known is None:
            self._unknown_result(node, name)
            raise NoValue
        chosen: dict[str, str] = {}
        for selector in node.selectors:
            axis = selector.axis.text
            if axis not in known.axes:
                listing = f"it depends on {', '.join(known.axes)}" if known.axes else "it depends on no axis"
                help = did_you_mean(axis, known.axes) or listing
                self.findings.error("E701", selector.axis, f"`{name}` does not depend on an axis `{axis}`", help=help)
                raise NoValue
            labels = dict.fromkeys(point[axis] for point in known.points)
            chosen[axis] = self.resolver.axis_label(selector, at, labels)
        matching = [point for point in known.points if all(point[axis] == label for axis, label in chosen.items())]
        if not matching:
            self.findings.error(
                "E701",
                node,
                f"`{node.span.text}` is not in the sweep",
                "no point of the sweep has these values together",
            )
            raise NoValue
        return plan.Selected(name, tuple(chosen.items())), known, matching

    def _unknown_result(self, node: tree.Reference, name: str) -> None:
        scope = self.resolver.scope
        if name in self.lost or node.owner.text in scope.broken or node.result.text in scope.broken:
            return
        if node.owner.text not in scope.of("train", "transfer"):
            self.resolver.declared(node.owner, node.owner.text, "train", "transfer")
            return
        mine = [n for n in (*self.known, *self.lost) if n.startswith(f"{node.owner.text}.")]
        help = did_you_mean(name, mine) or (
            f"it has {', '.join(mine)}"
            if mine
            else f"measure it: `evaluate {node.owner.text} {{ {node.result.text} = clean accuracy on val }}`"
        )
        self.findings.error("E207", node, f"`{node.owner.text}` has no result called `{node.result.text}`", help=help)

    # --- displays ---

    def display(self, statement: tree.Display, at: Environment) -> plan.Display | None:
        try:
            entry = self.resolver.settings.entry(statement.call.name, (statement.kind,))
            bound = self.resolver.settings.bind(statement.call, entry)
            return self._display(statement, entry, bound, at)
        except NoValue:
            return None

    def _display(self, statement: tree.Display, entry: Entry, bound: dict[str, Any], at: Environment) -> plan.Display:
        results: list[tuple[plan.Selected, Known, list[dict[str, str]]]] = []
        baselines: list[plan.Selected] = []
        axes: dict[str, tuple[str, ...]] = {}
        for name, argument in entry.args.items():
            if name not in bound:
                if argument.required:
                    raise NoValue
                continue
            nodes = [item for given in _listed(bound[name]) for item in _flat(given.value)]
            if not argument.many and len(nodes) != 1:
                self.findings.error(
                    "E301", bound[name], f"`{name}` takes one value, here are {len(nodes)}", argument.help
                )
                raise NoValue
            if argument.type == "results":
                selected = [self._result(node, at) for node in nodes]
                if name == "baselines":
                    baselines += [chosen for chosen, _, _ in selected]
                else:
                    results += selected
            else:
                axes[name] = tuple(self._axis(node) for node in nodes)
        self._axes_are_placed(statement, results, axes)
        return plan.Display(
            title=statement.title.value,
            kind=entry.name,
            results=tuple(chosen for chosen, _, _ in results),
            x=axes["x"][0] if "x" in axes else None,
            y=axes["y"][0] if "y" in axes else None,
            series=axes.get("series") or axes.get("by") or (),
            mean=axes.get("mean", ()),
            baselines=tuple(baselines),
        )

    def _result(self, node: tree.Value, at: Environment) -> tuple[plan.Selected, Known, list[dict[str, str]]]:
        if not isinstance(node, tree.Reference):
            self.findings.error(
                "E301", node, f"`{node.span.text}` is not a result", help="name one, as in `sat.robust`"
            )
            raise NoValue
        return self.select(node, at)

    def _axis(self, node: tree.Value) -> str:
        if isinstance(node, tree.Parameter):
            return node.text
        if isinstance(node, tree.Name) and node.text in PSEUDO_AXES:
            return node.text
        axes = self.resolver.axes.names
        near = did_you_mean(node.span.text, axes)
        help = f"write `${node.span.text}`" if node.span.text in axes else near or "write `$name`, `class` or `part`"
        self.findings.error("E301", node, f"`{node.span.text}` is not an axis", help=help)
        raise NoValue

    def _axes_are_placed(
        self,
        statement: tree.Display,
        results: list[tuple[plan.Selected, Known, list[dict[str, str]]]],
        axes: dict[str, tuple[str, ...]],
    ) -> None:
        """Every axis along which a plotted result varies is shown or averaged; every axis named exists in a result."""
        placed = {axis for names in axes.values() for axis in names}
        known = {axis for _, result, _ in results for axis in result.axes}
        for axis in sorted(placed - known):
            if results:
                self.findings.error(
                    "E701",
                    statement.call,
                    f"nothing that is shown depends on `{axis}`",
                    f"the results depend on {', '.join(sorted(known)) or 'no axis'}",
                    "leave it out, or show a result that depends on it",
                )
        if statement.kind == "table":
            return
        for chosen, _, points in results:
            left = varying(points, placed)
            if left:
                names = " and ".join(f"`{axis}`" for axis in left)
                self.findings.error(
                    "E705",
                    statement.call,
                    f"`{chosen.name}` also varies with {names}",
                    "several values would fall on one point of the plot",
                    f"add `series=${left[0]}` or `mean=${left[0]}`, "
                    f"or pick one: `{chosen.name}[{left[0]}={points[0][left[0]]}]`",
                )

    # --- claims ---

    def claim(self, statement: tree.Expect, at: Environment) -> plan.Claim | None:
        comparisons = []
        try:
            for node in statement.condition.comparisons:
                comparisons.append(self._comparison(node, at))
        except NoValue:
            return None
        span = statement.span
        return plan.Claim(statement.text.value, tuple(comparisons), span.source.path, span.place[0])

    def _comparison(self, node: tree.Comparison, at: Environment) -> plan.Comparison:
        (left, left_kind), (right, right_kind) = (self._side(side, at) for side in (node.left, node.right))
        if left_kind is not right_kind:
            side = node.left if left_kind is Num else node.right
            number = side.value if isinstance(side, tree.Number) else None
            help = (
                f"write `{number if number > 1 else number * 100:g}%`"
                if number is not None
                else "compare like with like"
            )
            self.findings.error(
                "E302",
                side,
                f"`{side.span.text}` is a plain number, the other side is a percentage",
                "accuracies are shares",
                help,
            )
            raise NoValue
        operator: Any = node.operator
        return plan.Comparison(operator, left, right, " ".join(node.span.text.split()))

    def _side(self, node: tree.Value, at: Environment) -> tuple[plan.Expression, type]:
        """One side of a claim; every reference in it must come down to a single value."""
        expression, kind, free = self._expression(node, at)
        for name, axes in free.items():
            listing = " and ".join(f"`{axis}`" for axis in axes)
            self.findings.error(
                "E706",
                node,
                f"`{name}` still varies with {listing}",
                "a claim compares single values",
                f"pick one (`[{axes[0]}=...]`), or reduce: `mean({name}[...])`",
            )
            raise NoValue
        return expression, kind

    def _expression(self, node: tree.Value, at: Environment) -> tuple[plan.Expression, type, dict[str, list[str]]]:
        """An expression over results, its kind, and the axes along which each of its results still varies."""
        match node:
            case tree.Reference():
                chosen, known, points = self.select(node, at)
                left = varying(points)
                return chosen, known.kind, {chosen.name: left} if left else {}
            case tree.Call() if node.name.text in REDUCTIONS:
                if len(node.arguments) != 1:
                    self.findings.error(
                        "E303",
                        node,
                        f"`{node.name.text}` takes one result",
                        help=f"write `{node.name.text}(sat.robust[order=random])`",
                    )
                    raise NoValue
                inner, kind, free = self._expression(node.arguments[0].value, at)
                function: Any = node.name.text
                if function == "std" and not free:
                    self.findings.error(
                        "E706",
                        node,
                        f"`{node.span.text}` has a single value",
                        help="reduce over an axis with several values",
                    )
                    raise NoValue
                return plan.Reduced(function, inner), kind, {}
            case tree.Call():
                help = did_you_mean(node.name.text, REDUCTIONS) or f"there are {', '.join(REDUCTIONS)}"
                self.findings.error("E202", node.name, f"there is no function called `{node.name.text}`", help=help)
                raise NoValue
            case tree.Binary():
                return self._arithmetic(node, at)
            case tree.Negative():
                inner, kind, free = self._expression(node.operand, at)
                return plan.Arithmetic("-", plan.Number(0.0), inner), kind, free
        value = evaluate(node, at, self.findings)
        if not isinstance(value, (Num, Share)):
            self.findings.error(
                "E301",
                node,
                f"`{node.span.text}` cannot be compared",
                help="compare results, numbers and percentages",
            )
            raise NoValue
        return plan.Number(value.value), type(value), {}

    def _arithmetic(self, node: tree.Binary, at: Environment) -> tuple[plan.Expression, type, dict[str, list[str]]]:
        left, left_kind, left_free = self._expression(node.left, at)
        right, right_kind, right_free = self._expression(node.right, at)
        kind = result_kind(node.operator, left_kind, right_kind)
        if kind is None:
            self.findings.error(
                "E302",
                node,
                f"`{node.span.text}` mixes a number with a percentage",
                "accuracies are shares",
                "write the number as a percentage",
            )
            raise NoValue
        return plan.Arithmetic(node.operator, left, right), kind, left_free | right_free


def varying(points: Iterable[dict[str, str]], placed: Collection[str] = ()) -> list[str]:
    """The axes along which some points differ that agree on the `placed` ones."""
    values: dict[tuple[str, ...], set[str]] = {}
    for point in points:
        fixed = tuple(label for axis, label in point.items() if axis in placed)
        for axis, label in point.items():
            values.setdefault((axis, *fixed), set()).add(label)
    return list(dict.fromkeys(axis for (axis, *_), labels in values.items() if len(labels) > 1))


def _listed(bound: Any) -> list[tree.Argument]:
    return bound if isinstance(bound, list) else [bound]


def _flat(node: tree.Value) -> list[tree.Value]:
    return [item.value for item in node.items] if isinstance(node, tree.Listing) else [node]
