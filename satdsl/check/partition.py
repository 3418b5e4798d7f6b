"""Read a split at one point of the sweep: every example belongs to one subset, and each subset has a loss weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NoReturn

from satdsl.check import shares, values
from satdsl.check.collector import Rejected
from satdsl.check.fixes import remove_repeated
from satdsl.check.repicked_subsets import not_finished
from satdsl.check.subset_facts import SubsetFacts, overlap
from satdsl.check.subsets import SubsetReader
from satdsl.check.values import Num, Share, describe, evaluate
from satdsl.hints import listed, suggest
from satdsl.ir import steps
from satdsl.ir.experiment import SplitDefinition
from satdsl.syntax import tree

WHOLE = "every example belongs to one subset"


class SplitReader(SubsetReader):
    """Reads a whole split. `subsets` has the facts of each subset, in the order of the lines."""

    def read(self, dataset_name: str, complete: bool) -> SplitDefinition:
        """Return the split; where it is not `complete`, leave out the checks that need every line."""
        self.complete = complete
        self.subsets = {name: self.declared(name) for name in self.lines}
        self._settle_rest()
        if complete:
            self._check_cover()
        weights = self._weights() if complete else {}
        shared = self._shares(weights) if complete else {}
        facts = self.subsets.values()
        return SplitDefinition(
            dataset=dataset_name,
            names=tuple(self.subsets),
            subsets=tuple(one.definition for one in facts),
            sizes=tuple(one.size for one in facts),
            classes=tuple(None if one.classes is None else tuple(sorted(one.classes)) for one in facts),
            class_counts=tuple(one.class_count for one in facts),
            weights=tuple(weights.get(name, 1.0) for name in self.subsets),
            rankings=tuple(self.rankings.values()),
            by_class=all(one.unit == "classes" for one in facts),
            every=self.every,
            shares=tuple(shared.get(name) for name in self.subsets) if shared else (),
        )

    @property
    def _name(self) -> str:
        return self.split.name.text

    # --- the partition ---

    def _settle_rest(self) -> None:
        """State what is known of the `rest`: it has all that the others have not."""
        rests = [name for name, facts in self.subsets.items() if facts.is_rest]
        for name in rests[1:]:
            message, help = f"`{rests[0]}` is already the rest", "only one subset can be `rest`"
            self.findings.reject("E403", self.lines[name], message, help=help)
        if not rests:
            return
        others = [facts for facts in self.subsets.values() if not facts.is_rest]
        by_class = all(facts.unit == "classes" for facts in others)
        classes = None
        if all(facts.classes is not None for facts in others):
            taken = frozenset[int]().union(*(facts.classes for facts in others if facts.classes is not None))
            classes = frozenset(range(len(self.class_names))) - taken
        size = _left_of(self.total, [facts.size for facts in others])
        class_count = _left_of(len(self.class_names), [facts.class_count for facts in others]) if by_class else None
        unit: Literal["examples", "classes"] = "classes" if by_class else "examples"
        self.subsets[rests[0]] = SubsetFacts(steps.Rest(), size, classes, class_count, unit)

    def _check_cover(self) -> None:
        if not self.subsets:
            message = f"split `{self._name}` has no subsets"
            self.findings.reject("E403", self.split.name, message, help="write `A = ...` and `B = rest`")
        self._check_overlaps()
        for name, facts in self.subsets.items():
            if facts.size is not None and facts.size <= 0:
                self.findings.reject(
                    "E404",
                    self.lines[name],
                    f"subset `{name}` is empty{self._where_in_sweep()}",
                    "a subset without examples can be neither attacked nor weighted",
                    "leave the subset out, or give it examples",
                )
        left = _left_of(self.total, [facts.size for facts in self.subsets.values()])
        if left is not None and left > 0:
            free_name = next(name for name in "BCDEFGHIJKLMNOPQRSTUVWXYZA" if name not in self.subsets)
            self.findings.reject(
                "E403",
                self.split.name,
                f"the subsets of `{self._name}` leave out {left:,} of {self.total:,} examples{self._where_in_sweep()}",
                "the subsets together cover the training set",
                f"add a subset for them: `{free_name} = rest`",
            )

    def _check_overlaps(self) -> None:
        names = list(self.subsets)
        for i, name in enumerate(names):
            for other in names[:i]:
                if shared := overlap(self.subsets[other], self.subsets[name], self.total):
                    self._overlapping(other, name, shared)
        sizes = [facts.size for facts in self.subsets.values() if facts.size]
        if self.total is not None and sum(sizes) > self.total:
            added = " + ".join(f"{size:,}" for size in sizes)
            message = f"the subsets of `{self._name}` overlap: {added} examples, but there are only {self.total:,}"
            self.findings.reject("E402", self.split.name, message + self._where_in_sweep(), WHOLE)

    def _overlapping(self, first: str, second: str, shared: int) -> NoReturn:
        left, right = self.subsets[first], self.subsets[second]
        what = f"{shared:,} examples"
        if left.classes is not None and right.classes is not None:
            both = [self.class_names[c] for c in sorted(left.classes & right.classes)]
            what = f"class{'es' * (len(both) > 1)} {listed(both, 8)}"
        self.findings.reject(
            "E402",
            self.lines[second],
            f"subsets `{first}` and `{second}` overlap in {what}{self._where_in_sweep()}",
            WHOLE,
            f"write `{second} = rest`, or take the other subset out with `- {first}`",
            related=((self.lines[first].span, f"`{first}` is defined here"),),
        )

    def _where_in_sweep(self) -> str:
        used = dict.fromkeys(p.text for p in values.parameters([self.split]) if p.text in self.at)
        point = ", ".join(f"${name} = {values.label(self.at[name])}" for name in used)
        return f" (at {point})" if point else ""

    # --- weights and shares ---

    def _shares(self, weights: Mapping[str, steps.Weight]) -> dict[str, float]:
        where = self._where_in_sweep()
        found = shares.shares(self.split, self.subsets, self.at, where, self.findings)
        if found:
            shares.something_is_learned(self.split, found, self.subsets, weights, where, self.findings)
        return found

    def _weights(self) -> dict[str, steps.Weight]:
        found: dict[str, steps.Weight] = {}
        lines = [line for line in self.split.lines if isinstance(line, tree.WeightLine)]
        for line in lines:
            name = line.subset.text
            if name not in self.subsets:
                self._no_subset(line.subset)
            elif name in found:
                help = remove_repeated(line, self.split.lines, "keep one of them")
                self.findings.error("E201", line, f"`{name}` already has a weight", help=help)
            else:
                given = line.value
                found[name] = self._of_images(given) if isinstance(given, tree.ScoresIn) else self._weight(given)
        if lines and all(found.get(name, 1.0) == 0 for name in self.subsets):
            message, reason = "all subsets have the loss weight 0", "there is nothing to learn from"
            self.findings.reject("E405", lines[0], message, reason, "give one of them a weight above 0")
        return found

    def _of_images(self, node: tree.ScoresIn) -> steps.ImageWeights:
        """Return a loss weight for each image, from a file."""
        path, digest = self._file(node, "weights")
        return steps.ImageWeights(digest, path)

    def _weight(self, node: tree.Value) -> float | steps.WeightFormula:
        """Return a weight as a number, or as a formula where a size in it is known only after scoring."""
        formula = steps.WeightFormula(self._formula(node))
        facts = list(self.subsets.values())
        sizes, counts = [one.size for one in facts], [one.class_count for one in facts]
        used = _mentioned(formula.formula)
        if any((sizes if kind == "size" else counts)[i] is None for kind, i in used):
            return formula
        try:
            weight = formula.value(tuple(s or 0 for s in sizes), tuple(c or 0 for c in counts))
            fault = "" if 0 <= weight < float("inf") else f"is negative ({weight:g})" if weight < 0 else "is not finite"
        except ZeroDivisionError:
            fault = "divides by zero"
        except OverflowError:
            fault = "is not finite"
        if not fault:
            return weight
        names = list(self.subsets)
        mentioned = ", ".join(
            f"|{names[i]}| = {sizes[i]:,}" if kind == "size" else f"classes({names[i]}) = {counts[i]}"
            for kind, i in sorted(used)
        )
        message = f"this weight {fault}{self._where_in_sweep()}"
        self.findings.reject("E405", node, message, mentioned, "a loss weight is a finite number that is at least 0")

    def _formula(self, node: tree.Value) -> Any:
        """Return the nested tuples of a `WeightFormula`."""
        match node:
            case tree.Parameter():
                return self._formula(values.lookup(node, self.at))
            case tree.Conditional():
                return self._formula(values.branch(node, self.at, self.findings))
            case tree.Size():
                return self._size(node)
            case tree.Call(arguments=(tree.Argument(value=tree.Name() as subset),)) if node.name.text == "classes":
                if self.every is not None:
                    not_finished(node, f"`{node.span.text}`", self._name, self.findings)
                return ("classes", self._index(subset))
            case tree.Negative():
                return ("-", self._formula(node.operand))
            case tree.Binary():
                return (node.operator, self._formula(node.left), self._formula(node.right))
        value = evaluate(node, self.at, self.findings)
        if isinstance(value, (Num, Share)):
            return value.value
        message = f"`{node.span.text}` is {describe(value)}, and a weight is a number"
        self.findings.reject("E301", node, message, help="compute with numbers, `|A|` and `classes(A)`")

    def _size(self, node: tree.Size) -> Any:
        if node.subset.text != "train" or "train" in self.subsets:
            return ("size", self._index(node.subset))
        if self.total is None:
            self.findings.reject("E305", node, "the size of the training set is not known yet", help="write a number")
        return float(self.total)

    def _index(self, name: tree.Name) -> int:
        if name.text not in self.subsets:
            self._no_subset(name)
            raise Rejected
        return list(self.subsets).index(name.text)

    def _no_subset(self, name: tree.Name) -> None:
        help = suggest(name.text, self.subsets, name.span, "its subsets are")
        self.findings.error("E206", name, f"split `{self._name}` has no subset `{name.text}`", help=help)


def _left_of(total: int | None, parts: list[int | None]) -> int | None:
    """Return what is left of a total without its parts, None where one of these numbers is not known."""
    known = [part for part in parts if part is not None]
    return total - sum(known) if total is not None and len(known) == len(parts) else None


def _mentioned(formula: Any) -> set[tuple[str, int]]:
    """Return the sizes and the numbers of classes that a formula uses."""
    if not isinstance(formula, tuple):
        return set()
    if formula[0] in ("size", "classes"):
        return {(formula[0], formula[1])}
    return set().union(*(_mentioned(part) for part in formula[1:]))
