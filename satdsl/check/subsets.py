"""Read the subsets of a split: their definitions, with sizes and classes as far as they are known before scoring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from satdsl.check import repicked_subsets
from satdsl.check.class_choice import class_places
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.fixes import percentage
from satdsl.check.joined_images import Origin, no_subset_but_a_data_set, origin_facts, picked_from_origin
from satdsl.check.ranking_files import Role, ranking_file
from satdsl.check.subset_facts import SubsetFacts, order_of, overlap
from satdsl.check.values import Environment, Num, Share, Word, circle, describe, evaluate
from satdsl.hints import Hint, did_you_mean, suggest, write
from satdsl.ir import draws, steps
from satdsl.ir.experiment import Dataset, PointRef, RankingSource
from satdsl.syntax import tree

ScoreOf = Callable[[tree.ScoreOf, str], RankingSource]
"""Resolves `loss of ref under pgd7` to the score, the model and the attack, for an input role of this name."""

ORDERS = ("hardest", "easiest", "random")


@dataclass
class SubsetReader:
    """Reads the subsets of one split at one point of the sweep."""

    split: tree.Split
    dataset: Dataset
    at: Environment
    score_of: ScoreOf
    score_of_itself: Callable[[tree.ScoreOfItself], str]
    base: Path
    findings: FindingCollector
    origins: Mapping[str, Origin]
    """The data sets that this one is joined from, by their names."""
    dataset_of: Callable[[tree.Word], str]

    def __post_init__(self) -> None:
        self.rankings: dict[tuple[str, PointRef, steps.CatalogCall | None], RankingSource] = {}
        self.lines = {line.name.text: line for line in self.split.lines if isinstance(line, tree.SubsetLine)}
        self._facts: dict[str, SubsetFacts] = {}
        self._reading: list[str] = []
        self.every: int | None = None
        """The number of epochs after which some subset is picked anew."""
        self.complete = True
        """Whether every line of the split could be read."""

    @property
    def total(self) -> int | None:
        return self.dataset.train

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.dataset.facts.classes if self.dataset.facts else ()

    # --- subsets ---

    def declared(self, name: str) -> SubsetFacts:
        """Return the facts of the subset that a line declares."""
        if name not in self._facts:
            if name in self._reading:
                message = f"subset `{name}` depends on itself: {circle([*self._reading, name])}"
                reason = "a subset is defined by what is known before it"
                self.findings.reject("E205", self.lines[name].name, message, reason, "define one without the other")
            self._reading.append(name)
            self._facts[name] = self._subset(self.lines[name].subset)
            self._reading.pop()
        return self._facts[name]

    def _subset(self, node: tree.Subset) -> SubsetFacts:
        match node:
            case tree.NamedSubset():
                return self._named(node)
            case tree.ClassSubset():
                return self._of_classes(self._class_places(node))
            case tree.Pick():
                return self._pick(node)
            case tree.WhereSubset():
                return self._where(node)
            case tree.ListedSubset():
                path, digest = self._file(node, "list")
                return SubsetFacts(steps.Listed(digest, path), None)
            case tree.ImagesOf():
                return origin_facts(node, self.dataset_of(node.dataset), self.split, self.origins, self.findings)
            case tree.CombinedSubset():
                return self._combined(node)

    def _named(self, node: tree.NamedSubset) -> SubsetFacts:
        name = node.name.text
        if name in self.lines:
            return self.declared(name)
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
        if not help and not self.complete:
            raise Rejected  # a line of the split that cannot be read may declare it
        help = help or no_subset_but_a_data_set(node.span, name, self.origins)
        message = f"there is no subset called `{name}` in this split"
        self.findings.reject("E206", node, message, help=help or suggest(name, known))

    # --- classes ---

    def _of_classes(self, classes: frozenset[int], drawn: bool = False) -> SubsetFacts:
        size = self.total if len(classes) == len(self.class_names) else None
        if self.dataset.train_counts:
            size = sum(self.dataset.train_counts[c] for c in classes)
        return SubsetFacts(steps.OfClasses(tuple(sorted(classes)), drawn), size, classes, len(classes), "classes")

    def _class_places(self, node: tree.ClassSubset) -> frozenset[int]:
        data = f"`{self.split.dataset.span.text}`"
        each = (class_places(one, self.at, self.class_names, data, self.findings) for one in node.classes)
        return frozenset[int]().union(*each)

    # --- picks ---

    def _pick(self, node: tree.Pick) -> SubsetFacts:
        order = self._order(node.order)
        modifiers = self._modifiers(node)
        ranking = self._ranking_of(node, modifiers.get(tree.ScoreOf), order)
        self._anew(node, order, modifiers.get(tree.Anew), modifiers.get(tree.ScoreOf))
        seed = self._seed(modifiers.get(tree.WithSeed)) if order == "random" else None
        within = self._within(modifiers.get(tree.Within))
        per_class: tree.PerClass | None = modifiers.get(tree.PerClass)
        inside = within.definition if within is not None else None
        pick = steps.Pick(order, 0, node.unit, per_class is not None, inside, ranking, seed)
        if node.unit == "examples":
            return self._pick_examples(node, pick, within)
        if per_class is not None:
            self.findings.reject("E301", per_class, "`per class` picks examples, not classes", help="write `examples`")
        return self._pick_classes(node, pick, within)

    def _pick_classes(self, node: tree.Pick, pick: steps.Pick, within: SubsetFacts | None) -> SubsetFacts:
        if within is None:
            within = self._of_classes(frozenset(range(len(self.class_names))))
        if within.unit != "classes":
            reason = "such a subset may have only a part of a class"
            message = "whole classes cannot be picked from a subset of examples"
            self.findings.reject("E401", node, message, reason, "pick `examples`")
        amount = self._amount(node, within.class_count, "classes")
        if pick.seed is not None and within.classes is not None:
            drawn = [c for c in _drawn_classes(len(self.class_names), pick.seed) if c in within.classes]
            return self._of_classes(frozenset(drawn[: int(amount)]), drawn=True)
        facts = self._picked(pick, amount, within.class_count)
        if not isinstance(amount, int):
            return facts
        counts = self._counts(within)
        size = amount * counts[0] if counts and len(set(counts)) == 1 else None
        return replace(facts, size=size, class_count=amount)

    def _pick_examples(self, node: tree.Pick, pick: steps.Pick, within: SubsetFacts | None) -> SubsetFacts:
        if not pick.per_class:
            total = within.size if within is not None else self.total
            return self._picked(pick, self._amount(node, total, "examples"), total)
        share = evaluate(node.amount, self.at, self.findings)
        if not isinstance(share, Share):
            help = "write a percentage: `30% examples per class`"
            self.findings.reject("E301", node.amount, "`per class` needs a share of each class", help=help)
        self._amount(node, None, "examples")
        facts = self._picked(pick, share.value, None)
        counts = self._counts(within)
        if counts is None:
            return facts
        taken = [draws.count(share.value, n) for n in counts]
        intervals = tuple(_ranks(pick.order, k, n) for k, n in zip(taken, counts, strict=True))
        return replace(facts, size=sum(taken), order=order_of(cast(steps.Pick, facts.definition)), intervals=intervals)

    def _picked(self, pick: steps.Pick, amount: int | float, of: int | None) -> SubsetFacts:
        """Return the facts of a pick of `amount` of `of` examples or classes, which may be unknown."""
        pick = steps.Pick(pick.order, amount, pick.unit, pick.per_class, pick.within, pick.ranking, pick.seed)
        size = amount if isinstance(amount, int) and pick.unit == "examples" else None
        if of is None or not isinstance(amount, int):
            return SubsetFacts(pick, size, unit=pick.unit)
        return SubsetFacts(pick, size, None, None, pick.unit, order_of(pick), (_ranks(pick.order, amount, of),))

    def _order(self, node: tree.Word) -> Literal["hardest", "easiest", "random"]:
        value = evaluate(node, self.at, self.findings)
        if isinstance(value, Word) and value.text in ORDERS:
            return cast(Literal["hardest", "easiest", "random"], value.text)
        found = value.text if isinstance(value, Word) else node.span.text
        reason = "examples are picked `hardest`, `easiest` or `random`"
        help = did_you_mean(found, ORDERS, node.span)
        self.findings.reject("E301", node, f"`{found}` is not an order", reason, help)

    def _modifiers(self, node: tree.Pick) -> dict[type, Any]:
        found: dict[type, Any] = {}
        for modifier in node.modifiers:
            kind = tree.ScoreOf if isinstance(modifier, tree.Ranking) else type(modifier)
            if kind in found:
                message = f"`{modifier.span.text}` repeats an earlier part"
                self.findings.error("E301", modifier, message, help="keep one of them")
            found[kind] = modifier
        return found

    def _within(self, node: tree.Within | None) -> SubsetFacts | None:
        if node is None:
            return None
        within = self._subset(node.subset)
        if within.is_rest:
            reason = "`rest` is what all other subsets leave, and this subset is one of them"
            self.findings.reject("E206", node, "`rest` cannot be picked from", reason, "pick from another subset")
        return within

    def _ranking_of(self, node: tree.Pick, ranking: tree.Ranking | None, order: str) -> steps.Ranking | None:
        if order == "random":
            return None
        if ranking is None:
            self.findings.reject(
                "E401",
                node,
                f"`{order}` needs a ranking",
                "the difficulty of an example is a score of a trained model, or a number from a file",
                f"write `{order} {node.amount.span.text} {node.unit} by snapshot-entropy of ref`",
            )
        if isinstance(ranking, tree.RankingIn):
            path, digest = self._file(ranking, "order" if node.unit == "examples" else "class order")
            return steps.Ranking(digest=digest, path=path, in_order=True)
        return self._scores(ranking)

    def _anew(self, node: tree.Pick, order: str, anew: tree.Anew | None, ranking: tree.Ranking | None) -> None:
        """Check what is picked anew, and take note of how often. A random draw is ranked by nothing, and stays."""
        own = isinstance(ranking, tree.ScoreOfItself)
        if (own and order != "random") or (anew is not None and not own):
            every = 1 if anew is None or anew.epochs is None else self._epochs(anew.epochs)
            repicked_subsets.rhythm_fits(node, anew, own, every, self.every, self.findings)
            self.every = every

    def _epochs(self, node: tree.Value) -> int:
        return whole_number(node, self.at, self.findings, "a number of epochs")

    def _scores(self, node: tree.ScoreOf | tree.ScoreOfItself | tree.ScoresIn) -> steps.Ranking:
        if isinstance(node, tree.ScoreOfItself):
            return steps.Ranking(score=self.score_of_itself(node), of=steps.ITSELF)
        if isinstance(node, tree.ScoresIn):
            path, digest = self._file(node, "scores")
            return steps.Ranking(digest=digest, path=path)
        new = self.score_of(node, f"ranking{len(self.rankings)}")
        source = self.rankings.setdefault((new.score, new.model, new.attack), new)
        return steps.Ranking(score=new.score, of=source.role)

    def _file(self, node: tree.ScoresIn | tree.RankingIn | tree.ListedSubset, role: Role) -> tuple[str, str]:
        return ranking_file(node, self.base, role, self.dataset, self.findings)

    def _seed(self, node: tree.WithSeed | None) -> int:
        return 0 if node is None else whole_number(node.value, self.at, self.findings, "a seed")

    def _amount(self, node: tree.Pick, of: int | None, what: str) -> int | float:
        """Return how many are picked `of` so many: a count where it can be known, else a share."""
        value, text = evaluate(node.amount, self.at, self.findings), node.amount.span.text
        match value:
            case Share(part) if not 0 <= part <= 1:
                message = f"a share must lie between 0% and 100%, but here it is {part * 100:g}%"
                help = "write a percentage in this range, or a count of examples"
                self.findings.reject("E304", node.amount, message, help=help)
            case Share(part):
                return part if of is None else draws.count(part, of)
            case Num(number) if number != int(number) or number < 0:
                share = percentage(node.amount, number)
                hint = Hint(f"{share.text} for a share", share.fix) if 0 < number < 1 else "write a whole number"
                self.findings.reject("E301", node.amount, f"`{text}` cannot count {what}", help=hint)
            case Num(number) if of is not None and number > of:
                message = f"{number:,.0f} {what} are to be picked, but there are only {of:,}"
                self.findings.reject("E402", node.amount, message, help=f"pick at most {of:,}")
            case Num(number):
                return int(number)
        message = f"`{text}` is {describe(value)}, not an amount"
        self.findings.reject("E301", node.amount, message, help="write a share (`30%`) or a count")

    def _counts(self, within: SubsetFacts | None) -> tuple[int, ...] | None:
        """Return the number of images of each class of a subset, None where it is not known."""
        counts = self.dataset.train_counts
        if within is None or counts is None:
            return counts
        return tuple(counts[c] for c in sorted(within.classes)) if within.classes is not None else None

    # --- the others ---

    def _where(self, node: tree.WhereSubset) -> SubsetFacts:
        threshold = evaluate(node.threshold, self.at, self.findings)
        if not isinstance(threshold, Num):
            message = f"a threshold is a number, this is {describe(threshold)}"
            self.findings.reject("E301", node.threshold, message, help="write a number")
        operator: Any = node.operator
        if isinstance(node.ranking, tree.ScoreOfItself):
            repicked_subsets.of_unknown_size(node, self.findings)
        if isinstance(node.ranking, tree.RankingIn):
            message, reason = "a ranking has no scores to compare with a number", "it lists the images, hardest first"
            help = f'write `hardest 100 examples by {node.ranking.span.text}`, or compare `scores in "file"`'
            self.findings.reject("E411", node.ranking, message, reason, help)
        return SubsetFacts(steps.Where(self._scores(node.ranking), operator, threshold.value), None)

    def _combined(self, node: tree.CombinedSubset) -> SubsetFacts:
        left, right = self._subset(node.left), self._subset(node.right)
        for side, facts in ((node.left, left), (node.right, right)):
            if facts.is_rest:
                reason, help = (
                    "`rest` means all examples that no other subset has",
                    "give it a name of its own: `B = rest`",
                )
                self.findings.reject("E206", side, "`rest` cannot be combined with other subsets", reason, help)
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
        if isinstance(left.definition, steps.Everything) or picked_from_origin(left, right):
            return {"+": left.size, "-": left.size - right.size, "&": right.size}[operator]
        return None


def _ranks(order: str, amount: int, of: int) -> tuple[int, int]:
    """Return which ranks the first `amount` of `of` in an order have, the hardest having rank 0."""
    return (of - amount, of) if order == "easiest" else (0, amount)


@cache
def _drawn_classes(count: int, seed: int) -> list[int]:
    return draws.order(count, seed)


def whole_number(node: tree.Value, at: Environment, findings: FindingCollector, what: str) -> int:
    """Return the value of an expression that has to be a whole number, 0 or more."""
    value = evaluate(node, at, findings)
    if isinstance(value, Num) and value.value == int(value.value) and value.value >= 0:
        return int(value.value)
    message = f"{what} is a whole number that is at least 0, and `{node.span.text}` is not"
    findings.reject("E301", node, message, help="write 0, 1, 2, ...")
