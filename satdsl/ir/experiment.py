"""Define the experiment that a specification describes: every name is resolved, every type and size is known.

A definition that depends on sweep axes is a `SweepTable`: one instance per combination of those axes' values. Instances
refer to each other by name and point; `satdsl.plan.expand` turns them into steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, Literal, TypeVar

from satdsl.findings import Finding, Source
from satdsl.ir.plan import Claim, Display, GivenLabel, Published
from satdsl.ir.steps import (
    Attacks,
    CatalogCall,
    Holdout,
    Loss,
    Phase,
    Pretrained,
    Selection,
    Subset,
    Weight,
    attacks_in,
)
from satdsl.records import Record, record

T = TypeVar("T")

PSEUDO_AXES = ("class", "part")
"""The axes that a result by class, or on several parts, has beside those of the sweep, and a plan has no values for."""

EPOCH = "epoch"
"""The axis that a result over the epochs of a training has."""

RADIUS = "eps"
"""The axis that a robust accuracy at several radii has."""

RESULT_AXES = (*PSEUDO_AXES, EPOCH, RADIUS)
"""All axes that results have beside those of the sweep."""

Assignment = Mapping[str, str]
"""The label of each sweep axis's value."""


@record
class SweepTable(Record, Generic[T]):
    """The meaning of `name` at every combination of the values of `axes`, keyed by their labels."""

    name: str
    axes: tuple[str, ...]
    table: Mapping[tuple[str, ...], T]

    def at(self, point: Assignment) -> T:
        return self.table[tuple(point[axis] for axis in self.axes)]

    def instances(self) -> Iterator[tuple[dict[str, str], T]]:
        for labels, value in self.table.items():
            yield dict(zip(self.axes, labels, strict=True)), value


@record
class DatasetFacts(Record):
    """The facts that the compiler needs about a data set before the data set is loaded.

    `train` and `val` are totals; the counts are per class, None where unknown.
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    train: int
    val: int
    train_counts: tuple[int, ...] | None
    val_counts: tuple[int, ...] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]


@record
class Dataset(Record):
    """A data set as one specification uses it.

    `source` has what changes the images; `facts` (None until the data are there) hold after `limit`, and `train`,
    `val` and `selection` are the images left for training, for reporting and for checkpoint selection.
    """

    source: CatalogCall
    augment: tuple[CatalogCall, ...]
    holdout: Holdout | None
    root: str | None
    facts: DatasetFacts | None
    whole: int | None = None
    """The training images before `limit` and hold-out: dataset indices are smaller."""
    train_counts: tuple[int, ...] | None = None
    train: int | None = None
    val: int | None = None
    selection: int = 0
    selection_counts: tuple[int, ...] | None = None
    parts: tuple[str, ...] = ()
    """The names of the data sets that it is joined from."""
    first_train: int | None = None
    """Where it is joined, the training images of the first of them."""

    def held_out_of(self, part: str) -> Holdout | None:
        """Return the hold-out where it is taken from `part` (`val` or `train`), else None."""
        return self.holdout if self.holdout is not None and self.holdout.source == part else None


@record
class PointRef(Record):
    """A trained model at a point: its axes take their values from where it is used, but for those in `fixed`."""

    name: str
    fixed: tuple[tuple[str, str], ...] = ()
    epoch: int | None = None
    """After how many epochs its weights are taken; None for those that the training leaves."""


@record
class RankingSource(Record):
    """The source of input role `role` of a split: a score of a trained model, of the images that `attack` makes."""

    role: str
    score: str
    model: PointRef
    attack: CatalogCall | None = None
    own: CatalogCall | None = None
    """The call of a score of the user's own."""


@record
class SplitDefinition(Record):
    """A partition of a training set: its subsets, in the order of the file.

    Sizes and class sets are None where they are known only after scoring. `class_counts` has the number of classes of
    each subset, for splits by whole classes. `order` has the names as the file lists them.
    """

    dataset: str
    names: tuple[str, ...]
    subsets: tuple[Subset, ...]
    sizes: tuple[int | None, ...]
    classes: tuple[tuple[int, ...] | None, ...]
    class_counts: tuple[int | None, ...]
    weights: tuple[Weight, ...]
    rankings: tuple[RankingSource, ...]
    by_class: bool
    every: int | None = None
    """The number of epochs after which a training that uses it picks some subsets anew; None where all stay."""
    shares: tuple[float | None, ...] = ()
    """How much of every batch is of each subset, None where that follows from its size; empty where none is given."""

    @property
    def shared(self) -> bool:
        """Whether some subset has a share of every batch."""
        return bool(self.shares)

    def epoch_images(self, data: Dataset) -> int | None:
        """Return how many images an epoch of a training on it has, None where it has all that are trained on.

        Where subsets share batches, it has as many as the data set has training images; of joined data sets as many as
        the first one, as in the released code of Carmon et al. (2019; `robust_self_training.py`: an epoch is "a pass
        through 50K datapoints") and its successors (`dataset_size` in wzekai99/DM-Improves-AT, `core/data/semisup.py`):
        400 epochs of CIFAR-10 with a million generated images are 400 times 50,000 images.
        """
        return data.first_train if self.shared else None


@record
class TrainingDefinition(Record):
    """A training. `attacks` and `losses` follow the split's subsets (a single one where there is no split).

    A loss of None is the cross-entropy. `mean` and `std` are those that the `pretrained` weights were trained with;
    None where they are the data set's.
    """

    model: CatalogCall
    recipe: CatalogCall
    dataset: str
    split: str | None
    attacks: tuple[Attacks | None, ...]
    losses: tuple[Loss | None, ...]
    select: Selection | None
    snapshots: tuple[int, ...]
    keep_weights: tuple[int, ...]
    seed: int
    start: PointRef | None
    pretrained: Pretrained | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    part: str | None = None
    """The subset whose images alone are trained on; None: all."""
    head: CatalogCall | None = None
    """Of a transfer that trains the whole network of `start`: its new last layer. `mean` and `std` are then given."""
    repicked: bool = False
    """Whether it picks subsets of its split anew."""
    changes: tuple[tuple[Phase, ...], ...] = ()
    """Of each subset, how it is trained from later epochs on; `attacks` and `losses` are those of the first one."""

    teachers: tuple[PointRef, ...] = ()
    """The other networks that losses ask, by the numbers that they have in formulas."""

    @property
    def choices(self) -> tuple[Attacks | None, ...]:
        """Return what attacks the subsets, in all epochs."""
        return *self.attacks, *(phase.attack for phases in self.changes for phase in phases)

    @property
    def every_attack(self) -> tuple[CatalogCall, ...]:
        """Return the attacks on all subsets, in all epochs."""
        return tuple(attack for choice in self.choices for attack in attacks_in(choice))


@record
class TransferDefinition(Record):
    """A new head on frozen features."""

    source: PointRef
    dataset: str
    recipe: CatalogCall
    head: CatalogCall
    seed: int


@record
class PartOf(Record):
    """`val`, `train`, or a subset's share of either, of a data set."""

    name: str
    base: Literal["val", "train"]
    dataset: str
    split: str | None = None
    subset: str | None = None


@record
class Moment(Record):
    """When in a training a model is measured.

    `shown` is the place on the axis `epoch`, None where there is no such axis; `weights` the number of epochs after
    which the weights were kept that are read, None for those that the training leaves.
    """

    shown: int | None = None
    weights: int | None = None


@record
class Radius(Record):
    """A radius at which a robust accuracy is read off distances; `label` is its place on the axis `eps`, if any."""

    eps: float
    label: str | None


@record
class Measure(Record):
    """One measure of a trained model, at one combination of its axes, on each of `parts` and at each of `moments`.

    `kind` is the catalog's name (`robust accuracy`).
    """

    kind: str
    parts: tuple[PartOf, ...]
    attacks: tuple[CatalogCall, ...] = ()
    score: str | None = None
    moments: tuple[Moment, ...] = (Moment(),)
    sources: tuple[PointRef | None, ...] = ()
    """The network that the images of each attack are made on, None for the one that is measured; none where it is
    always that one."""
    own_score: CatalogCall | None = None
    """The call of a score of the user's own."""
    own: CatalogCall | None = None
    """The call of a measure of the user's own, which `kind` is the name of."""
    radii: tuple[Radius, ...] = ()


@record
class Measurement(Record):
    """A measurement that the file names, such as `sat.robust`, with its measure at each point."""

    trained: str
    name: str
    measures: SweepTable[Measure]
    by_class: bool
    file: str = ""
    line: int = 0
    """Where it is asked for."""
    rows: tuple[str, ...] = ()
    """The axes among those of `measures` that only name its rows: nothing that is measured uses them."""

    @property
    def full_name(self) -> str:
        return f"{self.trained}.{self.name}"


@record
class AxisFacts(Record):
    """A sweep axis, with the labels of its values in order."""

    name: str
    labels: tuple[str, ...]


@record
class Experiment(Record):
    """Everything that a specification says."""

    title: str
    sources: tuple[Source, ...]
    axes: tuple[AxisFacts, ...]
    datasets: Mapping[str, SweepTable[Dataset]]
    splits: Mapping[str, SweepTable[SplitDefinition]]
    trainings: Mapping[str, SweepTable[TrainingDefinition]]
    transfers: Mapping[str, SweepTable[TransferDefinition]]
    measured: tuple[Measurement, ...]
    displays: tuple[Display, ...]
    claims: tuple[Claim, ...]
    published: tuple[Published, ...] = ()
    given_labels: tuple[GivenLabel, ...] = ()
    conditional: frozenset[str] = frozenset()
    """Axes whose values depend on other axes (`draw = 0..9 if $order == random else 0`)."""
    warnings: tuple[Finding, ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()
    """The values that were given with `--set`, by name."""
