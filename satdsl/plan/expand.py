"""Turn an experiment into a plan: make the steps, merge equal ones, and tie results to the steps they are read from."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product, zip_longest
from typing import Any, Literal

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.scores import ScoreEntry, over_snapshots
from satdsl.ir import batches, blocks, steps
from satdsl.ir.experiment import (
    EPOCH,
    RADIUS,
    Assignment,
    Dataset,
    Experiment,
    Measure,
    Measurement,
    PartOf,
    PointRef,
    Radius,
    RankingSource,
    SplitDefinition,
    SweepTable,
    TrainingDefinition,
    TransferDefinition,
)
from satdsl.ir.plan import (
    Part,
    Passes,
    Piece,
    Plan,
    Point,
    Result,
    SelectionCost,
    SplitFacts,
    SubsetSummary,
    Variant,
)
from satdsl.ir.steps import Key, Step
from satdsl.plan import arrange, cost, pieces

Asked = tuple[str, steps.CatalogCall | None, PointRef | None, str, str]
"""A trained model, an attack, the network its images are made on, a data set and its part `val` or `train`."""

NO_PASSES = Passes()

NOT_TRAINED_ON = steps.SubsetTraining(None, 0.0)
"""How a subset takes part in a training on another one, whatever its weight."""


def expand(experiment: Experiment) -> Plan:
    """Return the smallest set of steps that gives every result of an experiment."""
    return _Expander(experiment).plan()


def passes_of(experiment: Experiment, name: str) -> dict[Point, Passes]:
    """Return what a training or transfer costs at each of its points, without planning the rest.

    Raises:
        KeyError: the experiment lacks it, or what it needs.
    """
    expander = _Expander(experiment)
    family = expander._family(name)
    return {tuple(at.items()): expander.passes[expander._model(name, at)] for at, _ in family.instances()}


class _Expander:
    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.steps: dict[Key, Step] = {}
        self.labels: dict[Key, str] = {}
        self.passes: dict[Key, Passes] = {}
        self.whole: dict[Key, Passes] = {}
        self.pieces: dict[Key, tuple[Piece, ...]] = {}
        self.selecting: dict[Key, SelectionCost] = {}
        self.splits: list[SplitFacts] = []
        self.named: dict[str, list[tuple[Point, Key]]] = {}
        self._keys: dict[tuple[str, tuple[str, ...]], Key] = {}
        self._costly = self._costly_scores()
        self._trainings: dict[Hashable, tuple[steps.Train, Passes, Passes]] = {}
        self._orders: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}
        self._measures = cache(steps.Evaluate)
        self._divided: dict[tuple[int, tuple[tuple[str, Key], ...]], Key] = {}
        self._blocks = cache(lambda count: tuple(steps.Block(index, count) for index in range(count)))
        self._evaluated = cache(pieces.evaluated)
        self._pieces_of_trainings: dict[Hashable, tuple[Piece, ...]] = {}
        self._networks: dict[tuple[int, int], Piece | None] = {}
        self._asked = self._asked_parts()
        self._lonely: dict[str, dict[tuple[str, ...], frozenset[str]]] = {}

    def plan(self) -> Plan:
        results = tuple(result for measured in self.experiment.measured for result in self._results(measured))
        experiment = self.experiment
        return Plan(
            title=experiment.title,
            steps=self._data_first(),
            labels=self.labels,
            results=results,
            displays=experiment.displays,
            claims=experiment.claims,
            published=experiment.published,
            given_labels=experiment.given_labels,
            axes={axis.name: axis.labels for axis in experiment.axes},
            passes=self.passes,
            pieces=self.pieces,
            attacked_whole=self.whole,
            selecting=self.selecting,
            splits=tuple(self.splits),
            named={name: tuple(points) for name, points in self.named.items()},
            files=tuple(source.path for source in experiment.sources),
            variant=Variant(experiment.overrides),
        )

    def _data_first(self) -> dict[Key, Step]:
        """Return the steps with the data sets first: a missing data set is found before anything is trained."""
        data = {key: step for key, step in self.steps.items() if step.kind == "data"}
        return data | self.steps

    # --- steps ---

    def _add(self, settings: steps.Settings, inputs: Mapping[str, Key], label: str, passes: Passes = NO_PASSES) -> Key:
        return self._keep(Step(settings, tuple(sorted(inputs.items()))), label, passes)

    def _keep(self, step: Step, label: str, passes: Passes) -> Key:
        if step.key not in self.steps:
            self.steps[step.key] = step
            self.labels[step.key] = label
            self.passes[step.key] = passes
        return step.key

    def _data(self, name: str, at: Assignment) -> Key:
        family = self.experiment.datasets[name]
        labels = tuple(at[axis] for axis in family.axes)
        if (name, labels) not in self._keys:
            data = family.table[labels]
            inputs = {f"part{i}": self._data(part, at) for i, part in enumerate(data.parts)}
            self._keys[name, labels] = self._add(steps.Data(data.source, data.root), inputs, f"data {name}")
        return self._keys[name, labels]

    def _dataset(self, name: str, at: Assignment) -> Dataset:
        return self.experiment.datasets[name].at(at)

    def _model(self, name: str, at: Assignment) -> Key:
        """Return the step that trains `name` at a point."""
        family: SweepTable[Any] = self._family(name)
        labels = tuple(at[axis] for axis in family.axes)
        if (name, labels) not in self._keys:
            here = dict(zip(family.axes, labels, strict=True))
            made = self._train if name in self.experiment.trainings else self._transfer
            key = made(name, family.table[labels], here)
            self._keys[name, labels] = key
            self.named.setdefault(name, []).append((tuple(here.items()), key))
        return self._keys[name, labels]

    def _family(self, name: str) -> SweepTable[Any]:
        return self.experiment.trainings.get(name) or self.experiment.transfers[name]

    def _refer(self, reference: PointRef, at: Assignment) -> Key:
        return self._model(reference.name, {**at, **dict(reference.fixed)})

    def _train(self, name: str, train: TrainingDefinition, at: Assignment) -> Key:
        data = self._dataset(train.dataset, at)
        split = self.experiment.splits[train.split].at(at) if train.split is not None else None
        inputs = {"data": self._data(train.dataset, at)}
        weights: Sequence[steps.Weight] = (1.0,)
        order: Sequence[int] = (0,)
        part, repick = None, None
        if split is not None and train.split is not None:
            inputs["split"] = self._split(train.split, at)
            weights, order = split.weights, self._order(train.split, at)
            part = _part_of(train, split, order)
            if split.every is not None:
                repick, rankings = self._repicking(inputs["split"], split.every, train)
                inputs |= rankings
        if train.start is not None:
            inputs["start"] = self._refer(train.start, at)
        asked, teachers = arrange.teachers([self._refer(teacher, at) for teacher in train.teachers])
        inputs |= asked
        sizes = tuple(split.sizes[i] for i in order) if split is not None else (data.train,)
        settings, passes, whole = self._training(
            name, train, data, split, tuple(weights), tuple(order), sizes, part, repick, teachers
        )
        key = self._add(settings, inputs, f"train {self._label(name, at)}", passes)
        self.whole.setdefault(key, whole)
        if key not in self.pieces:
            self.pieces[key] = self._trained_pieces(settings, data, sizes, passes)
        if settings.select is not None and settings.select.attacks:
            self.selecting.setdefault(
                key, cost.selecting(settings.select, data.selection, len(data.facts.classes) if data.facts else 0)
            )
        return key

    def _trained_pieces(
        self, settings: steps.Train, data: Dataset, sizes: tuple[int | None, ...], passes: Passes
    ) -> tuple[Piece, ...]:
        place = id(settings), id(data), sizes
        if place not in self._pieces_of_trainings:
            self._pieces_of_trainings[place] = pieces.of_training(settings, data, sizes, passes)
        return self._pieces_of_trainings[place]

    def _repicking(self, split: Key, every: int, train: TrainingDefinition) -> tuple[steps.Repicking, dict[str, Key]]:
        """Return how a training picks the subsets of its split anew, and the inputs that it ranks some by."""
        made = self.steps[split]
        assert isinstance(made.settings, steps.Split)
        begins_with_weights = train.start is not None or train.pretrained is not None
        rankings = {role: key for role, key in made.inputs if role != "data"}
        return steps.Repicking(made.settings.subsets, every, begins_with_weights), rankings

    def _training(
        self,
        name: str,
        train: TrainingDefinition,
        data: Dataset,
        split: SplitDefinition | None,
        weights: tuple[steps.Weight, ...],
        order: tuple[int, ...],
        sizes: tuple[int | None, ...],
        part: int | None,
        repick: steps.Repicking | None,
        teachers: tuple[int, ...],
    ) -> tuple[steps.Train, Passes, Passes]:
        """Return a training's settings and costs; trainings that differ only in the draw of the split share them."""
        shares = split.shares if split is not None else ()
        place = name, id(train), id(data), shares, weights, order, sizes, part, repick, teachers
        if place not in self._trainings:
            settings = replace(self._train_settings(name, train, data, weights, order, part), repick=repick)
            if split is not None and split.shared:
                settings = arrange.sharing(settings, [shares[i] for i in order], split.epoch_images(data))
            settings = replace(settings, subsets=tuple(arrange.asking(one, teachers) for one in settings.subsets))
            passes = cost.training(settings, data, sizes)
            whole = cost.attacked_whole(settings, data, sizes)
            self._trainings[place] = settings, passes, whole
        return self._trainings[place]

    def _train_settings(
        self,
        name: str,
        train: TrainingDefinition,
        data: Dataset,
        weights: Sequence[steps.Weight],
        order: Sequence[int],
        part: int | None,
    ) -> steps.Train:
        facts = data.facts
        return steps.Train(
            model=train.model,
            recipe=train.recipe,
            augment=data.augment,
            holdout=data.holdout if self._sees_holdout(train, data) else None,
            subsets=tuple(
                steps.SubsetTraining(
                    train.attacks[i],
                    arrange.weight(weights[i], order),
                    train.losses[i],
                    train.changes[i] if train.changes else (),
                )
                if part is None or place == part
                else NOT_TRAINED_ON
                for place, i in enumerate(order)
            ),
            mean=train.mean or (facts.mean if facts and train.head is None else ()),
            std=train.std or (facts.std if facts and train.head is None else ()),
            seed=train.seed,
            select=train.select,
            snapshots=train.snapshots,
            keep_weights=train.keep_weights,
            scores=self._costly.get(name, ()),
            pretrained=train.pretrained,
            part=part,
            start_epoch=train.start.epoch if train.start is not None else None,
            head=train.head,
        )

    def _sees_holdout(self, train: TrainingDefinition, data: Dataset) -> bool:
        """Return whether a training selects or is probed on the hold-out, or loses training images to it."""
        if data.holdout is None:
            return False
        return train.select is not None or any(train.every_attack) or data.holdout.source == "train"

    def _transfer(self, name: str, transfer: TransferDefinition, at: Assignment) -> Key:
        data = self._dataset(transfer.dataset, at)
        inputs = {"data": self._data(transfer.dataset, at), "weights": self._refer(transfer.source, at)}
        holdout = data.held_out_of("train")
        settings = steps.Head(
            transfer.head, transfer.recipe, data.augment, holdout, transfer.seed, transfer.source.epoch
        )
        epochs = transfer.recipe["epochs"]
        rounds = epochs if data.augment else min(1, epochs)
        passes = Passes((data.train or 0) * rounds)
        key = self._add(settings, inputs, f"transfer {self._label(name, at)}", passes)
        self._take_apart(key, inputs["weights"], data, passes)
        return key

    def _take_apart(self, key: Key, network: Key, data: Dataset, passes: Passes) -> None:
        """Keep the pieces of a step that has no attacks of its own."""
        found = self._network_piece(self._architecture(network), data)
        if found is not None:
            self.pieces.setdefault(key, pieces.of_passes(found, passes, data.train or 0))

    def _architecture(self, key: Key) -> steps.CatalogCall:
        """Return the model of a training, or of the network that a transfer put a head on."""
        step = self.steps[key]
        if isinstance(step.settings, steps.Train):
            return step.settings.model
        return self._architecture(dict(step.inputs)["weights"])

    def _split(self, name: str, at: Assignment) -> Key:
        family = self.experiment.splits[name]
        labels = tuple(at[axis] for axis in family.axes)
        if (name, labels) not in self._keys:
            here = dict(zip(family.axes, labels, strict=True))
            self._keys[name, labels] = self._make_split(name, family.table[labels], here)
        return self._keys[name, labels]

    def _order(self, name: str, at: Assignment) -> tuple[int, ...]:
        """Return which subset of the file stands at each place of the subsets of the step."""
        labels = tuple(at[axis] for axis in self.experiment.splits[name].axes)
        if (name, labels) not in self._orders:
            self._split(name, at)
        return self._orders[name, labels]

    def _make_split(self, name: str, split: SplitDefinition, at: Assignment) -> Key:
        data = self._dataset(split.dataset, at)
        inputs = {"data": self._data(split.dataset, at)}
        sources = {source.role: (source.score, self._scores(source, split.dataset, at)) for source in split.rankings}
        holdout = data.held_out_of("train")
        subsets, inputs, order = arrange.canonical(split.subsets, inputs, sources)
        self._orders[name, tuple(at.values())] = order
        key = self._add(steps.Split(subsets, holdout), inputs, f"split {self._label(name, at)}")
        self.splits.append(self._split_facts(name, split, data, key, at))
        return key

    def _scores(
        self, source: RankingSource, dataset: str, at: Assignment, part: Literal["val", "train"] = "train"
    ) -> Key:
        """Return the step whose artifact has a score: the training itself, if the score is taken over snapshots."""
        score, model, attack = source.score, source.model, source.attack
        weights = self._refer(model, at)
        if source.own is None and over_snapshots(score):
            return weights
        data = self._dataset(dataset, at)
        label = f"score {score} of {model.name}" + (f"[epoch={model.epoch}]" if model.epoch is not None else "")
        label += (f" under {attack.name}" if attack is not None else "") + (" on val" if part == "val" else "")
        images = (data.val if part == "val" else data.train) or 0
        passes = cost.score(source.own or score, attack, images)
        settings = steps.Score(score, data.held_out_of(part), model.epoch, part, attack, source.own)
        key = self._add(settings, {"weights": weights, "data": self._data(dataset, at)}, label, passes)
        self._take_apart(key, weights, data, passes)
        return key

    def _split_facts(self, name: str, split: SplitDefinition, data: Dataset, key: Key, at: Assignment) -> SplitFacts:
        names = data.facts.classes if data.facts else ()
        subsets = []
        shares = batches.known_fractions(split.shares, split.sizes) if split.shared else [None] * len(split.names)
        for i, subset in enumerate(split.names):
            weight, classes = split.weights[i], split.classes[i]
            known = not isinstance(weight, steps.WeightFormula) and split.sizes[i] is not None
            later = "after scoring" if split.rankings else "after loading"
            subsets.append(
                SubsetSummary(
                    subset,
                    split.sizes[i],
                    tuple(names[c] for c in classes) if classes is not None else None,
                    split.class_counts[i],
                    float(weight) if isinstance(weight, float | int) else None,
                    "now" if known else later,
                    isinstance(weight, steps.ImageWeights),
                    split.every if arrange.by_itself(split.subsets[i]) else None,
                    shares[i],
                )
            )
        return SplitFacts(
            name, tuple(at.items()), split.dataset, key, tuple(subsets), self._order(name, at), data.train or 0
        )

    def _label(self, name: str, at: Assignment) -> str:
        """Return `sat[order=hardest, share=30%]`, without conditional axes that have a single value there."""
        shown = [f"{axis}={label}" for axis, label in at.items() if self._chooses(name, axis, at)]
        return f"{name}[{', '.join(shown)}]" if shown else name

    def _called(self, reference: PointRef, at: Assignment) -> str:
        """Return what the file calls a network that is named at a point: `ref[share=30%, epoch=20]`."""
        there = {**at, **dict(reference.fixed)}
        here = {axis: there[axis] for axis in self._family(reference.name).axes}
        return self._label(reference.name, here if reference.epoch is None else {**here, EPOCH: str(reference.epoch)})

    def _chooses(self, name: str, axis: str, at: Assignment) -> bool:
        if axis not in self.experiment.conditional:
            return True
        family = self.experiment.splits.get(name) or self._family(name)
        place = f"{name} {axis}"
        if place not in self._lonely:
            i = family.axes.index(axis)
            choices: dict[tuple[str, ...], set[str]] = {}
            for labels in family.table:
                choices.setdefault((*labels[:i], *labels[i + 1 :]), set()).add(labels[i])
            self._lonely[place] = {rest: frozenset(labels) for rest, labels in choices.items()}
        rest = tuple(at[other] for other in family.axes if other != axis)
        return len(self._lonely[place].get(rest, ())) != 1

    def _costly_scores(self) -> dict[str, tuple[str, ...]]:
        """Return for each training the scores that it records only on request; the others come with every snapshot."""
        splits = [split for family in self.experiment.splits.values() for split in family.table.values()]
        asked = [(source.model.name, source.score) for split in splits for source in split.rankings if not source.own]
        for measured in self.experiment.measured:
            every = measured.measures.table.values()
            asked += [(measured.trained, one.score) for one in every if one.score and not one.own_score]
        wanted: dict[str, set[str]] = {}
        for name, score in asked:
            if over_snapshots(score) and ScoreEntry.of(score).on_request:
                wanted.setdefault(name, set()).add(score)
        return {name: tuple(sorted(scores)) for name, scores in wanted.items()}

    # --- results ---

    def _results(self, measured: Measurement) -> Iterable[Result]:
        for at, measure in measured.measures.instances():
            weights = self._model(measured.trained, at)
            for moment, radius, part in product(measure.moments, measure.radii or (None,), measure.parts):
                where = self._part(part, at)
                planner = _MeasureSteps(self, measured.trained, weights, moment.weights, part, where, at)
                facts = self._dataset(part.dataset, at).facts
                epoch = ((EPOCH, str(moment.shown)),) if moment.shown is not None else ()
                eps = ((RADIUS, radius.label),) if radius is not None and radius.label is not None else ()
                yield Result(
                    name=measured.full_name,
                    point=(*at.items(), *epoch, *eps),
                    measure=MeasureEntry.of(measure.own or measure.kind).planned(_at(measure, radius), planner),
                    part=where,
                    by_class=measured.by_class,
                    class_names=facts.classes if facts and measured.by_class else (),
                    file=measured.file,
                    line=measured.line,
                    rows=measured.rows,
                )

    def _part(self, part: PartOf, at: Assignment) -> Part:
        data = self._data(part.dataset, at)
        if part.split is None or part.subset is None:
            return Part(part.name, part.base, data)
        place = self._order(part.split, at).index(self.experiment.splits[part.split].at(at).names.index(part.subset))
        return Part(part.name, part.base, data, self._split(part.split, at), place)

    def _evaluate(
        self,
        weights: Key,
        epoch: int | None,
        by: steps.CatalogCall | None,
        own: bool,
        source: PointRef | None,
        part: PartOf,
        where: Part,
        measured: str,
        at: Assignment,
    ) -> Key:
        data = self._dataset(part.dataset, at)
        images = (data.val if part.base == "val" else data.train) or 0
        subsets = self._only_subsets((measured, by, source, part.dataset, part.base), part, at)
        inputs = {"weights": weights, "data": where.data}
        made_on = self._refer(source, at) if source is not None else weights
        source_epoch = source.epoch if source is not None else epoch
        if (made_on, source_epoch) == (weights, epoch):  # images made on the network itself
            source = source_epoch = None
        else:
            inputs["source"] = made_on
        if subsets is not None and where.split is not None:
            inputs["split"] = where.split
            images = self._images(part, subsets, images, at)
        classes = len(data.facts.classes) if data.facts else 0
        each = cost.measure(by) if own and by is not None else cost.evaluation(by, classes)
        under = f" {'by' if own else 'under'} {by.name}" if by is not None else ""
        under += f" made on {self._called(source, at)}" if source is not None else ""
        here = {axis: at[axis] for axis in self._family(measured).axes}
        label = self._label(measured, here if epoch is None else {**here, EPOCH: str(epoch)})
        how = (None, by) if own else (by, None)
        settings = how[0], part.base, data.held_out_of(part.base), subsets, epoch, source_epoch, how[1]
        found = None if own else self._network_piece(self._architecture(weights), data)
        count = 1
        if by is not None and not own and data.facts is not None:
            work = cost.work(self._architecture(weights), data.facts.shape, classes)
            count = AttackEntry.of(by).blocks(by, images, work)
        return self._in_blocks(settings, inputs, f"evaluate {label}{under} on {part.base}", images, each, count, found)

    def _in_blocks(
        self,
        settings: tuple[Any, ...],
        inputs: Mapping[str, Key],
        label: str,
        images: int,
        each: Passes,
        count: int,
        network: Piece | None,
    ) -> Key:
        """Add an evaluation of so many images, each at this cost; and of more blocks than one, the steps of these.

        Once these are there, nothing is left for its own step to put through a network.
        """
        attack, whole = settings[0], self._measures(*settings)
        if count == 1:
            key = self._add(whole, inputs, label, each.times(images))
            self._keep_pieces(key, network, attack, images)
            return key
        place = id(whole), tuple(inputs.items())
        if place not in self._divided:
            roles, made = tuple(sorted(inputs.items())), dict(inputs)
            for block in self._blocks(count):
                called, passes = f"{label}, block {block.index + 1} of {count}", each.times(blocks.size(images, block))
                step = Step(self._measures(*settings, block), roles)
                made[f"{steps.BLOCK}{block.index}"] = key = self._keep(step, called, passes)
                self._keep_pieces(key, network, attack, blocks.size(images, block), -(-images // count))
            self._divided[place] = self._add(whole, made, label)
        return self._divided[place]

    def _network_piece(self, model: steps.CatalogCall, data: Dataset) -> Piece | None:
        place = id(model), id(data)
        if place not in self._networks:
            self._networks[place] = pieces.network_piece(model, data)
        return self._networks[place]

    def _keep_pieces(
        self,
        key: Key,
        network: Piece | None,
        attack: steps.CatalogCall | None,
        images: int,
        of_block: int | None = None,
    ) -> None:
        """Keep the pieces of an evaluation, or of a block, of so many images."""
        if network is not None and key not in self.pieces:
            self.pieces[key] = self._evaluated(network, attack, images, of_block)

    def _asked_parts(self) -> dict[Asked, set[str | None]]:
        """Return the subsets whose images are measured of each model under each attack; None stands for all."""
        asked: dict[Asked, set[str | None]] = {}
        for measured in self.experiment.measured:
            # No image is measured for the sake of a score that is taken of what an attack makes of it.
            measures = [m for m in measured.measures.table.values() if m.score is None or not m.attacks]
            every = {(m.attacks, m.own, m.sources, part) for m in measures for part in m.parts}
            for attacks, own, sources, part in every:
                for by, source in zip_longest(attacks or (own,), sources):
                    of = measured.trained, by, source, part.dataset, part.base
                    asked.setdefault(of, set()).add(part.subset)
        return asked

    def _only_subsets(self, of: Asked, part: PartOf, at: Assignment) -> tuple[int, ...] | None:
        """Return the subsets whose images have to be measured; None if all images have to be."""
        asked = self._asked[of]
        if None in asked or part.split is None:
            return None
        names = self.experiment.splits[part.split].at(at).names
        if asked >= set(names):
            return None
        return tuple(place for place, i in enumerate(self._order(part.split, at)) if names[i] in asked)

    def _images(self, part: PartOf, subsets: tuple[int, ...], images: int, at: Assignment) -> int:
        """Return how many images some subsets have in a part; all of the part if that is known only after scoring."""
        assert part.split is not None
        split = self.experiment.splits[part.split].at(at)
        subsets = tuple(self._order(part.split, at)[place] for place in subsets)
        facts = self._dataset(part.dataset, at).facts
        if part.base == "train":
            sizes = [split.sizes[i] for i in subsets]
            return images if None in sizes else sum(size for size in sizes if size is not None)
        counts = [split.class_counts[i] for i in subsets]
        total = len(facts.classes) if facts else 0
        return images if None in counts or not total else sum(c for c in counts if c is not None) * images // total


def _part_of(train: TrainingDefinition, split: SplitDefinition, order: Sequence[int]) -> int | None:
    """Return the place of the subset that a training is on; None where it is on all, or on the only one there is."""
    if train.part is None or len(split.names) == 1:
        return None
    return order.index(split.names.index(train.part))


def _at(measure: Measure, radius: Radius | None) -> Measure:
    """Return a measure at one of its radii, where it has any."""
    return measure if radius is None else replace(measure, radii=(radius,))


@dataclass(frozen=True)
class _MeasureSteps:
    """The steps behind a measure of `trained`, at one point and on one part, for `catalog.measures.Planner`."""

    expander: _Expander
    trained: str
    weights: Key
    epoch: int | None
    part: PartOf
    where: Part
    at: Assignment

    def evaluation(self, attack: steps.CatalogCall | None, source: PointRef | None = None) -> Key:
        return self._evaluated(attack, False, source)

    def called(self, source: PointRef) -> str:
        return self.expander._called(source, self.at)

    def own(self, measure: steps.CatalogCall) -> Key:
        return self._evaluated(measure, True, None)

    def _evaluated(self, by: steps.CatalogCall | None, own: bool, source: PointRef | None) -> Key:
        place = self.part, self.where, self.trained, self.at
        return self.expander._evaluate(self.weights, self.epoch, by, own, source, *place)

    def score(self, name: str, attack: steps.CatalogCall | None = None, own: steps.CatalogCall | None = None) -> Key:
        source = RankingSource("", name, PointRef(self.trained, epoch=self.epoch), attack, own)
        return self.expander._scores(source, self.part.dataset, self.at, self.part.base)
