"""The lines of a split to its partition at one point: every example in one subset, each subset with its loss weight."""

from __future__ import annotations

from typing import Any, Literal, NoReturn

from satdsl.check import values
from satdsl.check.fixes import remove_repeated
from satdsl.check.subset_facts import SubsetFacts, overlap
from satdsl.check.subsets import SubsetReader
from satdsl.check.values import Num, Share, describe, evaluate
from satdsl.hints import did_you_mean
from satdsl.ir import steps
from satdsl.ir.experiment import Split
from satdsl.syntax import tree


class SplitReader(SubsetReader):
    """Reads a whole split."""

    def read(self, dataset_name: str, complete: bool) -> Split:
        """The split; `complete` False leaves out the checks that need every line."""
        regions = {name: self._named(name) for name in self.lines}
        regions = self._with_rest(regions)
        if complete:
            self._check_cover(regions)
        order, chosen = list(regions), list(regions.values())
        weights = self._weights(regions, order) if complete else {}
        if weights and all(weights.get(name, 1.0) == 0 for name in order):
            at = next(line for line in self.split.lines if isinstance(line, tree.WeightLine))
            self.findings.reject(
                "E405",
                at,
                "all subsets have the loss weight 0",
                "there is nothing to learn from",
                "give one a weight above 0",
            )
        return Split(
            dataset=dataset_name,
            names=tuple(order),
            subsets=tuple(region.definition for region in chosen),
            sizes=tuple(region.size for region in chosen),
            classes=tuple(None if r.classes is None else tuple(sorted(r.classes)) for r in chosen),
            class_counts=tuple(region.class_count for region in chosen),
            weights=tuple(weights.get(name, 1.0) for name in order),
            rankings=tuple(self.rankings.values()),
            by_class=all(region.unit == "classes" for region in chosen),
        )

    # --- the partition ---

    def _with_rest(self, regions: dict[str, SubsetFacts]) -> dict[str, SubsetFacts]:
        rests = [name for name, region in regions.items() if isinstance(region.definition, steps.Rest)]
        for name in rests[1:]:
            self.findings.reject(
                "E403",
                self.lines[name],
                f"`{rests[0]}` is already the rest",
                help="only one subset can be `rest`",
            )
        if not rests:
            return regions
        others = [region for name, region in regions.items() if name not in rests]
        sizes = [region.size for region in others]
        size = None if self.total is None or None in sizes else self.total - sum(s for s in sizes if s is not None)
        by_class = all(region.unit == "classes" for region in others)
        classes = None
        counts = [region.class_count for region in others]
        if all(region.classes is not None for region in others):
            taken: frozenset[int] = frozenset().union(*(r.classes for r in others if r.classes is not None))
            classes = frozenset(range(len(self.class_names))) - taken
        class_count = None
        if by_class and None not in counts:
            class_count = len(self.class_names) - sum(c for c in counts if c is not None)
        unit: Literal["examples", "classes"] = "classes" if by_class else "examples"
        rest = SubsetFacts(steps.Rest(), size, classes, class_count, unit)
        return {name: rest if name in rests else region for name, region in regions.items()}

    def _check_cover(self, regions: dict[str, SubsetFacts]) -> None:
        if not regions:
            self.findings.reject(
                "E403",
                self.split.name,
                f"split `{self.split.name.text}` has no subsets",
                help="write `A = ...` and `B = rest`",
            )
        self._check_overlaps(regions)
        for name, region in regions.items():
            if region.size is not None and region.size <= 0:
                self.findings.reject(
                    "E404",
                    self.lines[name],
                    f"subset `{name}` is empty{self._where_in_sweep()}",
                    "a subset without examples can be neither attacked nor weighted",
                    "leave the subset out, or give it examples",
                )
        sizes = [region.size for region in regions.values()]
        if self.total is not None and None not in sizes:
            covered = sum(size for size in sizes if size is not None)
            if covered < self.total:
                self.findings.reject(
                    "E403",
                    self.split.name,
                    f"the subsets of `{self.split.name.text}` leave out {self.total - covered:,} "
                    f"of {self.total:,} examples" + self._where_in_sweep(),
                    "subsets together cover the training set",
                    f"add a subset for them: `{_free_name(regions)} = rest`",
                )

    def _check_overlaps(self, regions: dict[str, SubsetFacts]) -> None:
        names = list(regions)
        total = 0
        for i, name in enumerate(names):
            for other in names[:i]:
                shared = overlap(regions[other], regions[name], self.total)
                if shared:
                    self._overlapping(other, name, regions, shared)
            total += regions[name].size or 0
        if self.total is not None and total > self.total:
            sizes = " + ".join(f"{region.size:,}" for region in regions.values() if region.size)
            self.findings.reject(
                "E402",
                self.split.name,
                f"the subsets of `{self.split.name.text}` overlap: {sizes} examples, and there are {self.total:,}"
                + self._where_in_sweep(),
                "every example belongs to one subset",
            )

    def _overlapping(self, first: str, second: str, regions: dict[str, SubsetFacts], shared: int) -> NoReturn:
        left, right = regions[first], regions[second]
        what = f"{shared:,} examples"
        if left.classes is not None and right.classes is not None:
            both = [self.class_names[c] for c in sorted(left.classes & right.classes)]
            what = f"class{'es' * (len(both) > 1)} {', '.join(both[:8])}{', ...' * (len(both) > 8)}"
        self.findings.reject(
            "E402",
            self.lines[second],
            f"subsets `{first}` and `{second}` overlap in {what}{self._where_in_sweep()}",
            "every example belongs to one subset",
            f"write `{second} = rest`, or subtract: `- {first}`",
            related=((self.lines[first].span, f"`{first}` is defined here"),),
        )

    def _where_in_sweep(self) -> str:
        used = dict.fromkeys(p.text for p in values.parameters([self.split]) if p.text in self.at)
        point = ", ".join(f"${name} = {values.label(self.at[name])}" for name in used)
        return f" (at {point})" if point else ""

    # --- weights ---

    def _weights(self, regions: dict[str, SubsetFacts], order: list[str]) -> dict[str, float | steps.WeightFormula]:
        found: dict[str, float | steps.WeightFormula] = {}
        for line in self.split.lines:
            if not isinstance(line, tree.WeightLine):
                continue
            name = line.subset.text
            if name not in regions:
                help = did_you_mean(name, regions, line.subset.span) or f"its subsets are {', '.join(regions)}"
                self.findings.error(
                    "E206", line.subset, f"split `{self.split.name.text}` has no subset `{name}`", help=help
                )
            elif name in found:
                help = remove_repeated(line, self.split.lines, "keep one of them")
                self.findings.error("E201", line, f"`{name}` already has a weight", help=help)
            else:
                found[name] = self._weight(line.value, regions, order)
        return found

    def _weight(
        self, node: tree.Value, regions: dict[str, SubsetFacts], order: list[str]
    ) -> float | steps.WeightFormula:
        formula = steps.WeightFormula(self._formula(node, regions, order))
        sizes = [regions[name].size for name in order]
        counts = [regions[name].class_count for name in order]
        used = _mentioned(formula.formula)
        if any((sizes if kind == "size" else counts)[i] is None for kind, i in used):
            return formula
        try:
            weight = formula.value(tuple(s or 0 for s in sizes), tuple(c or 0 for c in counts))
            reason = "" if 0 <= weight < float("inf") else "is negative" if weight < 0 else "is not finite"
        except ZeroDivisionError:
            weight, reason = 0.0, "divides by zero"
        except OverflowError:
            weight, reason = 0.0, "is not finite"
        if reason:
            named = ", ".join(
                f"|{order[i]}| = {sizes[i]:,}" if kind == "size" else f"classes({order[i]}) = {counts[i]}"
                for kind, i in sorted(used)
            )
            value = f" ({weight:g})" if reason == "is negative" else ""
            self.findings.reject(
                "E405",
                node,
                f"this weight {reason}{value}{self._where_in_sweep()}",
                f"{named}" if named else "",
                "a loss weight is a finite number that is at least 0",
            )
        return weight

    def _formula(self, node: tree.Value, regions: dict[str, SubsetFacts], order: list[str]) -> Any:
        match node:
            case tree.Parameter():
                return self._formula(values.lookup(node, self.at), regions, order)
            case tree.Conditional():
                chosen = node.value if values.holds(node.condition, self.at, self.findings) else node.otherwise
                return self._formula(chosen, regions, order)
            case tree.Size():
                return self._size_of(node, regions, order)
            case tree.Call() if node.name.text == "classes" and len(node.arguments) == 1:
                argument = node.arguments[0].value
                if isinstance(argument, tree.Name):
                    return ("classes", self._index(argument, regions, order))
            case tree.Negative():
                return ("-", self._formula(node.operand, regions, order))
            case tree.Binary():
                return (
                    node.operator,
                    self._formula(node.left, regions, order),
                    self._formula(node.right, regions, order),
                )
        value = evaluate(node, self.at, self.findings)
        if isinstance(value, (Num, Share)):
            return value.value
        self.findings.reject(
            "E301",
            node,
            f"`{node.span.text}` is {describe(value)}, a weight is a number",
            help="compute with numbers, `|A|` and `classes(A)`",
        )

    def _size_of(self, node: tree.Size, regions: dict[str, SubsetFacts], order: list[str]) -> Any:
        if node.subset.text == "train" and "train" not in regions:
            if self.total is None:
                self.findings.reject(
                    "E305", node, "the size of the training set is not known yet", help="write a number"
                )
            return float(self.total)
        return ("size", self._index(node.subset, regions, order))

    def _index(self, name: tree.Name, regions: dict[str, SubsetFacts], order: list[str]) -> int:
        if name.text in regions:
            return order.index(name.text)
        help = did_you_mean(name.text, regions, name.span) or f"its subsets are {', '.join(regions)}"
        self.findings.reject("E206", name, f"split `{self.split.name.text}` has no subset `{name.text}`", help=help)


def _mentioned(formula: Any) -> set[tuple[str, int]]:
    if not isinstance(formula, tuple):
        return set()
    if formula[0] in ("size", "classes"):
        return {(formula[0], formula[1])}
    return set().union(*(_mentioned(part) for part in formula[1:]))


def _free_name(regions: dict[str, SubsetFacts]) -> str:
    return next(name for name in "BCDEFGHIJKLMNOPQRSTUVWXYZA" if name not in regions)
