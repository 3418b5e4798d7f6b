"""Read which epochs lines of a training are about, and what holds in each: `attack A with strong from epoch 21`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Generic, TypeVar

from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import remove_repeated
from satdsl.check.subsets import whole_number
from satdsl.check.values import Environment
from satdsl.ir.steps import Attacks, Loss, Phase
from satdsl.records import Record, record
from satdsl.syntax import tree

T = TypeVar("T")

Line = tree.AttackLine | tree.LossLine


@record
class Stretch(Record, Generic[T]):
    """What a line says of a subset from epoch `first` to epoch `last`, counted from 1."""

    first: int
    last: int
    value: T
    line: Line

    @property
    def whole(self) -> bool:
        """Whether the line names no epoch."""
        return self.line.during is None


class Timeline(Generic[T]):
    """What the lines of one kind say of each subset, epoch by epoch, in a training of so many epochs."""

    def __init__(self, epochs: int, lines: Iterable[tree.Node], findings: FindingCollector) -> None:
        self.epochs, self.lines, self.findings = epochs, tuple(lines), findings
        self._of: dict[str, list[Stretch[T]]] = {}

    def add(self, subset: str, line: Line, value: T, at: Environment) -> None:
        """Take what a line says of a subset; refuse epochs that another line has."""
        first, last = self._epochs(line, at)
        stretches = self._of.setdefault(subset, [])
        other = next((one for one in stretches if one.first <= last and first <= one.last), None)
        if other is not None:
            self._twice(subset, line, other, max(first, other.first))
        stretches.append(Stretch(first, last, value, line))

    def at(self, subset: str, epoch: int) -> T | None:
        """Return what holds for a subset in an epoch."""
        return next((one.value for one in self._of.get(subset, ()) if one.first <= epoch <= one.last), None)

    def constant(self, subset: str) -> bool:
        """Return whether the same holds for a subset in all epochs."""
        stretches = self._of.get(subset, [])
        return not stretches or (stretches[0].first, stretches[0].last) == (1, self.epochs)

    def stretches(self, subset: str) -> tuple[Stretch[T], ...]:
        return tuple(sorted(self._of.get(subset, ()), key=lambda one: one.first))

    def check(self) -> None:
        """Refuse epochs between two lines of a subset that no line is about; before and after, the default holds."""
        for subset in self._of:
            stretches = self.stretches(subset)
            for one, other in pairwise(stretches):
                if other.first > one.last + 1:
                    self._gap(subset, other, one.last + 1)

    def _epochs(self, line: Line, at: Environment) -> tuple[int, int]:
        ends = [1, self.epochs]
        if line.during is None:
            return 1, self.epochs
        for place, node in enumerate((line.during.first, line.during.last)):
            if node is not None:
                ends[place] = whole_number(node, at, self.findings, "an epoch")
        first, last = ends
        if not 1 <= first <= last <= self.epochs:
            empty = first > last and last >= 1 and first <= self.epochs
            self.findings.reject(
                "E535",
                line.during,
                f"`{line.during.span.text}` is "
                + ("no epoch at all" if empty else f"not in a training of {self.epochs} epochs"),
                "epochs are counted from 1, and both ends are meant",
                f"write epochs from 1 to {self.epochs}" + (", the first before the last" if empty else ""),
            )
        return first, last

    def _twice(self, subset: str, line: Line, other: Stretch[T], epoch: int) -> None:
        attack = isinstance(line, tree.AttackLine)
        if line.during is None and other.whole:
            done = "is already attacked" if attack else "already has a loss"
            help = remove_repeated(line, self.lines, "keep one of the lines")
            self.findings.reject("E201", line, f"`{subset}` {done}", help=help)
        word = "attack" if attack else "loss"
        self.findings.reject(
            "E534",
            line,
            f"two lines give `{subset}` {'an' if attack else 'a'} {word} in epoch {epoch}",
            f"`{other.line.span.text}` is about it, too",
            f"end one line before the other begins: `until epoch {max(epoch - 1, 1)}`, `from epoch {epoch}`",
        )

    def _gap(self, subset: str, after: Stretch[T], epoch: int) -> None:
        attack = isinstance(after.line, tree.AttackLine)
        meant = "`attack x = none()` is an attack that leaves images clean" if attack else "`cross_entropy` is a loss"
        self.findings.error(
            "E534",
            after.line,
            f"no line says what `{subset}` {'is attacked with' if attack else 'is trained with'} in epoch {epoch}",
            "the lines before and after it do",
            f"begin this line at epoch {epoch}, or give the epochs between a line of their own: {meant}",
        )


def phases(subset: str, attacks: Timeline[Attacks | None], losses: Timeline[Loss | None]) -> tuple[Phase, ...]:
    """Return how a subset is trained from each epoch on at which that changes, and from the first one on."""
    starts = {1}
    for timeline in (attacks, losses):
        for one in timeline.stretches(subset):
            starts |= {one.first, one.last + 1}
    found: list[Phase] = []
    for start in sorted(start for start in starts if start <= max(attacks.epochs, 1)):
        phase = Phase(start, attacks.at(subset, start), losses.at(subset, start))
        if not found or (found[-1].attack, found[-1].loss) != (phase.attack, phase.loss):
            found.append(phase)
    return tuple(found)
