"""Define the plan of an experiment: its steps, and the results, displays and claims that are read from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal

from satdsl.ir.steps import CatalogCall, Evaluate, Key, PluginCode, Score, Step, plugins_in
from satdsl.records import Record, record

Point = tuple[tuple[str, str], ...]
"""A place in the sweep: (axis, label of its value) for each axis that matters, in the order of declaration."""


@record
class Part(Record):
    """The images that a number is taken over: `val`, `train`, or a subset's share of either.

    For `A_val` the images are those whose class belongs to subset `subset` of `split`; for `A_train` those whose
    dataset index does. `name` is what the file calls it (`val`, `A_val`, `svhn.val`).
    """

    name: str
    base: Literal["val", "train"]
    data: Key
    split: Key | None = None
    subset: int | None = None


Unit = Literal["share", "score", "distance"]
"""What a number is: a share in [0, 1], a difficulty score in its own unit, or a norm of images in [0, 1]."""


@record
class Accuracy(Record):
    """The share of images that are right in every one of these evaluations: the worst case over the attacks.

    `attacks` are those of the evaluations, in the same order; empty for the accuracy without attack. At a `radius` an
    image is right if the nearest adversarial image that they found lies beyond it.
    """

    unit: ClassVar[Unit] = "share"
    evaluations: tuple[Key, ...]
    attacks: tuple[CatalogCall, ...] = ()
    made_on: tuple[str, ...] = ()
    """What the file calls the network that the images of each attack are made on: empty for the one that is measured.
    There are none where it is always that one."""
    radius: float | None = None

    @property
    def steps(self) -> tuple[Key, ...]:
        """Return the steps whose artifacts have the numbers."""
        return self.evaluations

    @property
    def words(self) -> str:
        """Return what tables and plots call it."""
        return "robust accuracy" if self.attacks else "clean accuracy"


@record
class MeanScore(Record):
    """The mean of a difficulty score over images, which step `of` has: as they are, or as an attack makes them."""

    unit: ClassVar[Unit] = "score"
    evaluations: ClassVar[tuple[Key, ...]] = ()
    made_on: ClassVar[tuple[str, ...]] = ()
    score: str
    of: Key
    attacks: tuple[CatalogCall, ...] = ()

    @property
    def steps(self) -> tuple[Key, ...]:
        return (self.of,)

    @property
    def words(self) -> str:
        return f"mean {self.score}"


@record
class Distance(Record):
    """How far the nearest adversarial image is that any of these evaluations found, over the images.

    It is 0 for an image that is wrong without attack, and infinite for one of which none was found.
    """

    unit: ClassVar[Unit] = "distance"
    made_on: ClassVar[tuple[str, ...]] = ()
    evaluations: tuple[Key, ...]
    attacks: tuple[CatalogCall, ...]
    statistic: Literal["median", "mean"]

    @property
    def steps(self) -> tuple[Key, ...]:
        return self.evaluations

    @property
    def words(self) -> str:
        return f"{self.statistic} distance"


@record
class OwnMean(Record):
    """The mean of what a function of the user's own returns for each image, which step `of` has."""

    evaluations: ClassVar[tuple[Key, ...]] = ()
    attacks: ClassVar[tuple[CatalogCall, ...]] = ()
    made_on: ClassVar[tuple[str, ...]] = ()
    name: str
    of: Key
    share: bool

    @property
    def unit(self) -> Unit:
        """Return what the number is: a share where each image has a truth value."""
        return "share" if self.share else "score"

    @property
    def steps(self) -> tuple[Key, ...]:
        return (self.of,)

    @property
    def words(self) -> str:
        return self.name


ResultMeasure = Accuracy | MeanScore | Distance | OwnMean
"""How a result is read from the artifacts of steps."""


@record
class Result(Record):
    """A named number, such as `sat.robust` at one point, or one number for each class.

    `axes` of a result that has several parts or is taken by class get the further entries `part` and `class`.
    """

    name: str
    point: Point
    measure: ResultMeasure
    part: Part
    by_class: bool = False
    class_names: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    """Where the file asks for it."""
    rows: tuple[str, ...] = ()
    """The axes in `point` that only name its row: results that differ in nothing else are one."""

    def row_of(self, point: Point) -> Point:
        """Return one of its points without the axes that only name its row."""
        return tuple(item for item in point if item[0] not in self.rows) if self.rows else point


@record
class Selected(Record):
    """The results named `name` whose point agrees with `at`."""

    name: str
    at: Point = ()


@record
class Number(Record):
    value: float


@record
class Arithmetic(Record):
    operator: Literal["+", "-", "*", "/"]
    left: Expression
    right: Expression


@record
class Reduced(Record):
    """The `mean`, `std`, `min` or `max` over all points (and classes) that `over` selects."""

    function: Literal["mean", "std", "min", "max"]
    over: Expression


Expression = Selected | Number | Arithmetic | Reduced


def mentions(*expressions: Expression) -> Iterator[Selected]:
    """Give the results that expressions ask for."""
    for expression in expressions:
        match expression:
            case Selected():
                yield expression
            case Arithmetic():
                yield from mentions(expression.left, expression.right)
            case Reduced():
                yield from mentions(expression.over)


@record
class Comparison(Record):
    operator: Literal["<", "<=", ">", ">=", "==", "!="]
    left: Expression
    right: Expression
    text: str = ""
    at: Point = ()
    """The values of the axes that `for all` goes over."""


@record
class Claim(Record):
    """A claim, `expect "text": comparison and comparison ...`, written at `line` of `file`.

    `comparisons` has those of all points that `for all` goes over; `condition` is how it is written.
    """

    text: str
    comparisons: tuple[Comparison, ...]
    file: str
    line: int
    condition: str = ""


@record
class Display(Record):
    """A `plot` or a `table`: which results, laid out along which axes.

    `kind` is the catalog's name (`line`, `bars`, `heatmap`, `rows`). `x`, `series` and `mean` name sweep axes, or
    `class` or `part`; `mean` axes are averaged away, with their standard deviation.
    """

    title: str
    kind: str
    results: tuple[Selected, ...]
    x: str | None = None
    y: str | None = None
    series: tuple[str, ...] = ()
    mean: tuple[str, ...] = ()
    baselines: tuple[Selected, ...] = ()
    file: str = ""
    line: int = 0
    """Where it stands."""


@record
class Published(Record):
    """A value that a publication gives for `result` where its point agrees with `at`: a share in [0, 1], or a score."""

    result: str
    at: Point
    value: float
    source: str = ""
    """Where it is published: `figure 6`; empty where the file does not say."""
    file: str = ""
    line: int = 0


@record
class GivenLabel(Record):
    """What people read in place of a name in tables and figures; no step knows of it.

    `kind` says what is labelled: `weights` (a training or a transfer), a `measure` (a result of whatever network), an
    `axis`, or the `value` of the axis `name`.
    """

    kind: Literal["weights", "measure", "axis", "value"]
    name: str
    text: str
    value: str = ""


@dataclass(frozen=True)
class Passes:
    """Images put through a network: forward only, and forward with backward.

    `at_most` where the number is an upper bound: AutoAttack leaves images alone once one of its attacks broke them.
    `unknown` where there is more, and nobody says how much: the passes of an attack of the user's own.
    """

    forward: float = 0
    forward_backward: float = 0
    at_most: bool = False
    unknown: bool = False

    def __add__(self, other: Passes) -> Passes:
        return Passes(
            self.forward + other.forward,
            self.forward_backward + other.forward_backward,
            self.at_most or other.at_most,
            self.unknown or other.unknown,
        )

    def __sub__(self, earlier: Passes) -> Passes:
        """Return what has come since `earlier`, an earlier count of the same."""
        return replace(
            self,
            forward=self.forward - earlier.forward,
            forward_backward=self.forward_backward - earlier.forward_backward,
        )

    def times(self, count: float) -> Passes:
        return Passes(self.forward * count, self.forward_backward * count, self.at_most, self.unknown)

    @property
    def cost(self) -> float:
        """Return the cost in forward-and-backward passes; a backward pass costs about two forward passes."""
        return self.forward_backward + self.forward / 3


@record
class Piece(Record):
    """Passes that a step makes with images of one shape, of which each takes equally long.

    `kind` says what is done: a training's batches (`train`, of which `shares` has how much each subset has of them), an
    attack (for an ensemble, one `part` of it), or a pass alone. At most `batch` images of the `images` that there are
    pass together. An attack leaves alone what is broken: `standing` counts the attacks, from 1, with what comes before
    the first; 0 where every image passes.
    """

    kind: Literal["train", "forward", "gradient", "attack"]
    model: CatalogCall
    shape: tuple[int, int, int]
    classes: int
    batch: int
    passes: Passes
    images: int
    attack: CatalogCall | None = None
    part: str = ""
    standing: int = 0
    shares: tuple[float, ...] = ()


def added(passes: Sequence[Passes]) -> Passes:
    """Return the sum of many."""
    return Passes(
        sum([one.forward for one in passes]),
        sum([one.forward_backward for one in passes]),
        any(one.at_most for one in passes),
        any(one.unknown for one in passes),
    )


@record
class SelectionCost(Record):
    """What it costs to choose the checkpoint of a training: at most, and where first attacks decide.

    `most` is what attacking all candidates to the end costs. In `first_decide` the first attack of each leaves all but
    one behind what that one ends with.
    """

    most: Passes
    first_decide: Passes


@record
class SubsetSummary(Record):
    """A subset of a split at a point: its size, its classes and its loss weight, None where not known yet."""

    name: str
    size: int | None
    classes: tuple[str, ...] | None
    class_count: int | None
    weight: float | None
    known: str = "now"
    """When the size and the weight are known: `now`, `after loading` the data, or `after scoring` them."""
    weighted_by_image: bool = False
    """Whether each image has a loss weight of its own, from a file; `weight` is None then."""
    anew: int | None = None
    """The number of epochs after which a training picks it anew; None where it stays."""
    share: float | None = None
    """How much of every batch is of it; None where no subset has a share, or where it is known only after scoring."""


@record
class SplitFacts(Record):
    """A split at a point. `subsets` are in the order of the file; the step has subset `order[i]` at place i."""

    name: str
    point: Point
    dataset: str
    key: Key
    subsets: tuple[SubsetSummary, ...]
    order: tuple[int, ...]
    """Which of `subsets` stands at each place of the step's, whose order is its own."""
    images: int = 0
    """The training images that are split."""


@record
class Variant(Record):
    """What was asked for beside the file: other values (`--set`), by name, and some of its results (`--only`)."""

    values: tuple[tuple[str, str], ...] = ()
    only: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return `with eps=0.5, only sat.robust`, or nothing."""
        values = f"with {', '.join(f'{name}={value}' for name, value in self.values)}" if self.values else ""
        return ", ".join(filter(None, (values, f"only {' and '.join(self.only)}" if self.only else "")))


@record
class Plan(Record):
    """All that is known after compiling. `steps` are in an order in which they can run."""

    title: str
    steps: Mapping[Key, Step]
    labels: Mapping[Key, str]
    """What the file calls each step: `train sat[order=hardest, share=30%]` (the first of several names)."""
    results: tuple[Result, ...] = ()
    displays: tuple[Display, ...] = ()
    claims: tuple[Claim, ...] = ()
    published: tuple[Published, ...] = ()
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Each sweep axis with its values' labels, in order."""
    passes: Mapping[Key, Passes] = field(default_factory=dict)
    """What each step costs."""
    pieces: Mapping[Key, tuple[Piece, ...]] = field(default_factory=dict)
    """What the passes of each step are, for their times."""
    attacked_whole: Mapping[Key, Passes] = field(default_factory=dict)
    """What each training would cost if it attacked every image: full adversarial training."""
    selecting: Mapping[Key, SelectionCost] = field(default_factory=dict)
    """What choosing its checkpoint costs of each training that selects under attack; it is part of `passes`."""
    splits: tuple[SplitFacts, ...] = ()
    named: Mapping[str, tuple[tuple[Point, Key], ...]] = field(default_factory=dict)
    """The steps that each training and transfer of the file stands for, point by point."""
    files: tuple[str, ...] = ()
    smoke: tuple[str, ...] = ()
    """What a smoke run has made small or left out, a sentence each; empty for the experiment as it is written."""
    given_labels: tuple[GivenLabel, ...] = ()
    variant: Variant = Variant()
    """What was asked for beside the file."""

    @cached_property
    def python(self) -> tuple[tuple[PluginCode, tuple[str, ...]], ...]:
        """Return the code of the user's own that the steps execute, each file once, with what is called of it."""
        called: dict[tuple[str, str], dict[str, PluginCode]] = {}
        for step in self.steps.values():
            for code in plugins_in(step.settings):
                called.setdefault((code.path, code.digest), {}).setdefault(code.function, code)
        return tuple((next(iter(by_name.values())), tuple(sorted(by_name))) for by_name in called.values())

    def subsets_of(self, key: Key) -> tuple[str, ...]:
        """Return the names of the subsets that the settings of a step list, in their order."""
        step = self.steps[key]
        return self._subsets.get(key if step.kind == "split" else dict(step.inputs).get("split", ""), ("all",))

    @cached_property
    def _subsets(self) -> dict[Key, tuple[str, ...]]:
        return {facts.key: tuple(facts.subsets[i].name for i in facts.order) for facts in reversed(self.splits)}

    @cached_property
    def shown(self) -> Mapping[Key, Step]:
        """Return the steps that people are shown, and that are counted: all but blocks, each part of an evaluation."""
        return {key: step for key, step in self.steps.items() if not step.is_block}

    @cached_property
    def results_named(self) -> Mapping[str, tuple[Result, ...]]:
        """Return the results by their names."""
        found: dict[str, list[Result]] = {}
        for result in self.results:
            found.setdefault(result.name, []).append(result)
        return {name: tuple(results) for name, results in found.items()}

    @cached_property
    def evaluation_of(self) -> Mapping[Key, Key]:
        """Return the evaluation that each block is part of."""
        return {block: key for key, step in self.steps.items() for block in step.blocks}

    def whole_passes(self, key: Key) -> Passes:
        """Return what a step costs, with its blocks."""
        return added([self.passes.get(one, Passes()) for one in (key, *self.steps[key].blocks)])

    def network_of(self, result: Result) -> Key:
        """Return the training or transfer whose network a result is a measure of."""
        step = self.steps[result.measure.steps[0]]
        return dict(step.inputs)["weights"] if step.kind in ("evaluate", "score") else step.key

    def epoch_of(self, result: Result) -> int | None:
        """Return the epoch after which the weights were kept that a result is measured of; None for the chosen ones."""
        settings = self.steps[result.measure.steps[0]].settings
        return settings.epoch if isinstance(settings, Evaluate | Score) else None
