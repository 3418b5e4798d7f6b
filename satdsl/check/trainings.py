"""Read `train` statements: what is trained, on what, attacked with what, and selected how."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.schedules import ScheduleEntry
from satdsl.check import (
    checkpoints,
    labels,
    loss_formulas,
    proofs,
    repicked_subsets,
    scaled_attacks,
    science,
    several_attacks,
    shares,
    teachers,
    training_parts,
)
from satdsl.check.axes import Point
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.epochs import multiples
from satdsl.check.fixes import remove_repeated
from satdsl.check.network_body import body_of
from satdsl.check.phases import Timeline, phases
from satdsl.check.radii import attacks_fit_measure
from satdsl.check.resolve import Resolver
from satdsl.check.subsets import whole_number
from satdsl.check.values import Word, evaluate
from satdsl.hints import suggest
from satdsl.ir.experiment import Dataset, PointRef, SplitDefinition, TrainingDefinition, TransferDefinition
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import Attacks, CatalogCall, Loss, Selection
from satdsl.syntax import tree

T = TypeVar("T")


def train(resolver: Resolver, statement: tree.Train, point: Point) -> TrainingDefinition:
    """Return a training at a point of the sweep."""
    model: CatalogCall = resolver.instance(statement.model, point, "model")
    return TrainReader(resolver, statement, statement.data, point).read(statement, model)


class TrainReader:
    """Reads one training at one point. Its lines can speak of `parts`: the subsets of its split, or else `all`.

    What it is trained `on` is a word of its own: a transfer that trains the whole network is read by it, too.
    """

    def __init__(self, resolver: Resolver, statement: tree.Train | tree.Transfer, on: tree.Word, point: Point) -> None:
        self.resolver, self.findings = resolver, resolver.findings
        self.statement, self.named, self.point = statement, on, point
        self.folder = resolver.scope.folders[statement.name.text]
        self.recipe: CatalogCall = resolver.instance(statement.recipe, point, "recipe")
        self.epochs: int = self.recipe["epochs"]
        self.on = resolver.lookup(on, point.environment, "dataset", "split")
        trained_on = resolver.definition(self.on).at(point.labels)
        self.split: SplitDefinition | None = trained_on if isinstance(trained_on, SplitDefinition) else None
        self.dataset = self.split.dataset if self.split is not None else self.on
        self.data: Dataset = resolver.definition(self.dataset).at(point.labels)
        self.parts = self.split.names if self.split is not None else ("all",)
        self.teachers: list[PointRef] = []
        self.part: str | None = None
        if isinstance(statement, tree.Train):
            self.part = training_parts.part(resolver, statement, point, self.on, self.split)
        if self.split is not None and self.part is not None:
            shares.of_whole_splits(self.named, self.part, self.split, self.findings)

    def read(self, node: tree.Train, model: CatalogCall) -> TrainingDefinition:
        """Return the training of a `train` statement."""
        findings = self.findings
        start = single(node, tree.StartLine, findings)
        checkpoints.weights_come_from_one_place(node, start, model, findings)
        checkpoints.normalisation_fits(node.model, model, self.data, findings)
        pretrained = checkpoints.weights_fit(node.model, self._declared(node.model), model, self.data, findings)
        proofs.proof_fits(node.model, model, self.data, findings)
        labels.stored_classes_fit(self.resolver, node.model, model.get("file"), (self.dataset, self.data))
        has_weights = start is not None or ModelEntry.of(model).from_file
        of_epochs = [line for line in node.lines if not isinstance(line, (tree.SeedLine, tree.StartLine))]
        checkpoints.nothing_is_trained(node, self.epochs, has_weights, of_epochs, findings)
        return replace(
            self.trained(model.get("arch", model)),
            start=self._start(start, model) if start is not None else None,
            pretrained=pretrained,
            mean=model.get("mean"),
            std=model.get("std"),
        )

    def trained(self, model: CatalogCall) -> TrainingDefinition:
        """Return the training of a network as the lines of the block say."""
        node, findings = self.statement, self.findings
        seed, select = single(node, tree.SeedLine, findings), single(node, tree.SelectLine, findings)
        repicked = self.split is not None and self.split.every is not None
        if self.split is not None:
            repicked_subsets.reached(self.named, self.on, self.split, self.epochs, findings)
            shares.reached(self.named, self.split, self.data, self.recipe["batch"], findings)
        if self.epochs:
            science.classes_to_learn(self.named, self.dataset, self.data, findings)
            science.batch_norm_fits(node.recipe, model, self.recipe["batch"], self._seen(), findings)
        snapshots = self._kept("snapshots")
        attacks = self._attacks()
        losses = self._losses(attacks)
        trained = [phases(name, attacks, losses) for name in self.parts]
        if select is not None:
            self._warn_of_clean_selection(select, any(one.attack for of in trained for one in of))
        return TrainingDefinition(
            model=model,
            recipe=self.recipe,
            dataset=self.dataset,
            split=self.on if self.split is not None else None,
            attacks=tuple(first.attack for first, *_ in trained),
            losses=tuple(first.loss for first, *_ in trained),
            changes=tuple(tuple(later) for _, *later in trained),
            select=self._selection(select) if select is not None else None,
            snapshots=snapshots,
            keep_weights=self._kept("weights"),
            seed=seed_of(seed, self.point, findings),
            start=None,
            part=self.part,
            teachers=tuple(self.teachers),
            repicked=repicked,
        )

    def _seen(self) -> Dataset:
        """Return the data set with as many training images as the training sees, where that is known."""
        size = None
        if self.split is not None:
            sizes = dict(zip(self.split.names, self.split.sizes, strict=True))
            size = self.split.epoch_images(self.data) if self.part is None else sizes[self.part]
        return self.data if size is None else replace(self.data, train=size)

    def _declared(self, model: tree.Word) -> tree.Call | None:
        """Return the call that declares a model."""
        statement = self.resolver.scope.statements.get(self.resolver.lookup(model, self.point.environment, "model"))
        return statement.call if isinstance(statement, tree.Declaration) else None

    def _start(self, line: tree.StartLine, model: CatalogCall) -> PointRef:
        """Return the training or transfer to start from, whose weights have to be those of the same network."""
        reference, started = self.resolver.model_at(line.model, self.point, "train", "transfer")
        there = self.point.labels | dict(reference.fixed)
        ends_in: Dataset = self.resolver.definition(started.dataset).at(there)
        if isinstance(started, TransferDefinition) and self.epochs == 0 and started.recipe["epochs"] == 0:
            checkpoints.head_is_random(self.statement.recipe, reference.name, self.findings)
        body = body_of(self.resolver, started, there)
        if self.data.facts is not None and ends_in.facts is not None and body.data.facts is not None:
            (taken, *_), (given, *_) = body.data.facts.shape, self.data.facts.shape
            has = checkpoints.Weights(body.training.model, taken, len(ends_in.facts.classes), body.head)
            wanted = checkpoints.Weights(model.get("arch", model), given, len(self.data.facts.classes))
            checkpoints.start_fits(line, has, wanted, self.findings)
            labels.classes_fit(self.resolver, line, (started.dataset, ends_in), (self.dataset, self.data))
        return reference

    # --- attacks and losses ---

    def _attacks(self) -> Timeline[Attacks | None]:
        """Return what attacks each subset, epoch by epoch."""
        found: Timeline[Attacks | None] = Timeline(self.epochs, self.statement.lines, self.findings)
        fast: dict[str, None] = {}
        for line in self._lines(tree.AttackLine):
            calls: list[CatalogCall] = [self.resolver.instance(word, self.point, "attack") for word in line.attacks]
            for subset in self._parts_of(line):
                for word, call in zip(line.attacks, calls, strict=True):
                    science.trained_with(word, call, self.findings)
                    science.radius_fits_images(word, call, self.data, self.findings)
                    science.attack_fits_data(word, call, self.data, self.findings)
                    science.mixed_labels_are_attacked(word, call, self.data, self.findings)
                attacks = several_attacks.together(
                    line, [None if AttackEntry.of(call).clean else call for call in calls], self.findings
                )
                attacks = scaled_attacks.scaled(line, calls, attacks, self.folder, self.data, self.findings)
                found.add(subset, line, attacks, self.point.environment)
                fast |= dict.fromkeys([subset] * any(AttackEntry.of(call).single_step for call in calls))
        found.check()
        share = self._share_of(list(fast))
        for line in self._lines(tree.AttackLine):
            for word in line.attacks:
                science.small_share(word, self.resolver.instance(word, self.point, "attack"), share, self.findings)
        return found

    def _lines(self, kind: type[T]) -> list[T]:
        return [line for line in self.statement.lines if isinstance(line, kind)]

    def _losses(self, attacks: Timeline[Attacks | None]) -> Timeline[Loss | None]:
        """Return the loss of each subset. The cross-entropy is None, so that writing it changes nothing."""
        found: Timeline[Loss | None] = Timeline(self.epochs, self.statement.lines, self.findings)
        for line in self._lines(tree.LossLine):
            loss = loss_formulas.loss(line.value, self.resolver.settings, self.point.environment, self._teacher)
            for subset in self._parts_of(line):
                kept = loss_formulas.plain(loss) if isinstance(loss, LossFormula) else loss
                found.add(subset, line, kept, self.point.environment)
                self._loss_fits(line, loss, subset, attacks, found)
                if kept is not None:
                    science.mixed_labels_are_trained(line, kept, self.data, self.findings)
        found.check()
        return found

    def _teacher(self, node: tree.PointOf) -> int:
        """Return the number of another network that a loss asks, which has to know the same classes and images."""
        reference, asked = self.resolver.model_at(node, self.point, "train", "transfer")
        there = self.point.labels | dict(reference.fixed)
        taught: Dataset = self.resolver.definition(asked.dataset).at(there)
        teachers.fits(node, reference, taught, self.data, self.findings)
        labels.classes_fit(self.resolver, node, (asked.dataset, taught), (self.dataset, self.data))
        if reference not in self.teachers:
            self.teachers.append(reference)
        return self.teachers.index(reference)

    def _loss_fits(
        self,
        line: tree.LossLine,
        loss: Loss | None,
        subset: str,
        attacks: Timeline[Attacks | None],
        losses: Timeline[Loss | None],
    ) -> None:
        """Check that a subset is attacked as its loss wants it, in every epoch of the line."""
        (stretch,) = (one for one in losses.stretches(subset) if one.line is line)
        starts = {one.first for one in attacks.stretches(subset)} | {one.last + 1 for one in attacks.stretches(subset)}
        for epoch in sorted({stretch.first} | {one for one in starts if stretch.first < one <= stretch.last}):
            choice = attacks.at(subset, epoch)
            if choice is None and self.statement.name.text in self.resolver.scope.broken:
                raise Rejected  # the line that attacks it may be one that cannot be read
            when = "" if attacks.constant(subset) else f" in epoch {epoch}"
            if isinstance(loss, LossFormula):
                loss_formulas.fits_attack(line, loss, subset, choice is not None, when, self.findings)
            elif loss is not None:
                science.loss_fits_attack(line, loss, subset, choice, when, self.findings)

    def _parts_of(self, line: tree.AttackLine | tree.LossLine) -> tuple[str, ...]:
        """Return the subsets that a line is about."""
        value = evaluate(line.subset, self.point.environment, self.findings)
        name = value.text if isinstance(value, Word) else line.subset.span.text
        trained = self.parts if self.part is None else (self.part,)
        meant = trained if name == "all" and "all" not in self.parts else (name,)
        for subset in meant:
            if subset not in self.parts:
                self._no_such_subset(line, name)
            if subset not in trained and isinstance(self.statement, tree.Train):
                training_parts.not_trained_on(line, subset, self.statement, self.findings)
        return meant

    def _no_such_subset(self, line: tree.AttackLine | tree.LossLine, name: str) -> None:
        on = self.on
        if self.split is None:
            word = "attack" if isinstance(line, tree.AttackLine) else "loss"
            help = f"split it first (`split s of {on} {{ {name} = ...; B = rest }}`), or write `{word} all`"
            self.findings.error("E206", line.subset, f"`{on}` is not split, so it has no subset `{name}`", help=help)
        elif on not in self.resolver.scope.broken:
            meant = suggest(name, self.parts, line.subset.span, "its subsets are")
            self.findings.error("E206", line.subset, f"split `{on}` has no subset `{name}`", help=meant)
        raise Rejected

    def _share_of(self, attacked: list[str]) -> float | None:
        """Return the share of the training set that is attacked, None where a size is not known yet."""
        if self.split is None or self.part is not None:
            return 1.0
        seen, images = shares.seen(self.split, self.data, self.recipe["batch"])
        sizes = [seen[self.split.names.index(name)] for name in attacked]
        return None if None in sizes or not images else sum(size for size in sizes if size) / images

    # --- epochs ---

    def _kept(self, what: str) -> tuple[int, ...]:
        """Return the epochs after which snapshots or weights are kept: what the last `keep` line of them says."""
        lines = [line for line in self.statement.lines if isinstance(line, tree.KeepLine) and line.what == what]
        return self._epochs(lines[-1].every) if lines else ()

    def _epochs(self, every: tree.EveryEpochs) -> tuple[int, ...]:
        return multiples(every, self.epochs, self.point.environment, self.findings)

    # --- selection ---

    def _selection(self, line: tree.SelectLine) -> Selection:
        if self.data.holdout is None or self.data.selection == 0:
            self._nothing_held_out(line)
        if line.measure is not None and not MeasureEntry.of_node(line.measure).selects:
            help = "write `select by robust accuracy under aa`"
            self.findings.reject("E502", line.measure, "checkpoints are selected by accuracy", help=help)
        attacks: tuple[CatalogCall, ...] = ()
        if line.measure is not None:
            for source in MeasureEntry.of_node(line.measure).sources(line.measure):
                if source is not None:
                    checkpoints.selected_elsewhere(source, self.findings)
            measuring = measuring_attacks(self.resolver, line.measure, self.data, self.point)
            attacks = tuple(attack for attack in measuring if not AttackEntry.of(attack).clean)
        return Selection(attacks, tuple(sorted({*self._selecting_epochs(line), self.epochs})))

    def _selecting_epochs(self, line: tree.SelectLine) -> tuple[int, ...]:
        """Return the epochs after which weights are compared, apart from the last one."""
        match line.when:
            case tree.AtEnd():
                return ()
            case tree.EveryEpochs() as every:
                return self._epochs(every)
        schedule: CatalogCall = self.recipe["schedule"]
        drops = ScheduleEntry.of(schedule).drops
        if drops is None:
            self.findings.reject(
                "E502",
                line,
                f"schedule `{schedule.name}` has no drops of the learning rate to select after",
                "`select` alone means after each drop and at the end",
                "say when: `select ... every 5 epochs`, or `at end`",
            )
        return tuple(drop + 1 for drop in drops(schedule) if drop < self.epochs)

    def _nothing_held_out(self, line: tree.SelectLine) -> None:
        message, holdout = "selection needs a hold-out, and this data set has none", "holdout=10%"
        if self.data.holdout is not None:
            message, holdout = "the hold-out is empty: no class has enough images for it", "holdout=50%"
        reason = "it would choose the checkpoint on the examples that it reports"
        help = f"give `dataset {self.dataset}` a `{holdout}`"
        self.findings.reject("E501", line, message, reason, self.resolver.in_dataset(self.dataset, holdout, help, line))

    def _warn_of_clean_selection(self, line: tree.SelectLine, attacked: bool) -> None:
        """Warn of `select` alone in an attacked training: it may be meant to be by robust accuracy, as in the paper."""
        # `select at end` has nothing to choose between.
        choosing = line.measure is None and not isinstance(line.when, tree.AtEnd)
        if choosing and attacked:
            self.findings.warn(
                "E509",
                line,
                "this adversarial training is selected by clean accuracy",
                "the checkpoint with the best clean accuracy is rarely the most robust one",
                "write `select by robust accuracy under` an attack, or `select by clean accuracy` if it is meant",
            )


def measuring_attacks(
    resolver: Resolver, measure: tree.Measure, data: Dataset, point: Point
) -> tuple[CatalogCall, ...]:
    """Return the attacks of a measure, after checking that they fit the data they attack."""
    words = MeasureEntry.of_node(measure).attacks(measure)
    attacks = tuple(measuring_attack(resolver, word, data, point) for word in words)
    attacks_fit_measure(measure, list(zip(words, attacks, strict=True)), resolver.findings)
    return attacks


def measuring_attack(resolver: Resolver, word: tree.Word, data: Dataset, point: Point) -> CatalogCall:
    """Return the attack that a word stands for, after checking that it fits the data it attacks."""
    attack: CatalogCall = resolver.instance(word, point, "attack")
    science.radius_fits_images(word, attack, data, resolver.findings)
    science.attack_fits_data(word, attack, data, resolver.findings)
    science.measured_with(word, attack, resolver.findings)
    return attack


def single(statement: tree.Train | tree.Transfer, kind: type[T], findings: FindingCollector) -> T | None:
    """Return a statement's line of a kind, None where it has none; a second one is a finding."""
    found = [line for line in statement.lines if isinstance(line, kind)]
    for line in found[1:]:
        assert isinstance(line, tree.Node)
        help = remove_repeated(line, statement.lines, "keep one of the lines")
        findings.error("E201", line, "this line is given twice", help=help)
    return found[0] if found else None


def seed_of(line: tree.SeedLine | None, point: Point, findings: FindingCollector) -> int:
    """Return the seed that a line gives, 0 where there is no such line."""
    return 0 if line is None else whole_number(line.value, point.environment, findings, "a seed")
