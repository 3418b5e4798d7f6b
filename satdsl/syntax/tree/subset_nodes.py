"""Define the nodes of the subsets of a split."""

from __future__ import annotations

from typing import Literal

from satdsl.records import record
from satdsl.syntax.tree.values import Name, Node, Number, Parameter, PointOf, Range, Text, Value, Word


@record
class ScoreOf(Node):
    """`snapshot-entropy of ref`, `loss of ref under pgd7`."""

    score: Word
    model: PointOf
    attack: Word | None = None


@record
class ScoreOfItself(Node):
    """`loss of itself`: of the training that uses the split, while it goes on."""

    score: Word


@record
class ScoresIn(Node):
    """`scores in "file.npy"`."""

    path: Text


@record
class RankingIn(Node):
    """`ranking in "file.npy"`: the images in their order, the hardest first."""

    path: Text


Ranking = ScoreOf | ScoreOfItself | ScoresIn | RankingIn


@record
class NamedSubset(Node):
    """`all`, `none`, `rest`, or another subset of the split."""

    name: Name


@record
class ClassSubset(Node):
    """`classes cat, dog, 5..7`: names, numbers, parameters, or ranges of numbers."""

    classes: tuple[Name | Text | Number | Parameter | Range, ...]


@record
class PerClass(Node):
    """`per class`."""


@record
class Within(Node):
    """`of (classes cat, dog)`."""

    subset: Subset


@record
class WithSeed(Node):
    """`seed = $draw`."""

    value: Value


@record
class Anew(Node):
    """`every 5 epochs`; `every epoch` has None."""

    epochs: Value | None


Modifier = PerClass | Within | WithSeed | Anew | Ranking


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
class ImagesOf(Node):
    """`images of cifar10`: those of one of the data sets that were joined."""

    dataset: Word


@record
class CombinedSubset(Node):
    operator: Literal["+", "-", "&"]
    left: Subset
    right: Subset


Subset = NamedSubset | ClassSubset | Pick | WhereSubset | ListedSubset | ImagesOf | CombinedSubset
