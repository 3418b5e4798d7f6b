"""`evaluate` statements to what is measured of each trained model, on which images, at each point of the sweep."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Literal, NoReturn

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.check import science
from satdsl.check.collector import Rejected
from satdsl.check.datasets import channels_fit, sizes_fit
from satdsl.check.fixes import remove_repeated
from satdsl.check.resolve import Resolver
from satdsl.check.trainings import measuring_attacks
from satdsl.check.values import Environment, Num, Share
from satdsl.findings import Source
from satdsl.hints import did_you_mean, leave_out
from satdsl.ir.experiment import Dataset, Measure, Measured, PartOf, Split, SweepTable, Train, Transfer
from satdsl.ir.steps import CatalogCall
from satdsl.records import Record, record
from satdsl.syntax import tree


@record
class ResultInfo(Record):
    """What a display or a claim may ask of a result: its kind (`Share` or `Num`) and the points it has."""

    measured: Measured
    kind: type
    axes: tuple[str, ...]
    points: tuple[dict[str, str], ...]


class Evaluations:
    """Reads `evaluate` statements; `known` has the results they declare, `lost` those in which something is wrong."""

    def __init__(self, resolver: Resolver, main: Source) -> None:
        self.resolver = resolver
        self.findings = resolver.findings
        self.results: dict[str, ResultInfo] = {}
        self.lost: set[str] = set()
        self.lines: dict[str, tree.MeasureLine] = {}
        self.places: dict[str, tree.Node] = {}
        self._main = main

    def evaluate(self, statement: tree.Evaluate) -> None:
        for line in statement.lines:
            name = f"{statement.trained.text}.{line.name.text}"
            if line == self.lines.get(name) and line.span.source is not self.lines[name].span.source:
                if name in self.places and line.span.source is self._main:
                    self.places[name] = line.name
                continue
            self.lines.setdefault(name, line)
            if name in self.results or name in self.lost:
                help = remove_repeated(line, statement.lines, "give it another name")
                self.findings.error("E201", line.name, f"`{name}` is already measured", help=help)
                continue
            try:
                trained = self.resolver.declared(statement.trained, statement.trained.text, "train", "transfer")
                self.results[name] = self._cached(trained, line)
                self.places[name] = line.name
            except Rejected:
                self.lost.add(name)

    def _cached(self, trained: str, line: tree.MeasureLine) -> ResultInfo:
        fingerprints = self.resolver.fingerprints
        if fingerprints is None:
            return self._measured(trained, line)
        name = f"{trained}.{line.name.text}"
        known = fingerprints.definition(name, lambda: self._measured(trained, line), self.findings)
        assert known is not None
        place = line.span.place[0]
        return known if known.measured.line == place else replace(known, measured=replace(known.measured, line=place))

    def _measured(self, trained: str, line: tree.MeasureLine) -> ResultInfo:
        node = line.measured
        table: SweepTable[Train | Transfer] = self.resolver.definition(trained)
        own = set(self.resolver.axes.used_by([node]))
        entry = MeasureEntry.of_node(node.measure)
        for word in entry.attacks(node.measure):
            for attack in self.resolver.candidates(word, "attack"):
                own |= self.resolver.axes_of(attack)
        for part in node.parts:
            if part.dataset is not None and part.dataset.text in self.resolver.scope.statements:
                own |= self.resolver.axes_of(part.dataset.text)

        def measure(at: Environment, labels: dict[str, str]) -> Measure:
            model = table.at(labels)
            data = self._dataset(model, labels)
            parts = [self._part(part, model, labels) for part in node.parts]
            self._each_once(node, parts)
            for part_node, part in zip(node.parts, parts, strict=True):
                on: Dataset = self.resolver.definition(part.dataset).at(labels)
                self._fits(part_node, data, on, part)
                self._unseen(part_node, model, data, on)
            attacks, score = self._measure(node, trained, model, data, at, labels)
            return Measure(entry.name, tuple(parts), attacks, score)

        def instance_key(labels: dict[str, str]) -> Hashable:
            return tuple([labels[axis] for axis in own]), id(table.at(labels))

        measures = self.resolver.build(trained, own | set(table.axes), measure, instance_key)
        if measures is None:
            raise Rejected
        place = line.span.source.path, line.span.place[0]
        return self._know(Measured(trained, line.name.text, measures, node.by_class, *place), len(node.parts) > 1)

    def _know(self, measured: Measured, several_parts: bool) -> ResultInfo:
        points: list[dict[str, str]] = []
        for labels, measure in measured.measures.instances():
            for part in measure.parts:
                point = {**labels, "part": part.name} if several_parts else labels
                points += (
                    [{**point, "class": name} for name in self._classes(part, labels)] if measured.by_class else [point]
                )
        extra = ("part",) * several_parts + ("class",) * measured.by_class
        kind = next(iter(measured.measures.table.values())).kind
        return ResultInfo(
            measured, Share if MeasureEntry.of(kind).share else Num, (*measured.measures.axes, *extra), tuple(points)
        )

    def _classes(self, part: PartOf, labels: dict[str, str]) -> tuple[str, ...]:
        data: Dataset = self.resolver.definition(part.dataset).at(labels)
        return data.facts.classes if data.facts else ()

    def _dataset(self, model: Train | Transfer, labels: dict[str, str]) -> Dataset:
        data: Dataset = self.resolver.definition(model.dataset).at(labels)
        return data

    def _measure(
        self,
        node: tree.Measured,
        trained: str,
        model: Train | Transfer,
        data: Dataset,
        at: Environment,
        labels: dict[str, str],
    ) -> tuple[tuple[CatalogCall, ...], str | None]:
        entry = MeasureEntry.of_node(node.measure)
        words = entry.attacks(node.measure)
        attacks = measuring_attacks(self.resolver, node.measure, data, at, labels)
        if isinstance(model, Train):
            for word, attack in zip(words, attacks, strict=True):
                science.same_threat(word, attack, model.attacks, self.findings)
        asked = entry.score(node.measure)
        score = None if asked is None else self._score(node, asked, trained, model, at)
        return tuple(attack for attack in attacks if not AttackEntry.of(attack).clean), score

    def _score(
        self,
        node: tree.Measured,
        asked: tree.Word,
        trained: str,
        model: Train | Transfer,
        at: Environment,
    ) -> str:
        score = self.resolver.score_name(asked, at)
        if isinstance(model, Transfer):
            self.findings.reject(
                "E503",
                node.measure,
                "a transferred head has no scores",
                help="measure the scores of the training it starts from",
            )
        score = self.resolver.score_of(asked, score, trained, model)
        for part in node.parts:
            if not part.part.text.endswith("train") or part.dataset is not None:
                self.findings.reject(
                    "E407",
                    part,
                    f"scores are taken of training examples, not of `{part.span.text}`",
                    "no ranking of validation examples exists",
                    "write `on train`, or `on A_train`",
                )
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
        split = self._split(split_name, labels)
        if subset not in split.names:
            known = ["val", "train", *(f"{s}_{part}" for s in split.names for part in ("val", "train"))]
            self._no_part(node, f"split `{split_name}` has the subsets {', '.join(split.names)}", known)
        if base == "val" and not split.by_class:
            self.findings.reject(
                "E406",
                node,
                f"`{name}` does not exist: `{split_name}` splits by examples",
                "only a split by whole classes splits the validation set too; validation examples have no ranking",
                f"measure on `val`, or on `{subset}_train`, or `transfer` to other data",
            )
        return PartOf(name, base, model.dataset, split_name, subset)

    def _each_once(self, node: tree.Measured, parts: list[PartOf]) -> None:
        for place, part in enumerate(parts):
            if part in parts[:place]:
                self.findings.reject(
                    "E201",
                    node.parts[place],
                    f"`{part.name}` is measured twice",
                    help=leave_out(node.parts[place].span, "leave one of them out"),
                )

    def _no_part(self, node: tree.PartName, why: str, known: Iterable[str]) -> NoReturn:
        self.findings.reject(
            "E407",
            node,
            f"there is no part called `{node.span.text}`",
            why,
            did_you_mean(node.part.text, known, node.part.span),
        )

    def _split(self, name: str, labels: dict[str, str]) -> Split:
        split: Split = self.resolver.definition(name).at(labels)
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
            self.findings.reject(
                "E501",
                node,
                f"`{node.span.text}` has images that the checkpoint was selected on",
                "it is the same data with another hold-out; a reported number must not have seen its images",
                "give both data sets the same `holdout`",
            )

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
            self.findings.reject(
                "E506",
                node,
                f"the network was trained for {classes[0]} classes of {of[0]} images; "
                f"`{part.dataset}` has {classes[1]} of {of[1]}",
                "a network can be measured on images and classes like those it was trained on",
                self.resolver.in_dataset(
                    part.dataset, f"resize={height}", f"write `resize={height}` in `dataset {part.dataset}`", node
                )
                if resizable
                else "`transfer` to that data set first",
            )
