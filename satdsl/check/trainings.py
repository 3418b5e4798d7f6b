"""`train` and `transfer` statements to what is trained, on what, attacked with what, and selected how."""

from __future__ import annotations

from collections.abc import Container
from typing import TypeVar

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.losses import LossEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.schedules import ScheduleEntry
from satdsl.check import checkpoints, science
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.datasets import channels_fit, sizes_fit
from satdsl.check.fixes import remove_repeated
from satdsl.check.resolve import Resolver
from satdsl.check.subsets import whole_number
from satdsl.check.values import Environment, Word, evaluate
from satdsl.hints import did_you_mean
from satdsl.ir.experiment import Dataset, PointRef, Split, Train, Transfer
from satdsl.ir.steps import CatalogCall, Selection
from satdsl.syntax import tree

T = TypeVar("T")


def train(resolver: Resolver, statement: tree.Train, at: Environment, labels: dict[str, str]) -> Train:
    model: CatalogCall = resolver.definition(resolver.lookup(statement.model, at, "model")).at(labels)
    recipe: CatalogCall = resolver.definition(resolver.lookup(statement.recipe, at, "recipe")).at(labels)
    on = resolver.lookup(statement.data, at, "dataset", "split")
    split: Split | None = (
        resolver.definition(on).at(labels) if isinstance(resolver.scope.statements[on], tree.Split) else None
    )
    data_name = split.dataset if split is not None else on
    data: Dataset = resolver.definition(data_name).at(labels)
    lines = _Lines(statement.lines)
    epochs = recipe["epochs"]
    start = lines.single(tree.StartLine, resolver.findings)
    seed = lines.single(tree.SeedLine, resolver.findings)
    select = lines.single(tree.SelectLine, resolver.findings)
    checkpoints.weights_come_from_one_place(statement, start, model, resolver.findings)
    checkpoints.normalisation_fits(statement.model, model, data, resolver.findings)
    has_weights = start is not None or ModelEntry.of(model).from_file
    checkpoints.nothing_is_trained(statement, epochs, has_weights, lines.of_epochs, resolver.findings)
    snapshots = _every(resolver, lines.snapshots, epochs, at)
    parts = _Parts(resolver, split, on, at, statement.lines)
    attacks = _attacks(resolver, lines.attacks, parts, data, labels)
    if select is not None:
        _selects_by_what(resolver, select, attacks)
    return Train(
        model=model.get("arch", model),
        recipe=recipe,
        dataset=data_name,
        split=on if split is not None else None,
        attacks=attacks,
        losses=_losses(resolver, lines.losses, parts, attacks),
        select=_selection(resolver, select, recipe, data, at, labels) if select is not None else None,
        snapshots=snapshots,
        keep_weights=_every(resolver, lines.weights, epochs, at),
        seed=whole_number(seed.value, at, resolver.findings, "a seed") if seed is not None else 0,
        start=_start(resolver, start, model, data, at, labels) if start is not None else None,
        pretrained=model.get("file"),
        mean=model.get("mean"),
        std=model.get("std"),
    )


def _start(
    resolver: Resolver, line: tree.StartLine, model: CatalogCall, data: Dataset, at: Environment, labels: dict[str, str]
) -> PointRef:
    """The training or transfer to start from, whose weights are those of the same network."""
    reference, started = resolver.point(line.model, at, labels, "train", "transfer")
    there = labels | dict(reference.fixed)
    ends_in: Dataset = resolver.definition(started.dataset).at(there)
    head, body, seen = None, started, ends_in
    if isinstance(started, Transfer):
        there |= dict(started.source.fixed)
        head, body = started.head, resolver.definition(started.source.name).at(there)
        seen = resolver.definition(body.dataset).at(there)
    if data.facts is not None and ends_in.facts is not None and seen.facts is not None:
        (taken, *_), (given, *_) = seen.facts.shape, data.facts.shape
        checkpoints.start_fits(
            line,
            checkpoints.Weights(body.model, taken, len(ends_in.facts.classes), head),
            checkpoints.Weights(model.get("arch", model), given, len(data.facts.classes)),
            resolver.findings,
        )
    return reference


class _Parts:
    """What a training's lines can speak of: the subsets of its split `on`, or `all` of a data set `on`."""

    def __init__(
        self, resolver: Resolver, split: Split | None, on: str, at: Environment, lines: tuple[tree.Node, ...]
    ) -> None:
        self.resolver, self.split, self.on, self.at, self.lines = resolver, split, on, at, lines
        self.names = split.names if split is not None else ("all",)

    def of(self, line: tree.AttackLine | tree.LossLine, taken: Container[str]) -> tuple[str, ...]:
        """The subsets that a line is about, none of which another line has `taken`."""
        value = evaluate(line.subset, self.at, self.resolver.findings)
        name = value.text if isinstance(value, Word) else line.subset.span.text
        meant = self.names if name == "all" and "all" not in self.names else (name,)
        for subset in meant:
            if subset not in self.names:
                self._no_such_subset(line, name)
            if subset in taken:
                done = "is already attacked" if isinstance(line, tree.AttackLine) else "already has a loss"
                help = remove_repeated(line, self.lines, "keep one of the lines")
                self.resolver.findings.reject("E201", line, f"`{subset}` {done}", help=help)
        return meant

    def _no_such_subset(self, line: tree.AttackLine | tree.LossLine, name: str) -> None:
        findings, on, split = self.resolver.findings, self.on, self.split
        if split is None:
            word = "attack" if isinstance(line, tree.AttackLine) else "loss"
            help = f"split it first (`split s of {on} {{ {name} = ...; B = rest }}`), or `{word} all`"
            findings.error("E206", line.subset, f"`{on}` is not split, it has no subset `{name}`", help=help)
        elif on not in self.resolver.scope.broken:
            meant = did_you_mean(name, split.names, line.subset.span) or f"its subsets are {', '.join(split.names)}"
            findings.error("E206", line.subset, f"split `{on}` has no subset `{name}`", help=meant)
        raise Rejected


def _attacks(
    resolver: Resolver, lines: list[tree.AttackLine], parts: _Parts, data: Dataset, labels: dict[str, str]
) -> tuple[CatalogCall | None, ...]:
    chosen: dict[str, CatalogCall | None] = {}
    for line in lines:
        attack: CatalogCall = resolver.definition(resolver.lookup(line.attack, parts.at, "attack")).at(labels)
        for subset in parts.of(line, chosen):
            science.trained_with(line.attack, attack, resolver.findings)
            science.radius_fits_images(line.attack, attack, data, resolver.findings)
            chosen[subset] = None if AttackEntry.of(attack).clean else attack
    if lines:
        fast = [name for name, attack in chosen.items() if attack is not None and AttackEntry.of(attack).single_step]
        share = _attacked_share(fast, parts.split, data)
        for line, used in zip(lines, chosen.values(), strict=False):
            science.small_share(line.attack, used, share, resolver.findings)
    return tuple(chosen.get(name) for name in parts.names)


def _losses(
    resolver: Resolver, lines: list[tree.LossLine], parts: _Parts, attacks: tuple[CatalogCall | None, ...]
) -> tuple[CatalogCall | None, ...]:
    """Each subset's loss; the cross-entropy is None, so that writing it changes nothing."""
    chosen: dict[str, CatalogCall | None] = {}
    for line in lines:
        loss = resolver.settings.named(line.value, ("loss",), parts.at)
        for subset in parts.of(line, chosen):
            science.loss_fits_attack(line, loss, subset, attacks[parts.names.index(subset)], resolver.findings)
            chosen[subset] = None if LossEntry.of(loss).plain else loss
    return tuple(chosen.get(name) for name in parts.names)


def _attacked_share(attacked: list[str], split: Split | None, data: Dataset) -> float | None:
    """The share of the training set that is attacked, None where a size is not known yet."""
    if split is None:
        return 1.0
    sizes = [split.sizes[split.names.index(name)] for name in attacked]
    return None if None in sizes or not data.train else sum(size for size in sizes if size) / data.train


def _every(resolver: Resolver, line: tree.KeepLine | None, epochs: int, at: Environment) -> tuple[int, ...]:
    if line is None:
        return ()
    return _epochs(resolver, line.every, epochs, at)


def _epochs(resolver: Resolver, every: tree.EveryEpochs, epochs: int, at: Environment) -> tuple[int, ...]:
    node = every.epochs
    step = 1 if node is None else whole_number(node, at, resolver.findings, "a number of epochs")
    if not 1 <= step <= epochs:
        resolver.findings.reject(
            "E304",
            every,
            f"every {step} epochs never comes in a training of {epochs} epochs",
            help=f"write a number from 1 to {epochs}",
        )
    return tuple(range(step, epochs + 1, step))


def _selection(
    resolver: Resolver,
    line: tree.SelectLine,
    recipe: CatalogCall,
    data: Dataset,
    at: Environment,
    labels: dict[str, str],
) -> Selection:
    if data.holdout is None or data.selection == 0:
        name, holdout = _dataset_name(resolver, data), "holdout=10%" if data.holdout is None else "holdout=50%"
        help = resolver.in_dataset(name, holdout, f"give `dataset {name}` a `{holdout}`", line)
        resolver.findings.reject(
            "E501",
            line,
            "selection needs a hold-out, and this data set has none"
            if data.holdout is None
            else "the hold-out is empty: no class has enough images for it",
            "it would choose the checkpoint on the examples that it reports",
            help,
        )
    if line.measure is not None and not MeasureEntry.of_node(line.measure).selects:
        resolver.findings.reject(
            "E502",
            line.measure,
            "checkpoints are selected by accuracy",
            help="write `select by robust accuracy under aa`",
        )
    attacks = _selecting_attacks(resolver, line, data, at, labels)
    epochs = recipe["epochs"]
    if isinstance(line.when, tree.AtEnd):
        return Selection(attacks, (epochs,))
    if isinstance(line.when, tree.EveryEpochs):
        return Selection(attacks, tuple(sorted({*_epochs(resolver, line.when, epochs, at), epochs})))
    schedule: CatalogCall = recipe["schedule"]
    drops = ScheduleEntry.of(schedule).drops
    if drops is None:
        resolver.findings.reject(
            "E502",
            line,
            f"schedule `{schedule.name}` has no drops of the learning rate to select after",
            "`select` alone means after each drop and at the end",
            "say when: `select ... every 5 epochs`, or `at end`",
        )
    return Selection(attacks, tuple(sorted({*(drop + 1 for drop in drops(schedule) if drop < epochs), epochs})))


def _selects_by_what(resolver: Resolver, line: tree.SelectLine, attacks: tuple[CatalogCall | None, ...]) -> None:
    """`select` alone on an attacked training: the paper's rule is robust accuracy, but under what?"""
    if line.measure is None and any(attack is not None for attack in attacks):
        resolver.findings.warn(
            "E509",
            line,
            "this adversarial training is selected by clean accuracy",
            "the checkpoint with the best clean accuracy is rarely the most robust one",
            "write `select by robust accuracy under` an attack, or `select by clean accuracy` if it is meant",
        )


def _selecting_attacks(
    resolver: Resolver, line: tree.SelectLine, data: Dataset, at: Environment, labels: dict[str, str]
) -> tuple[CatalogCall, ...]:
    if line.measure is None:
        return ()
    attacks = measuring_attacks(resolver, line.measure, data, at, labels)
    return tuple(attack for attack in attacks if not AttackEntry.of(attack).clean)


def measuring_attacks(
    resolver: Resolver, measure: tree.Measure, data: Dataset, at: Environment, labels: dict[str, str]
) -> tuple[CatalogCall, ...]:
    """Return the attacks of a measure, checked against the data that they attack."""
    attacks = []
    for word in MeasureEntry.of_node(measure).attacks(measure):
        attack: CatalogCall = resolver.definition(resolver.lookup(word, at, "attack")).at(labels)
        science.radius_fits_images(word, attack, data, resolver.findings)
        science.attack_fits_data(word, attack, data, resolver.findings)
        attacks.append(attack)
    return tuple(attacks)


def _dataset_name(resolver: Resolver, data: Dataset) -> str:
    for name in resolver.scope.names("dataset"):
        table = resolver._definitions.get(name)
        if table is not None and any(instance is data for instance in table.table.values()):
            return name
    return "..."


def transfer(resolver: Resolver, statement: tree.Transfer, at: Environment, labels: dict[str, str]) -> Transfer:
    source, model = resolver.point(statement.source, at, labels, "train")
    target = resolver.lookup(statement.target, at, "dataset")
    recipe: CatalogCall = resolver.definition(resolver.lookup(statement.recipe, at, "recipe")).at(labels)
    data: Dataset = resolver.definition(target).at(labels)
    trained: Dataset = resolver.definition(model.dataset).at(labels | dict(source.fixed))
    _images_fit(resolver, statement.target, trained, data, model.dataset, target)
    if recipe["epochs"] == 0:
        resolver.findings.reject(
            "E513",
            statement.recipe,
            f"`{statement.recipe.span.text}` trains for 0 epochs, so the new head would be random",
            help="train at least one epoch",
        )
    lines = _Lines(statement.lines)
    head = lines.single(tree.HeadLine, resolver.findings)
    seed = lines.single(tree.SeedLine, resolver.findings)
    node = head.value if head is not None else tree.Name(statement.span, "linear")
    return Transfer(
        source=source,
        dataset=target,
        recipe=recipe,
        head=resolver.settings.named(node, ("head",), at),
        seed=whole_number(seed.value, at, resolver.findings, "a seed") if seed is not None else 0,
    )


def _images_fit(
    resolver: Resolver, at: tree.Node, source: Dataset, target: Dataset, source_name: str, target_name: str
) -> None:
    if source.facts is None or target.facts is None:
        return
    (channels, *size), (target_channels, *target_size) = source.facts.shape, target.facts.shape
    if not channels_fit(source.facts.shape, target.facts.shape):
        resolver.findings.reject(
            "E506",
            at,
            f"`{source_name}` has {channels} channel{'s' * (channels > 1)}, `{target_name}` has {target_channels}",
            "fixed features read images with the channels they were trained on; "
            "a grey channel can be repeated for them, colours cannot be made grey",
            "transfer to grey images, or from a network trained on colour images",
        )
    if not sizes_fit(source.facts.shape, target.facts.shape):
        resolver.findings.reject(
            "E506",
            at,
            f"`{source_name}` has {size[0]} x {size[1]} pixels, "
            f"`{target_name}` has {target_size[0]} x {target_size[1]}",
            "fixed features read images of the size they were trained on",
            resolver.in_dataset(
                target_name, f"resize={size[0]}", f"add `resize={size[0]}` to `dataset {target_name}`", at
            ),
        )


class _Lines:
    """A training's lines, sorted by what they say."""

    def __init__(self, lines: tuple[tree.Node, ...]) -> None:
        self.lines = lines
        self.attacks = [line for line in lines if isinstance(line, tree.AttackLine)]
        self.losses = [line for line in lines if isinstance(line, tree.LossLine)]
        kept = {line.what: line for line in lines if isinstance(line, tree.KeepLine)}
        self.snapshots, self.weights = kept.get("snapshots"), kept.get("weights")

    @property
    def of_epochs(self) -> list[tree.Node]:
        """The lines about what happens while epochs are trained."""
        return [line for line in self.lines if not isinstance(line, (tree.SeedLine, tree.StartLine))]

    def single(self, kind: type[T], findings: FindingCollector) -> T | None:
        """The line of a kind; a second one is a finding."""
        found = [line for line in self.lines if isinstance(line, kind)]
        for line in found[1:]:
            assert isinstance(line, tree.Node)
            help = remove_repeated(line, self.lines, "keep one of the lines")
            findings.error("E201", line, "this is said twice", help=help)
        return found[0] if found else None
