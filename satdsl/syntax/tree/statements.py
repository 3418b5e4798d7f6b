"""Define the nodes of statements, and of the file that they make."""

from __future__ import annotations

from typing import Literal

from satdsl.records import Record, record
from satdsl.syntax.tree.lines import AtEnd, Axis, EveryEpochs, MeasureLine, SplitLine, TrainLine, TransferLine
from satdsl.syntax.tree.values import Call, Condition, Name, Node, Number, PointOf, Selector, Text, Value, Word


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
class Joined(Node):
    """`dataset both = cifar10 + extra`: the training images of all, the validation images of the first."""

    kind: Literal["dataset", "model", "attack", "recipe"]
    name: Name
    parts: tuple[Word, ...]


@record
class Declaration(Node):
    """`dataset cifar10 = CIFAR10(...)`, and likewise for models, attacks and recipes."""

    kind: Literal["dataset", "model", "attack", "recipe"]
    name: Name
    call: Call


@record
class Train(Node):
    """`train sat = resnet on s using rice { ... }`; `part` is the subset after `s.`, where one alone is trained on."""

    name: Name
    model: Word
    data: Word
    recipe: Word
    lines: tuple[TrainLine, ...] = ()
    part: Word | None = None


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
    """`evaluate sat every 10 epochs { ... }`; without `when`, the weights that the training chooses are measured."""

    trained: tuple[Name, ...]
    lines: tuple[MeasureLine, ...] = ()
    when: AtEnd | EveryEpochs | None = None


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


@record
class Labelled(Node):
    """`label half "classes 0 to 4 attacked"`: what people read in place of a name, an axis or a value of one."""

    what: Word | Selector
    text: Text


Statement = (
    Version
    | Title
    | Use
    | Param
    | Sweep
    | Declaration
    | Joined
    | Train
    | Split
    | Transfer
    | Evaluate
    | Display
    | Expect
    | Published
    | Labelled
)


@record
class File(Record):
    """A file's statements. `broken` has the names of those that could not be read (whole or in part), so that what
    follows from the damage is not reported too."""

    statements: tuple[Statement, ...]
    broken: frozenset[str] = frozenset()
