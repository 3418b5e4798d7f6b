"""Define the nodes of measures, and of the lines in blocks."""

from __future__ import annotations

from typing import Literal

from satdsl.records import record
from satdsl.syntax.tree.subset_nodes import ScoresIn, Subset
from satdsl.syntax.tree.values import Call, Name, Node, PointOf, Value, Word


@record
class Measure(Node):
    """What is measured; each form of it has an entry in `satdsl.catalog.measures`."""


@record
class CleanAccuracy(Measure):
    """`clean accuracy`."""


@record
class Attacked(Node):
    """`pgd7`, or `pgd7 made on other[share=30%]`: an attack, and the network that its images are made on."""

    attack: Word
    source: PointOf | None = None


@record
class RobustAccuracy(Measure):
    """`robust accuracy under aa, pgd7 made on other`."""

    attacks: tuple[Attacked, ...]


@record
class RobustCurve(Measure):
    """`robust accuracy under fmn100 at 0..2 step 0.1`."""

    attacks: tuple[Attacked, ...]
    radii: Value


@record
class MedianDistance(Measure):
    """`median distance under fmn100`."""

    attacks: tuple[Word, ...]


@record
class MeanDistance(Measure):
    """`mean distance under fmn100`."""

    attacks: tuple[Word, ...]


@record
class MeanScore(Measure):
    """`mean snapshot-entropy`, `mean loss under pgd7`."""

    score: Word
    attack: Word | None = None


@record
class OwnMeasure(Measure):
    """`flips(radius=0.1)`: a function of the user's own."""

    call: Call


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


@record
class Axis(Node):
    """`share = 10%..90% step 10%`; several names move together."""

    names: tuple[Name, ...]
    value: Value


@record
class DuringEpochs(Node):
    """`from epoch 5 until epoch 9`: the first and the last epoch, None where it is that of the training."""

    first: Value | None
    last: Value | None


@record
class AttackLine(Node):
    """`attack A with pgd7`, `attack A with each of linf, l2 until epoch 20`.

    `scaled` names the factors of the images' radii: `attack A with pgd7 scaled by scores in "radii.npy"`.
    """

    subset: Word
    attacks: tuple[Word, ...]
    how: Literal["strongest", "mean", "drawn"] = "strongest"
    during: DuringEpochs | None = None
    scaled: ScoresIn | None = None


@record
class LossLine(Node):
    """`loss A = trades(beta=6)`, `loss A = ce(clean) + 6*kl(clean, adversarial) from epoch 21`."""

    subset: Word
    value: Value
    during: DuringEpochs | None = None


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
class TrainedLine(Node):
    """`train all`, the whole network of a transfer; or `train head`, which is what is meant without a line."""

    whole: bool


@record
class SubsetLine(Node):
    name: Name
    subset: Subset


@record
class WeightLine(Node):
    """`weight A = 2*|B|/|A|`, or a weight for each image: `weight A = scores in "weights.npy"`."""

    subset: Name
    value: Value | ScoresIn


@record
class ShareLine(Node):
    """`share real = 30%`: so much of every batch is of a subset."""

    subset: Name
    value: Value


@record
class MeasureLine(Node):
    """`robust = robust accuracy under aa on val`; `when` is that of its statement."""

    name: Name
    measured: Measured
    when: AtEnd | EveryEpochs | None = None


TrainLine = AttackLine | LossLine | SelectLine | KeepLine | SeedLine | StartLine
SplitLine = SubsetLine | WeightLine | ShareLine
TransferLine = TrainedLine | HeadLine | AttackLine | LossLine | SelectLine | KeepLine | SeedLine
