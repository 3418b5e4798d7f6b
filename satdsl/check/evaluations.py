"""Read `evaluate` statements: what is measured of each trained model, on which images, at each point of the sweep."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from itertools import product
from typing import Literal, NoReturn

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.scores import ScoreEntry
from satdsl.check import science
from satdsl.check.axes import Point
from satdsl.check.checkpoints import head_is_random
from satdsl.check.collector import FindingsApart, Rejected
from satdsl.check.datasets import channels_fit, sizes_fit
from satdsl.check.epochs import moments
from satdsl.check.fixes import remove_repeated
from satdsl.check.labels import classes_fit, difference
from satdsl.check.radii import radii
from satdsl.check.repicked_subsets import not_finished
from satdsl.check.resolve import Resolver
from satdsl.check.scores import attack_of_score, own_score, recorded_score, score_entry, score_name
from satdsl.check.trainings import measuring_attacks
from satdsl.check.values import Num, Share
from satdsl.findings import Source
from satdsl.hints import Hint, did_you_mean, leave_out, listed
from satdsl.ir.experiment import (
    EPOCH,
    RADIUS,
    Dataset,
    Measure,
    Measurement,
    Moment,
    PartOf,
    PointRef,
    SplitDefinition,
    SweepTable,
    TrainingDefinition,
    TransferDefinition,
)
from satdsl.ir.steps import JOINED, CatalogCall
from satdsl.records import Record, record
from satdsl.syntax import tree

PARTS: tuple[Literal["val", "train"], ...] = ("val", "train")


@record
class ResultInfo(Record):
    """What a display or a claim may ask of a result: its kind (`Share` or `Num`), its axes, and the points it has."""

    measured: Measurement
    kind: type
    axes: tuple[str, ...]
    points: tuple[dict[str, str], ...]


def lines_of(statement: tree.Evaluate) -> tuple[tree.MeasureLine, ...]:
    """Return the lines of a statement, each with the epochs that it is about."""
    if statement.when is None:
        return statement.lines
    return tuple(replace(line, when=statement.when) for line in statement.lines)


class Evaluations:
    """Reads `evaluate` statements. `results` has what they declare, `lost` the names of what could not be read."""

    def __init__(self, resolver: Resolver, main: Source) -> None:
        self.resolver = resolver
        self.findings = resolver.findings
        self.results: dict[str, ResultInfo] = {}
        self.lost: set[str] = set()
        self.lines: dict[str, tree.MeasureLine] = {}
        self.places: dict[str, tree.Node] = {}
        self._main = main

    def evaluate(self, statement: tree.Evaluate) -> None:
        """Read the lines of a statement. What several files say in the same words is one result."""
        for place, trained in enumerate(statement.trained):
            if trained in statement.trained[:place]:
                help = remove_repeated(trained, statement.trained, "name each once")
                self.findings.error("E201", trained, f"`{trained.text}` is named twice", help=help)
        apart = FindingsApart(self.findings)
        for trained in dict.fromkeys(statement.trained):
            try:
                self.resolver.declared(trained, trained.text, "train", "transfer")
            except Rejected:
                self.lost |= {f"{trained.text}.{line.name.text}" for line in statement.lines}
                continue
            with apart.about(trained.text):
                self._evaluate(statement, trained)
        apart.put_together()
        if isinstance(statement.when, tree.AtEnd):
            self._changes_nothing(statement, statement.when)

    def _evaluate(self, statement: tree.Evaluate, trained: tree.Name) -> None:
        for line in lines_of(statement):
            name = f"{trained.text}.{line.name.text}"
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
                self.results[name] = self._cached(trained.text, line)
                self.places[name] = line.name
            except Rejected:
                self.lost.add(name)

    def _cached(self, trained: str, line: tree.MeasureLine) -> ResultInfo:
        """Return the result of a line, from the cache where it and what it depends on have not changed."""
        fingerprints = self.resolver.fingerprints
        if fingerprints is None:
            return self._result(trained, line)
        name = f"{trained}.{line.name.text}"
        found = fingerprints.definition(name, lambda: self._result(trained, line), self.findings)
        assert found is not None
        place = line.span.place[0]
        return found if found.measured.line == place else replace(found, measured=replace(found.measured, line=place))

    def _result(self, trained: str, line: tree.MeasureLine) -> ResultInfo:
        node = line.measured
        table: SweepTable[TrainingDefinition | TransferDefinition] = self.resolver.definition(trained)
        own = self._axes_of(node) | self.resolver.axes.used_by([line.when])
        over_epochs = isinstance(line.when, tree.EveryEpochs)
        if over_epochs and EPOCH in self.resolver.axes.names:
            self._two_axes(line.when)

        def instance_key(labels: dict[str, str]) -> Hashable:
            return tuple([labels[axis] for axis in own]), id(table.at(labels))

        def read(point: Point) -> Measure:
            return _MeasureReader(self.resolver, node, trained, table.at(point.labels), point).read(line.when)

        measures = self.resolver.tabulate(trained, own | set(table.axes), read, instance_key)
        if measures is None:
            raise Rejected
        place = line.span.source.path, line.span.place[0]
        measured = Measurement(trained, line.name.text, measures, node.by_class, *place)
        several_parts = len(node.parts) > 1
        points: list[dict[str, str]] = []
        for labels, measure in measures.instances():
            for moment, radius, part in product(measure.moments, measure.radii or (None,), measure.parts):
                point = labels if moment.shown is None else {**labels, EPOCH: str(moment.shown)}
                point = point if radius is None or radius.label is None else {**point, RADIUS: radius.label}
                point = {**point, "part": part.name} if several_parts else point
                classes = self._classes(part, labels) if node.by_class else ()
                points += [{**point, "class": name} for name in classes] if node.by_class else [point]
        over_radii = any(RADIUS in point for point in points)
        extra = (EPOCH,) * over_epochs + (RADIUS,) * over_radii + ("part",) * several_parts + ("class",) * node.by_class
        called = next(iter(measures.table.values())).own
        entry = MeasureEntry.of_node(node.measure) if called is None else MeasureEntry.of(called)
        kind = Share if entry.share else Num
        return ResultInfo(measured, kind, (*measures.axes, *extra), tuple(points))

    def _two_axes(self, node: tree.Node | None) -> NoReturn:
        """Reject results over epochs beside an axis of the sweep that is called as theirs."""
        (axis,) = (name for line in self.resolver.axes.lines for name in line.names if name.text == EPOCH)
        self.findings.reject(
            "E724",
            node or axis,
            "results over epochs have an axis `epoch`, and so has the sweep",
            "`[epoch=10]` would not say which of them is meant",
            "give the axis of the sweep another name",
            related=((axis.span, "declared here"),),
        )

    def _changes_nothing(self, statement: tree.Evaluate, at_end: tree.AtEnd) -> None:
        """Warn of `at end` where no training has other weights than those of its end."""
        names = [trained.text for trained in statement.trained]
        known = [self.results.get(f"{name}.{line.name.text}") for name in names for line in statement.lines]
        made = [one.measured.measures.table.values() for one in known if one is not None]
        found = {moment for table in made for measure in table for moment in measure.moments}
        if found == {Moment()} and None not in known:
            who = f"`{names[0]}` does not `select`, so its"
            self.findings.warn(
                "E720",
                at_end,
                f"{who if len(names) == 1 else 'none of these has a `select`, so their'} weights at the end are those "
                "that are measured anyway",
                "the same steps measure both",
                "leave `at end` out, or let the training `select`",
            )

    def _axes_of(self, node: tree.Measured) -> set[str]:
        """Return the axes that a measure depends on, apart from those of the model."""
        own = set(self.resolver.axes.used_by([node]))
        for word in MeasureEntry.of_node(node.measure).attacks(node.measure):
            own.update(*(self.resolver.axes_of(attack) for attack in self.resolver.candidates(word, "attack")))
        for source in MeasureEntry.of_node(node.measure).sources(node.measure):
            own |= self.resolver.axes_of_point(source, "train", "transfer") if source is not None else set()
        for part in node.parts:
            if part.dataset is not None and part.dataset.text in self.resolver.scope.statements:
                own |= self.resolver.axes_of(part.dataset.text)
        return own

    def _classes(self, part: PartOf, labels: dict[str, str]) -> tuple[str, ...]:
        data: Dataset = self.resolver.definition(part.dataset).at(labels)
        return data.facts.classes if data.facts else ()


class _MeasureReader:
    """Reads one measure of one model at one point of the sweep."""

    def __init__(
        self,
        resolver: Resolver,
        node: tree.Measured,
        trained: str,
        model: TrainingDefinition | TransferDefinition,
        point: Point,
    ) -> None:
        self.resolver, self.findings = resolver, resolver.findings
        self.node, self.trained, self.model, self.point = node, trained, model, point
        self.data: Dataset = resolver.definition(model.dataset).at(point.labels)

    def read(self, when: tree.AtEnd | tree.EveryEpochs | None) -> Measure:
        if isinstance(self.model, TransferDefinition) and self.model.recipe["epochs"] == 0:
            statement = self.resolver.scope.statements[self.trained]
            assert isinstance(statement, tree.Transfer)
            head_is_random(statement.recipe, self.trained, self.findings)
        parts = [self._part(part) for part in self.node.parts]
        for place, (node, part) in enumerate(zip(self.node.parts, parts, strict=True)):
            if part in parts[:place]:
                help = leave_out(node.span, "leave one of them out")
                self.findings.reject("E201", node, f"`{part.name}` is measured twice", help=help)
        for node, part in zip(self.node.parts, parts, strict=True):
            on: Dataset = self.resolver.definition(part.dataset).at(self.point.labels)
            self._images_exist(node, on, part)
            self._images_fit(node, on, part, self.model, self.data)
            self._unseen(node, on)
        entry, measure = MeasureEntry.of_node(self.node.measure), self.node.measure
        asked = entry.score(measure)
        score = None if asked is None else self._score(asked, when)
        taken = moments(when, self.trained, self.model, self.point.environment, self.findings)
        attacks, sources = self._attacks(measure, taken)
        at = radii(self.resolver, measure, attacks, self.data, self.point)
        scored_by = own_score(self.resolver, score) if score is not None else None
        own = self._own(measure) if isinstance(measure, tree.OwnMeasure) else None
        kind = own.name if own is not None else entry.name
        made_on = sources if any(sources) else ()
        return Measure(kind, tuple(parts), attacks, score, taken, made_on, scored_by, own, at)

    def _own(self, measure: tree.OwnMeasure) -> CatalogCall:
        """Return the call of a measure of the user's own."""
        settings = self.resolver.settings
        return settings.choice(measure.call, settings.entry(measure.call.name, ("measure",)), self.point.environment)

    def _attacks(
        self, measure: tree.Measure, moments: tuple[Moment, ...]
    ) -> tuple[tuple[CatalogCall, ...], tuple[PointRef | None, ...]]:
        """Return the attacks that change images, and the network that those of each are made on."""
        entry = MeasureEntry.of_node(measure)
        attacks = measuring_attacks(self.resolver, measure, self.data, self.point)
        nodes = entry.sources(measure) or (None,) * len(attacks)
        found = [
            (attack, None if node is None else self._source(node, word, attack, moments))
            for attack, word, node in zip(attacks, entry.attacks(measure), nodes, strict=True)
        ]
        kept = [(attack, source) for attack, source in found if not AttackEntry.of(attack).clean]
        return tuple(attack for attack, _ in kept), tuple(source for _, source in kept)

    def _source(
        self, node: tree.PointOf, word: tree.Word, attack: CatalogCall, moments: tuple[Moment, ...]
    ) -> PointRef:
        """Return the network that an attack's images are made on, which has to take the images that are measured on."""
        science.made_elsewhere(word, attack, self.findings)
        reference, model = self.resolver.model_at(node, self.point, "train", "transfer")
        if isinstance(model, TransferDefinition) and model.recipe["epochs"] == 0:
            head_is_random(node, reference.name, self.findings)
        there = self.point.labels | dict(reference.fixed)
        taught: Dataset = self.resolver.definition(model.dataset).at(there)
        for part in self.node.parts:
            of = self._part(part)
            self._images_fit(node, self.resolver.definition(of.dataset).at(self.point.labels), of, model, taught)
        itself = reference.name == self.trained and all(
            label == self.point.labels.get(a) for a, label in reference.fixed
        )
        if itself and isinstance(node.name, tree.Name) and moments == (Moment(weights=reference.epoch),):
            self.findings.warn(
                "E720",
                node,
                f"`{node.span.text}` is the network that is measured, so its images are made on it anyway",
                "the same steps measure both",
                f"write `under {word.span.text}` alone",
            )
        return reference

    def _score(self, word: tree.Word, when: tree.Node | None) -> str:
        score = score_name(self.resolver, word, self.point.environment)
        if isinstance(self.model, TransferDefinition):
            help = "measure the scores of the training it starts from"
            self.findings.reject("E503", self.node.measure, "a transferred head has no scores", help=help)
        attacks = MeasureEntry.of_node(self.node.measure).attacks(self.node.measure)
        for attack in attacks:
            attack_of_score(self.resolver, attack, self.data, self.point)
        if score_entry(self.resolver, score).over_snapshots:
            self._while_training(score)
        subsets = [part.part.text.rpartition("_")[0] for part in self.node.parts]
        of_epoch, attacked = when is not None, bool(attacks)
        return recorded_score(
            self.resolver, word, score, self.trained, self.model, subsets, of_epoch=of_epoch, attacked=attacked
        )

    def _while_training(self, score: str) -> None:
        """Reject images that a training does not see, for a score that it takes while it sees them."""
        finished = ScoreEntry.of(score).of_weights
        for part in self.node.parts:
            if not part.part.text.endswith("train") or part.dataset is not None:
                self.findings.reject(
                    "E407",
                    part,
                    f"`{score}` is not taken of `{part.span.text}`",
                    f"it is taken while `{self.trained}` trains, of the images that it is trained on",
                    "write `on train`, or `on A_train`"
                    + (f", or use `{finished}`, a score of the finished weights" if finished else ""),
                )

    # --- parts ---

    def _part(self, node: tree.PartName) -> PartOf:
        name = node.part.text
        base: Literal["val", "train"] = "train" if name.endswith("train") else "val"
        if node.dataset is not None:
            dataset = self.resolver.declared(node.dataset, node.dataset.text, "dataset")
            if name not in PARTS:
                self._no_part(node, f"`{dataset}` has the parts `val` and `train`", PARTS)
            return PartOf(f"{dataset}.{name}", base, dataset)
        if name in PARTS:
            return PartOf(name, base, self.model.dataset)
        split_name = self.model.split if isinstance(self.model, TrainingDefinition) else None
        if split_name is None:
            self._no_subsets(node)
        split: SplitDefinition = self.resolver.definition(split_name).at(self.point.labels)
        known = (*PARTS, *(f"{subset}_{part}" for subset in split.names for part in PARTS))
        subset, _, ending = name.rpartition("_")
        if subset not in split.names and split_name in self.resolver.scope.broken:
            raise Rejected  # a line of the split that cannot be read may be its own
        if ending not in PARTS:
            self._no_part(node, f"its parts are {listed(known)}", known)
        if subset not in split.names:
            self._no_part(node, f"split `{split_name}` has the subsets {listed(split.names)}", known)
        if base == "val" and not split.by_class:
            self.findings.reject(
                "E406",
                node,
                f"`{name}` does not exist: `{split_name}` splits by examples",
                "only a split by whole classes splits the validation set too; there is no ranking of its examples",
                f"measure on `val`, or on `{subset}_train`, or `transfer` to other data",
            )
        if split.every is not None:
            not_finished(node, f"`{name}`", split_name, self.findings)
        return PartOf(name, base, self.model.dataset, split_name, subset)

    def _no_subsets(self, node: tree.PartName) -> NoReturn:
        """Reject a part of a subset where the training has none; all of `val` would be another experiment."""
        subset, _, ending = node.part.text.rpartition("_")
        if not subset or ending not in PARTS:
            self._no_part(node, f"`{self.trained}` is trained on data without subsets", PARTS)
        message = f"there is no part called `{node.span.text}`: `{self.trained}` is trained on data without subsets"
        split = f"split s of {self.model.dataset} {{ {subset} = ...; others = rest }}"
        help = f"train it on a split that has the subset: `{split}`"
        self.findings.reject("E407", node, message, help=help)

    def _no_part(self, node: tree.PartName, reason: str, known: tuple[str, ...]) -> NoReturn:
        help = did_you_mean(node.part.text, known, node.part.span)
        self.findings.reject("E407", node, f"there is no part called `{node.span.text}`", reason, help)

    def _unseen(self, node: tree.PartName, measured: Dataset) -> None:
        """Refuse to report on images that selection saw, under whatever name."""
        data = self.data
        if (
            not isinstance(self.model, TrainingDefinition)
            or self.model.select is None
            or data.holdout == measured.holdout
        ):
            return
        same_images = _validation(data) == _validation(measured) and data.holdout is not None
        if same_images and data.holdout is not None and node.part.text.startswith(data.holdout.source):
            self.findings.reject(
                "E501",
                node,
                f"`{node.span.text}` has images that the checkpoint was selected on",
                "it is the same data with another hold-out, and a reported number must not depend on these images",
                "give both data sets the same `holdout`",
            )

    def _images_exist(self, node: tree.PartName, measured: Dataset, part: PartOf) -> None:
        """Refuse to measure on a part that has no images at all, which a hold-out can leave."""
        if measured.facts is None or (measured.train if part.base == "train" else measured.val):
            return
        whole = measured.facts.train if part.base == "train" else measured.facts.val
        self.findings.reject(
            "E407",
            node,
            f"there is no image in `{node.span.text}`",
            f"the hold-out takes all {whole} of them" if whole else "the data set has none there",
            "give the data set a smaller `holdout`, or one from the training images: `holdout_from=train`"
            if whole
            else "put images there",
        )

    def _images_fit(
        self,
        node: tree.Node,
        measured: Dataset,
        part: PartOf,
        model: TrainingDefinition | TransferDefinition,
        data: Dataset,
    ) -> None:
        """Check that a network, which was trained on `data`, takes the images and classes of another data set."""
        trained_on, shown = data.facts, measured.facts
        if trained_on is None or shown is None or trained_on is shown:
            return
        shapes, classes = (trained_on.shape, shown.shape), (len(trained_on.classes), len(shown.classes))
        same_classes, channels = classes[0] == classes[1], channels_fit(*shapes)
        if same_classes and channels and sizes_fit(*shapes):
            classes_fit(self.resolver, node, (model.dataset, data), (part.dataset, measured))
            return
        of = [" x ".join(str(n) for n in shape) for shape in shapes]
        _, height, width = trained_on.shape
        help: str | Hint = "`transfer` to that data set first"
        if same_classes and channels and height == width:
            size = f"resize={height}"
            text = f"write `{size}` in `dataset {part.dataset}`"
            help = self.resolver.in_dataset(part.dataset, size, text, node)
        self.findings.reject(
            "E506",
            node,
            f"the network was trained for {classes[0]} classes of {of[0]} images; "
            f"`{part.dataset}` has {classes[1]} of {of[1]}",
            "a network can be measured on images and classes like those it was trained on"
            + ("" if same_classes else difference(trained_on.classes, shown.classes)),
            help,
        )


def _validation(data: Dataset) -> CatalogCall:
    """Return where the validation images of a data set come from: of joined ones, from the first."""
    source = data.source
    while source.name == JOINED:
        source = source["parts"][0]
    return source
