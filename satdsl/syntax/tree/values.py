"""Define the nodes of names, numbers and expressions, and of references to results and trained models."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from satdsl.findings import Span
from satdsl.records import Record, record


@record
class Node(Record):
    span: Span = field(repr=False, compare=False)


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
class Around(Node):
    """`79.0% ± 0.5%`, also written `79.0% +/- 0.5%`."""

    centre: Value
    within: Value


@record
class Settings(Node):
    """`(images="x.npy", logits="y.npy")`: values by name."""

    entries: tuple[Argument, ...]


@record
class Predicted(Node):
    """`ref[share=30%](clean)`: what a trained model at a point says of an image."""

    model: PointOf
    image: Name


Label = Name | Number | Percent | Text


@record
class Item(Node):
    """An entry of a list, with a label perhaps: `balanced: |B|/|A|`, `0.25: "a.pt"`."""

    label: Label | None
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
    | Predicted
    | Negative
    | Binary
    | Range
    | Around
    | Settings
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
