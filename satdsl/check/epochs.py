"""Read what a line says of epochs: after which of them something happens, and which weights are meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from satdsl.check.collector import FindingCollector
from satdsl.check.subsets import whole_number
from satdsl.check.values import Environment
from satdsl.ir.experiment import (
    Measurement,
    Moment,
    PointRef,
    SplitDefinition,
    SweepTable,
    TrainingDefinition,
    TransferDefinition,
)
from satdsl.syntax import tree


def multiples(every: tree.EveryEpochs, epochs: int, at: Environment, findings: FindingCollector) -> tuple[int, ...]:
    """Return the epochs that `every 5 epochs` means in a training of `epochs`."""
    step = 1 if every.epochs is None else whole_number(every.epochs, at, findings, "a number of epochs")
    if not 1 <= step <= epochs:
        message = f"`every {step} epochs` is never reached in a training of {epochs} epochs"
        findings.reject("E304", every, message, help=f"write a number from 1 to {epochs}")
    return tuple(range(step, epochs + 1, step))


def moments(
    when: tree.AtEnd | tree.EveryEpochs | None,
    name: str,
    model: TrainingDefinition | TransferDefinition,
    at: Environment,
    findings: FindingCollector,
) -> tuple[Moment, ...]:
    """Return when the training `name` is measured; of `every 10 epochs`, the last epoch is always one."""
    if when is None:
        return (Moment(),)
    epochs = _epochs_of(when, name, model, findings)
    if isinstance(when, tree.AtEnd):
        return (Moment(weights=weights_after(model, epochs)),)
    numbers = sorted({*multiples(when, epochs, at, findings), epochs})
    return tuple(Moment(number, weights_after(model, number)) for number in numbers)


def weights_after(model: TrainingDefinition | TransferDefinition, number: int) -> int | None:
    """Return which weights a training has after an epoch, None for those that it leaves.

    A training that selects none leaves those of its last epoch.
    """
    selects = isinstance(model, TrainingDefinition) and model.select is not None
    return number if selects or number != model.recipe["epochs"] else None


def epoch_of(
    selector: tree.Selector,
    name: str,
    model: TrainingDefinition | TransferDefinition,
    at: Environment,
    findings: FindingCollector,
) -> int | None:
    """Return the weights that `sat[epoch=20]` means, None for those that the training leaves."""
    epochs = _epochs_of(selector, name, model, findings)
    number = whole_number(selector.value, at, findings, "a number of epochs")
    if not 1 <= number <= epochs:
        message = f"`{name}` has no epoch {number}: it is trained for {epochs} epochs"
        findings.reject("E721", selector, message, help=f"write a number from 1 to {epochs}")
    return weights_after(model, number)


def _epochs_of(
    node: tree.Node, name: str, model: TrainingDefinition | TransferDefinition, findings: FindingCollector
) -> int:
    """Return how many epochs a training has; reject one that keeps no weights of its epochs."""
    if isinstance(model, TransferDefinition):
        findings.reject(
            "E719",
            node,
            f"`{name}` is a transfer, and keeps the weights of its last epoch only",
            "the epochs of a training are those of its whole network",
            "leave this out, or measure the training that it starts from",
        )
    epochs: int = model.recipe["epochs"]
    if epochs == 0:
        findings.reject(
            "E719",
            node,
            f"`{name}` is trained for 0 epochs, so it has no weights but those that are given",
            help="leave this out, or train at least one epoch",
        )
    return epochs


# --- which weights a training keeps because something reads them ------------------------------------


def with_kept_weights(
    trainings: Mapping[str, SweepTable[TrainingDefinition]],
    transfers: Mapping[str, SweepTable[TransferDefinition]],
    splits: Mapping[str, SweepTable[SplitDefinition]],
    measured: Iterable[Measurement],
) -> dict[str, SweepTable[TrainingDefinition]]:
    """Return the trainings, each of which keeps the weights that a measure or another training reads of its epochs.

    What of its epochs is read at one point of the sweep it keeps at that point, and at no other.
    """
    asked: dict[tuple[str, tuple[str, ...]], set[int]] = {}

    def ask(reference: PointRef, at: Mapping[str, str]) -> None:
        family = trainings.get(reference.name)
        if reference.epoch is not None and family is not None:
            there = {**at, **dict(reference.fixed)}
            asked.setdefault((reference.name, tuple(there[axis] for axis in family.axes)), set()).add(reference.epoch)

    for one in measured:
        for at, measure in one.measures.instances():
            for moment in measure.moments:
                ask(PointRef(one.trained, epoch=moment.weights), at)
            for source in filter(None, measure.sources):
                ask(source, at)
    for trained in trainings.values():
        for at, training in trained.instances():
            if training.start is not None:
                ask(training.start, at)
    for moved in transfers.values():
        for at, transfer in moved.instances():
            ask(transfer.source, at)
    for family in splits.values():
        for at, split in family.instances():
            for ranking in split.rankings:
                ask(ranking.model, at)
    names = {name for name, _ in asked}
    return {name: _keeping(name, family, asked) if name in names else family for name, family in trainings.items()}


def _keeping(
    name: str, family: SweepTable[TrainingDefinition], asked: Mapping[tuple[str, tuple[str, ...]], set[int]]
) -> SweepTable[TrainingDefinition]:
    """Return a training that keeps what is asked of it; points that shared an instance share the new one."""
    made: dict[tuple[int, tuple[int, ...]], TrainingDefinition] = {}
    table = {}
    for labels, training in family.table.items():
        epochs = tuple(sorted({*training.keep_weights, *asked.get((name, labels), ())}))
        if epochs != training.keep_weights:
            training = made.setdefault((id(training), epochs), replace(training, keep_weights=epochs))
        table[labels] = training
    return SweepTable(family.name, family.axes, table)
