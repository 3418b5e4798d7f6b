"""The syntax tree: frozen dataclasses, each with the span of text it was read from."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from satdsl.findings import Span
from satdsl.records import Record, record


@record
class Node(Record):
    span: Span = field(repr=False, compare=False)


# --- values ------------------------------------------------------------------------------------


@record
class Name(Node):
    """A name where it is declared or used; as a value, a word (`L2`, `flip`, `hardest`)."""

    text: str


@record
class Parameter(Node):
    """`$name`."""

    text: str


@record
class Number(Node):
    value: float
    """As written: 0.5, 5e-4, 15000."""

    @property
    def is_integer(self) -> bool:
        return float(self.value).is_integer()


@record
class Percent(Node):
    """`30%`, kept as the number of percents."""

    percents: float


@record
class Text(Node):
    value: str


@record
class Size(Node):
    """`|A|`."""

    subset: Name


@record
class ClassesOf(Node):
    """`classes of cifar10`."""

    dataset: Name


@record
class Selector(Node):
    """`share=50%` between brackets."""

    axis: Name
    value: Value


@record
class Reference(Node):
    """`sat.robust[order=hardest]`."""

    owner: Name
    result: Name
    selectors: tuple[Selector, ...] = ()


@record
class Argument(Node):
    name: Name | None
    value: Value


@record
class Call(Node):
    """`pgd(norm=L2, eps=0.5)`."""

    name: Name
    arguments: tuple[Argument, ...]


@record
class Negative(Node):
    operand: Value


@record
class Binary(Node):
    operator: Literal["+", "-", "*", "/"]
    left: Value
    right: Value


@record
class Range(Node):
    """`10%..90% step 10%`, both ends included."""

    start: Value
    stop: Value
    step: Value | None


@record
class Item(Node):
    """An entry of a list, with a label perhaps: `balanced: |B|/|A|`."""

    label: Name | None
    value: Value


@record
class Listing(Node):
    items: tuple[Item, ...]


@record
class Tuple(Node):
    values: tuple[Value, ...]


@record
class Comparison(Node):
    operator: str
    left: Value
    right: Value


@record
class Condition(Node):
    """Comparisons joined by `and`."""

    comparisons: tuple[Comparison, ...]


@record
class Conditional(Node):
    """`value if condition else otherwise`."""

    value: Value
    condition: Condition
    otherwise: Value


Value = (
    Name
    | Parameter
    | Number
    | Percent
    | Text
    | Size
    | ClassesOf
    | Reference
    | Call
    | Negative
    | Binary
    | Range
    | Listing
    | Tuple
    | Conditional
)
Word = Name | Parameter


@record
class PointOf(Node):
    """A trained model, at a point of the sweep perhaps: `sat[share=30%]`."""

    name: Word
    selectors: tuple[Selector, ...] = ()


# --- subsets -----------------------------------------------------------------------------------


@record
class ScoreOf(Node):
    """`snapshot-entropy of ref`."""

    score: Word
    model: PointOf


@record
class ScoresIn(Node):
    """`scores in "file.npy"`."""

    path: Text


Ranking = ScoreOf | ScoresIn


@record
class NamedSubset(Node):
    """`all`, `none`, `rest`, or another subset of the split."""

    name: Name


@record
class ClassSubset(Node):
    """`classes cat, dog`: names, numbers or parameters."""

    classes: tuple[Name | Text | Number | Parameter, ...]


@record
class PerClass(Node):
    """`per class`."""


@record
class Within(Node):
    """`of (classes cat, dog)`."""

    subset: Subset


@record
class WithSeed(Node):
    """`seed $draw`."""

    value: Value


Modifier = PerClass | Within | WithSeed | ScoreOf | ScoresIn


@record
class Pick(Node):
    """`hardest 30% examples by snapshot-entropy of ref`."""

    order: Word
    amount: Value
    unit: Literal["examples", "classes"]
    modifiers: tuple[Modifier, ...]


@record
class WhereSubset(Node):
    """`examples where entropy of ref > 0.5`."""

    ranking: Ranking
    operator: str
    threshold: Value


@record
class ListedSubset(Node):
    """`examples listed in "file.txt"`."""

    path: Text


@record
class CombinedSubset(Node):
    operator: Literal["+", "-", "&"]
    left: Subset
    right: Subset


Subset = NamedSubset | ClassSubset | Pick | WhereSubset | ListedSubset | CombinedSubset


# --- measures ----------------------------------------------------------------------------------


@record
class CleanAccuracy(Node):
    """`clean accuracy`."""


@record
class RobustAccuracy(Node):
    """`robust accuracy under aa, pgd7`."""

    attacks: tuple[Word, ...]


@record
class MeanScore(Node):
    """`mean snapshot-entropy`."""

    score: Word


Measure = CleanAccuracy | RobustAccuracy | MeanScore


@record
class PartName(Node):
    """`val`, `A_val`, `svhn.val`."""

    dataset: Name | None
    part: Name


@record
class Measured(Node):
    """`clean accuracy on val by class`."""

    measure: Measure
    parts: tuple[PartName, ...]
    by_class: bool


# --- lines of blocks ---------------------------------------------------------------------------


@record
class Axis(Node):
    """`share = 10%..90% step 10%`; several names move together."""

    names: tuple[Name, ...]
    value: Value


@record
class AttackLine(Node):
    subset: Word
    attack: Word


@record
class LossLine(Node):
    subset: Word
    value: Call | Word


@record
class AfterDrops(Node):
    """`after each lr drop`."""


@record
class AtEnd(Node):
    """`at end`."""


@record
class EveryEpochs(Node):
    """`every 5 epochs`; `every epoch` has None."""

    epochs: Value | None


@record
class SelectLine(Node):
    measure: Measure | None
    when: AfterDrops | AtEnd | EveryEpochs | None


@record
class KeepLine(Node):
    what: Literal["snapshots", "weights"]
    every: EveryEpochs


@record
class SeedLine(Node):
    value: Value


@record
class StartLine(Node):
    model: PointOf


@record
class HeadLine(Node):
    value: Call | Word


@record
class SubsetLine(Node):
    name: Name
    subset: Subset


@record
class WeightLine(Node):
    subset: Name
    value: Value


@record
class MeasureLine(Node):
    name: Name
    measured: Measured


TrainLine = AttackLine | LossLine | SelectLine | KeepLine | SeedLine | StartLine
SplitLine = SubsetLine | WeightLine
TransferLine = HeadLine | SeedLine


# --- statements --------------------------------------------------------------------------------


@record
class Version(Node):
    number: Number


@record
class Title(Node):
    text: Text


@record
class Use(Node):
    path: Text


@record
class Param(Node):
    name: Name
    value: Value


@record
class Sweep(Node):
    lines: tuple[Axis, ...]


@record
class Declaration(Node):
    """`dataset cifar10 = CIFAR10(...)`, and likewise for models, attacks and recipes."""

    kind: Literal["dataset", "model", "attack", "recipe"]
    name: Name
    call: Call


@record
class Train(Node):
    name: Name
    model: Word
    data: Word
    recipe: Word
    lines: tuple[TrainLine, ...] = ()


@record
class Split(Node):
    name: Name
    dataset: Word
    lines: tuple[SplitLine, ...] = ()


@record
class Transfer(Node):
    name: Name
    source: PointOf
    target: Word
    recipe: Word
    lines: tuple[TransferLine, ...] = ()


@record
class Evaluate(Node):
    trained: Name
    lines: tuple[MeasureLine, ...] = ()


@record
class Display(Node):
    kind: Literal["plot", "table"]
    title: Text
    call: Call


@record
class Over(Node):
    """`share`, or `share in 20%..50% step 10%`, after `for all`."""

    axis: Name
    values: Value | None


@record
class Expect(Node):
    """`expect "text": for all share: condition`."""

    text: Text
    condition: Condition
    over: tuple[Over, ...] = ()


@record
class Published(Node):
    """`published "figure 6" sat.robust[order=hardest] = [52.1%, 59.1%]`; `what` is a reference or its mean."""

    source: Text | None
    what: Value
    value: Value
    over: tuple[Over, ...] = ()


Statement = (
    Version
    | Title
    | Use
    | Param
    | Sweep
    | Declaration
    | Train
    | Split
    | Transfer
    | Evaluate
    | Display
    | Expect
    | Published
)


@record
class File(Record):
    """A file's statements. `broken` has the names of those that could not be read (whole or in part), so that what
    follows from the damage is not reported too."""

    statements: tuple[Statement, ...]
    broken: frozenset[str] = frozenset()
