"""Subset expressions to regions: definitions, with sizes and classes as far as they are known before scoring."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import percentage
from satdsl.check.subset_facts import Intervals, SubsetFacts, overlap, ranking_name
from satdsl.check.values import Environment, Num, Share, Str, Word, describe, evaluate
from satdsl.hints import Hint, did_you_mean, write
from satdsl.ir import draws, steps
from satdsl.ir.experiment import Dataset, PointRef, RankingSource
from satdsl.sources import resolve_path
from satdsl.syntax import tree

ScoreOf = Callable[[tree.ScoreOf, Environment], tuple[str, PointRef]]
"""Resolves `snapshot-entropy of ref` at a point: the score's name and the model."""


@dataclass
class SubsetReader:
    """Reads one split at one point of the sweep."""

    split: tree.Split
    dataset: Dataset
    at: Environment
    score_of: ScoreOf
    base: Path
    findings: FindingCollector

    def __post_init__(self) -> None:
        self.rankings: dict[tuple[str, PointRef], RankingSource] = {}
        self.lines = {line.name.text: line for line in self.split.lines if isinstance(line, tree.SubsetLine)}
        self._regions: dict[str, SubsetFacts] = {}
        self._reading: list[str] = []

    @property
    def total(self) -> int | None:
        return self.dataset.train

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.dataset.facts.classes if self.dataset.facts else ()

    # --- subsets ---

    def _named(self, name: str) -> SubsetFacts:
        if name not in self._regions:
            if name in self._reading:
                line = self.lines[name]
                circle = " uses ".join(f"`{n}`" for n in [*self._reading[self._reading.index(name) :], name])
                self.findings.reject("E205", line.name, f"subset {circle}", "a subset cannot be defined by itself")
            self._reading.append(name)
            self._regions[name] = self._region(self.lines[name].subset)
            self._reading.pop()
        return self._regions[name]

    def _region(self, node: tree.Subset) -> SubsetFacts:
        match node:
            case tree.NamedSubset():
                return self._by_name(node)
            case tree.ClassSubset():
                return self._of_classes(frozenset(self._class_index(given) for given in node.classes))
            case tree.Pick():
                return self._pick(node)
            case tree.WhereSubset():
                return self._where(node)
            case tree.ListedSubset():
                return self._listed(node)
            case tree.CombinedSubset():
                return self._combined(node)

    def _by_name(self, node: tree.NamedSubset) -> SubsetFacts:
        name = node.name.text
        if name in self.lines:
            return self._named(name)
        every = frozenset(range(len(self.class_names)))
        if name == "all":
            return SubsetFacts(steps.Everything(), self.total, every, len(every), "classes")
        if name == "none":
            return SubsetFacts(steps.Nothing(), 0, frozenset(), 0, "classes")
        if name == "rest":
            return SubsetFacts(steps.Rest(), None)
        known = [*self.lines, "all", "none", "rest"]
        help = did_you_mean(name, known, node.span)
        if not help and name in self.class_names:
            help = write(node.span, f"class {name}", f"`{name}` is a class: write `class {name}`")
        self.findings.reject(
            "E206",
            node,
            f"there is no subset called `{name}` in this split",
            help=help or f"there are {', '.join(known)}",
        )

    def _of_classes(self, classes: frozenset[int], drawn: bool = False) -> SubsetFacts:
        counts = self.dataset.train_counts
        size = (
            sum(counts[c] for c in classes)
            if counts
            else (self.total if len(classes) == len(self.class_names) else None)
        )
        return SubsetFacts(steps.OfClasses(tuple(sorted(classes)), drawn), size, classes, len(classes), "classes")

    def _class_index(self, node: tree.Name | tree.Text | tree.Number | tree.Parameter) -> int:
        value = evaluate(node, self.at, self.findings)
        names = self.class_names
        if isinstance(value, (Word, Str)):
            if value.text in names:
                return names.index(value.text)
            help = (
                did_you_mean(value.text, names, node.span)
                or f"its classes are {', '.join(names[:12])}{', ...' * (len(names) > 12)}"
            )
            self.findings.reject(
                "E204",
                node,
                f"`{self.split.dataset.span.text}` has no class called `{value.text}`",
                help=help,
            )
        if isinstance(value, Num) and value.value == int(value.value):
            if 0 <= value.value < len(names):
                return int(value.value)
            self.findings.reject(
                "E204",
                node,
                f"there is no class {value.value:g}",
                f"classes are numbered 0 to {len(names) - 1}",
            )
        self.findings.reject(
            "E301",
            node,
            f"`{node.span.text}` is {describe(value)}, not a class",
            help="name a class, or give its number",
        )

    def _pick(self, node: tree.Pick) -> SubsetFacts:
        order = self._order(node.order)
        modifiers = self._modifiers(node)
        ranking = self._ranking_of(node, modifiers, order)
        seed = self._seed(modifiers.get(tree.WithSeed), order)
        inside = modifiers.get(tree.Within)
        within = self._region(inside.subset) if inside is not None else None
        if inside is not None and within is not None and isinstance(within.definition, steps.Rest):
            self.findings.reject("E206", inside, "`rest` cannot be picked from", "it is what this very subset leaves")
        per_class = tree.PerClass in modifiers
        if node.unit == "classes":
            if per_class:
                self.findings.reject(
                    "E301",
                    modifiers[tree.PerClass],
                    "`per class` picks examples, not classes",
                    help="write `examples`",
                )
            return self._pick_classes(node, order, within, ranking, seed)
        return self._pick_examples(node, order, within, ranking, seed, per_class)

    def _order(self, node: tree.Word) -> Literal["hardest", "easiest", "random"]:
        value = evaluate(node, self.at, self.findings)
        if isinstance(value, Word) and value.text in ("hardest", "easiest", "random"):
            return cast(Literal["hardest", "easiest", "random"], value.text)
        found = value.text if isinstance(value, Word) else node.span.text
        self.findings.reject(
            "E301",
            node,
            f"`{found}` is not an order",
            "examples are picked `hardest`, `easiest` or `random`",
            did_you_mean(found, ("hardest", "easiest", "random"), node.span),
        )

    def _modifiers(self, node: tree.Pick) -> dict[type, Any]:
        found: dict[type, Any] = {}
        for modifier in node.modifiers:
            kind = tree.ScoreOf if isinstance(modifier, tree.ScoresIn) else type(modifier)
            if kind in found:
                self.findings.error(
                    "E301",
                    modifier,
                    f"`{modifier.span.text}` says the same thing again",
                    help="keep one of them",
                )
            found[kind] = modifier
        return found

    def _ranking_of(self, node: tree.Pick, modifiers: dict[type, Any], order: str) -> steps.Ranking | None:
        given: tree.Ranking | None = modifiers.get(tree.ScoreOf)
        if given is None and order != "random":
            self.findings.reject(
                "E401",
                node,
                f"`{order}` needs a ranking",
                "difficulty is measured by a score of a trained model, or read from a file",
                f"write `{order} {node.amount.span.text} {node.unit} by snapshot-entropy of ref`",
            )
        if given is None or order == "random":
            return None
        return self._ranking(given)

    def _ranking(self, node: tree.Ranking) -> steps.Ranking:
        if isinstance(node, tree.ScoresIn):
            path, digest = self._file(node.path)
            return steps.Ranking(digest=digest, path=path)
        score, model = self.score_of(node, self.at)
        source = self.rankings.get((score, model))
        if source is None:
            source = RankingSource(f"ranking{len(self.rankings)}", score, model)
            self.rankings[score, model] = source
        return steps.Ranking(score=score, of=source.role)

    def _file(self, node: tree.Text) -> tuple[str, str]:
        path = Path(resolve_path(self.base, node.value))
        if path.suffix not in (".txt", ".csv", ".npy", ".pt"):
            self.findings.reject(
                "E306",
                node,
                f"`{node.value}` is not a kind of file that is read here",
                help="use .txt, .csv, .npy or .pt",
            )
        try:
            return str(path), hashlib.sha256(path.read_bytes()).hexdigest()
        except (OSError, ValueError) as error:
            self.findings.reject(
                "E306",
                node,
                f"`{path}` cannot be read",
                getattr(error, "strerror", None) or str(error),
                "paths start from the folder of the file that names them",
            )

    def _seed(self, node: tree.WithSeed | None, order: str) -> int | None:
        if order != "random":
            return None
        if node is None:
            return 0
        return whole_number(node.value, self.at, self.findings, "a seed")

    def _amount(self, node: tree.Pick, of: int | None, what: str) -> int | float:
        """How many to pick: a count where it can be known, else a share."""
        value = evaluate(node.amount, self.at, self.findings)
        if isinstance(value, Share):
            if not 0 <= value.value <= 1:
                self.findings.reject(
                    "E304",
                    node.amount,
                    f"a share lies between 0% and 100%, here it is {value.value * 100:g}%",
                    help="write a percentage in between, or a count of examples",
                )
            return value.value if of is None else draws.count(value.value, of)
        if isinstance(value, Num):
            if value.value != int(value.value) or value.value < 0:
                help: str | Hint = "write a whole number"
                if 0 < value.value < 1:
                    share = percentage(node.amount, value.value)
                    help = Hint(f"{share.text} for a share", share.fix)
                self.findings.reject("E301", node.amount, f"`{node.amount.span.text}` cannot count {what}", help=help)
            if of is not None and value.value > of:
                self.findings.reject(
                    "E402",
                    node.amount,
                    f"{value.value:,.0f} {what} are wanted, there are {of:,}",
                    help=f"pick at most {of:,}",
                )
            return int(value.value)
        self.findings.reject(
            "E301",
            node.amount,
            f"`{node.amount.span.text}` is {describe(value)}, not an amount",
            help="write a share (`30%`) or a count",
        )

    def _pick_classes(
        self,
        node: tree.Pick,
        order: Any,
        within: SubsetFacts | None,
        ranking: steps.Ranking | None,
        seed: int | None,
    ) -> SubsetFacts:
        if within is not None and within.unit != "classes":
            self.findings.reject(
                "E401",
                node,
                "whole classes cannot be picked from a subset of examples",
                help="pick `examples`",
            )
        every = within.classes if within is not None else frozenset(range(len(self.class_names)))
        count = self._amount(node, within.class_count if within is not None else len(self.class_names), "classes")
        if order == "random" and every is not None and seed is not None:
            drawn = [c for c in _drawn_classes(len(self.class_names), seed) if c in every]
            return self._of_classes(frozenset(drawn[: int(count)]), drawn=True)
        counts = {self.dataset.train_counts[c] for c in every} if self.dataset.train_counts and every else set()
        size = int(count) * counts.pop() if len(counts) == 1 and isinstance(count, int) else None
        definition = steps.Pick(
            order, count, "classes", False, within.definition if within is not None else None, ranking, seed
        )
        return SubsetFacts(
            definition,
            size,
            None,
            count if isinstance(count, int) else None,
            "classes",
            *self._ranks(order, definition, count, within.class_count if within is not None else len(self.class_names)),
        )

    def _pick_examples(
        self,
        node: tree.Pick,
        order: Any,
        within: SubsetFacts | None,
        ranking: steps.Ranking | None,
        seed: int | None,
        per_class: bool,
    ) -> SubsetFacts:
        total = within.size if within is not None else self.total
        counts = self._counts(within)
        if not per_class:
            amount = self._amount(node, total, "examples")
            definition = steps.Pick(
                order, amount, "examples", False, within.definition if within is not None else None, ranking, seed
            )
            size = amount if isinstance(amount, int) else None
            return SubsetFacts(definition, size, None, None, "examples", *self._ranks(order, definition, amount, total))
        share = evaluate(node.amount, self.at, self.findings)
        if not isinstance(share, Share):
            self.findings.reject(
                "E301",
                node.amount,
                "`per class` needs a share",
                help="write a percentage: `30% examples per class`",
            )
        self._amount(node, None, "examples")
        definition = steps.Pick(
            order, share.value, "examples", True, within.definition if within is not None else None, ranking, seed
        )
        if counts is None:
            return SubsetFacts(definition, None)
        taken = [draws.count(share.value, n) for n in counts]
        intervals = tuple((n - k, n) if order == "easiest" else (0, k) for n, k in zip(counts, taken, strict=True))
        return SubsetFacts(definition, sum(taken), None, None, "examples", ranking_name(definition), intervals)

    def _counts(self, within: SubsetFacts | None) -> tuple[int, ...] | None:
        counts = self.dataset.train_counts
        if within is None or counts is None:
            return counts
        return tuple(counts[c] for c in sorted(within.classes)) if within.classes is not None else None

    def _ranks(
        self, order: str, definition: steps.Pick, amount: int | float, of: int | None
    ) -> tuple[Hashable, Intervals]:
        if of is None or not isinstance(amount, int):
            return None, ()
        return ranking_name(definition), (((of - amount, of) if order == "easiest" else (0, amount)),)

    def _where(self, node: tree.WhereSubset) -> SubsetFacts:
        threshold = evaluate(node.threshold, self.at, self.findings)
        if not isinstance(threshold, Num):
            self.findings.reject(
                "E301", node.threshold, f"a threshold is a number, this is {describe(threshold)}", help="write a number"
            )
        operator: Any = node.operator
        return SubsetFacts(steps.Where(self._ranking(node.ranking), operator, threshold.value), None)

    def _listed(self, node: tree.ListedSubset) -> SubsetFacts:
        path, digest = self._file(node.path)
        return SubsetFacts(steps.Listed(digest, path), None)

    def _combined(self, node: tree.CombinedSubset) -> SubsetFacts:
        left, right = self._region(node.left), self._region(node.right)
        for side, region in ((node.left, left), (node.right, right)):
            if isinstance(region.definition, steps.Rest):
                self.findings.reject(
                    "E206",
                    side,
                    "`rest` stands alone",
                    "it is what all the other subsets leave",
                    "give it a name of its own: `B = rest`",
                )
        if left.classes is not None and right.classes is not None:
            sets = {
                "+": left.classes | right.classes,
                "-": left.classes - right.classes,
                "&": left.classes & right.classes,
            }
            return self._of_classes(sets[node.operator])
        definition = steps.Combined(node.operator, left.definition, right.definition)
        unit: Any = "classes" if left.unit == right.unit == "classes" else "examples"
        return SubsetFacts(definition, self._combined_size(node.operator, left, right), unit=unit)

    def _combined_size(self, operator: str, left: SubsetFacts, right: SubsetFacts) -> int | None:
        apart = overlap(left, right, self.total) == 0
        if left.size is None or right.size is None:
            return {"&": 0, "-": left.size}.get(operator) if apart else None
        if apart:
            return {"+": left.size + right.size, "-": left.size, "&": 0}[operator]
        if isinstance(left.definition, steps.Everything):
            return {"+": left.size, "-": left.size - right.size, "&": right.size}[operator]
        return None


@cache
def _drawn_classes(count: int, seed: int) -> list[int]:
    return draws.order(count, seed)


def whole_number(node: tree.Value, at: Environment, findings: FindingCollector, what: str) -> int:
    """The value of an expression that must be a whole number, 0 or more."""
    value = evaluate(node, at, findings)
    if isinstance(value, Num) and value.value == int(value.value) and value.value >= 0:
        return int(value.value)
    findings.reject(
        "E301", node, f"{what} is a whole number, 0 or more; `{node.span.text}` is not", help="write 0, 1, 2, ..."
    )
