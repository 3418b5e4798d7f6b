"""Build the syntax tree from Lark's parse tree, with one method for each rule of the grammar."""

from __future__ import annotations

from typing import Any

from lark import Token, Tree
from lark.tree import Meta

from satdsl.findings import Source, Span
from satdsl.syntax import tree


def _of(items: tuple[Any, ...], *kinds: type) -> tuple[Any, ...]:
    return tuple(item for item in items if isinstance(item, kinds))


def _first(found: tuple[Any, ...]) -> Any:
    return found[0] if found else None


class Builder:
    """Builds the nodes of one statement, which begins at `offset` of the source."""

    def __init__(self, source: Source, offset: int) -> None:
        self.source = source
        self.offset = offset

    def build(self, parsed: Any) -> Any:
        """Return the node of a parse tree. The method of its rule takes its place and the nodes of its parts."""
        if not isinstance(parsed, Tree):
            return parsed
        return getattr(self, parsed.data)(parsed.meta, *map(self.build, parsed.children))

    def _span(self, meta: Meta | Token) -> Span:
        limit = len(self.source.text)
        start, end = (min(self.offset + (place or 0), limit) for place in (meta.start_pos, meta.end_pos))
        return Span(self.source, start, end)

    def _string(self, token: Token) -> tree.Text:
        return tree.Text(self._span(token), str(token)[1:-1])

    # values

    def name(self, meta: Meta, token: Token) -> tree.Name:
        return tree.Name(self._span(meta), str(token))

    def parameter(self, meta: Meta, token: Token) -> tree.Parameter:
        return tree.Parameter(self._span(meta), str(token)[1:])

    def number(self, meta: Meta, token: Token) -> tree.Number:
        return tree.Number(self._span(meta), float(token))

    def percent(self, meta: Meta, token: Token) -> tree.Percent:
        return tree.Percent(self._span(meta), float(token[:-1]))

    def text(self, meta: Meta, token: Token) -> tree.Text:
        return self._string(token)

    def bare(self, meta: Meta, name: tree.Name) -> tree.Name:
        return name

    def word(self, meta: Meta, word: tree.Word) -> tree.Word:
        return word

    def size(self, meta: Meta, name: tree.Name) -> tree.Size:
        return tree.Size(self._span(meta), name)

    def classes_of(self, meta: Meta, _classes: Token, dataset: tree.Name) -> tree.ClassesOf:
        return tree.ClassesOf(self._span(meta), dataset)

    def selector(self, meta: Meta, axis: tree.Name, value: Any) -> tree.Selector:
        return tree.Selector(self._span(meta), axis, value)

    def selectors(self, meta: Meta, *selectors: tree.Selector) -> tuple[tree.Selector, ...]:
        return selectors

    def reference(self, meta: Meta, owner: tree.Name, result: tree.Name, selectors: Any = ()) -> tree.Reference:
        return tree.Reference(self._span(meta), owner, result, selectors)

    def point(self, meta: Meta, name: tree.Word, selectors: Any = ()) -> tree.PointOf:
        return tree.PointOf(self._span(meta), name, selectors)

    def argument(self, meta: Meta, name: tree.Name | None, value: Any) -> tree.Argument:
        return tree.Argument(self._span(meta), name, value)

    def call(self, meta: Meta, name: tree.Name, *arguments: tree.Argument) -> tree.Call:
        return tree.Call(self._span(meta), name, tuple(a for a in arguments if a is not None))

    def predicted(self, meta: Meta, name: tree.Name, selectors: Any, image: tree.Name) -> tree.Predicted:
        span = self._span(meta)
        model = Span(span.source, span.start, selectors[-1].span.end + 1)
        return tree.Predicted(span, tree.PointOf(model, name, selectors), image)

    def negative(self, meta: Meta, operand: Any) -> tree.Negative:
        return tree.Negative(self._span(meta), operand)

    def plus(self, meta: Meta, left: Any, right: Any) -> tree.Binary:
        return tree.Binary(self._span(meta), "+", left, right)

    def minus(self, meta: Meta, left: Any, right: Any) -> tree.Binary:
        return tree.Binary(self._span(meta), "-", left, right)

    def times(self, meta: Meta, left: Any, right: Any) -> tree.Binary:
        return tree.Binary(self._span(meta), "*", left, right)

    def over(self, meta: Meta, left: Any, right: Any) -> tree.Binary:
        return tree.Binary(self._span(meta), "/", left, right)

    def ranged(self, meta: Meta, start: Any, stop: Any, step: Any) -> tree.Range:
        return tree.Range(self._span(meta), start, stop, step)

    def around(self, meta: Meta, centre: Any, within: Any) -> tree.Around:
        return tree.Around(self._span(meta), centre, within)

    def entry(self, meta: Meta, name: tree.Name, value: Any) -> tree.Argument:
        return tree.Argument(self._span(meta), name, value)

    def settings(self, meta: Meta, *entries: tree.Argument) -> tree.Settings:
        return tree.Settings(self._span(meta), tuple(e for e in entries if e is not None))

    def item(self, meta: Meta, label: tree.Label | None, value: Any) -> tree.Item:
        return tree.Item(self._span(meta), label, value)

    def listing(self, meta: Meta, *items: tree.Item) -> tree.Listing:
        return tree.Listing(self._span(meta), tuple(i for i in items if i is not None))

    def tuple_of(self, meta: Meta, *values: Any) -> tree.Tuple:
        return tree.Tuple(self._span(meta), values)

    def comparison(self, meta: Meta, left: Any, operator: Token, right: Any) -> tree.Comparison:
        return tree.Comparison(self._span(meta), str(operator), left, right)

    def condition(self, meta: Meta, *comparisons: tree.Comparison) -> tree.Condition:
        return tree.Condition(self._span(meta), comparisons)

    def conditional(self, meta: Meta, value: Any, condition: tree.Condition, otherwise: Any) -> tree.Conditional:
        return tree.Conditional(self._span(meta), value, condition, otherwise)

    # subsets

    def order(self, meta: Meta, token: Token) -> tree.Word:
        if token.type == "PARAM":
            return tree.Parameter(self._span(meta), str(token)[1:])
        return tree.Name(self._span(meta), str(token))

    def score(self, meta: Meta, token: Token) -> tree.Word:
        return self.order(meta, token)

    def score_of(self, meta: Meta, score: tree.Word, model: tree.PointOf, attack: tree.Word | None) -> tree.ScoreOf:
        return tree.ScoreOf(self._span(meta), score, model, attack)

    def score_of_itself(self, meta: Meta, score: tree.Word) -> tree.ScoreOfItself:
        return tree.ScoreOfItself(self._span(meta), score)

    def anew(self, meta: Meta, every: tree.EveryEpochs) -> tree.Anew:
        return tree.Anew(self._span(meta), every.epochs)

    def scores_in(self, meta: Meta, path: Token) -> tree.ScoresIn:
        return tree.ScoresIn(self._span(meta), self._string(path))

    def ranking_in(self, meta: Meta, path: Token) -> tree.RankingIn:
        return tree.RankingIn(self._span(meta), self._string(path))

    def per_class(self, meta: Meta, _class: Token) -> tree.PerClass:
        return tree.PerClass(self._span(meta))

    def within(self, meta: Meta, subset: Any) -> tree.Within:
        if isinstance(subset, tree.Name):
            subset = tree.NamedSubset(subset.span, subset)
        return tree.Within(self._span(meta), subset)

    def by_ranking(self, meta: Meta, ranking: tree.Ranking) -> tree.Ranking:
        return ranking

    def with_seed(self, meta: Meta, value: Any) -> tree.WithSeed:
        return tree.WithSeed(self._span(meta), value)

    def named_subset(self, meta: Meta, name: tree.Name) -> tree.NamedSubset:
        return tree.NamedSubset(self._span(meta), name)

    def class_name(self, meta: Meta, given: Any) -> Any:
        if isinstance(given, tree.Name):
            return given
        if given.type == "STRING":
            return self._string(given)
        return self.number(meta, given) if given.type == "NUMBER" else self.parameter(meta, given)

    class_number = class_name

    def class_range(self, meta: Meta, first: Any, last: Any) -> tree.Range:
        return tree.Range(self._span(meta), first, last, None)

    def class_subset(self, meta: Meta, _class: Token, *classes: Any) -> tree.ClassSubset:
        return tree.ClassSubset(self._span(meta), classes)

    def pick(self, meta: Meta, order: tree.Word, amount: Any, unit: Token, *modifiers: Any) -> tree.Pick:
        return tree.Pick(
            self._span(meta), order, amount, "classes" if unit.type == "CLASSES" else "examples", modifiers
        )

    def where(self, meta: Meta, _examples: Token, ranking: Any, operator: Token, threshold: Any) -> tree.WhereSubset:
        return tree.WhereSubset(self._span(meta), ranking, str(operator), threshold)

    def listed(self, meta: Meta, _examples: Token, path: Token) -> tree.ListedSubset:
        return tree.ListedSubset(self._span(meta), self._string(path))

    def images_of(self, meta: Meta, dataset: tree.Word) -> tree.ImagesOf:
        return tree.ImagesOf(self._span(meta), dataset)

    def union(self, meta: Meta, left: Any, right: Any) -> tree.CombinedSubset:
        return tree.CombinedSubset(self._span(meta), "+", left, right)

    def difference(self, meta: Meta, left: Any, right: Any) -> tree.CombinedSubset:
        return tree.CombinedSubset(self._span(meta), "-", left, right)

    def intersection(self, meta: Meta, left: Any, right: Any) -> tree.CombinedSubset:
        return tree.CombinedSubset(self._span(meta), "&", left, right)

    # measures

    def clean_accuracy(self, meta: Meta) -> tree.CleanAccuracy:
        return tree.CleanAccuracy(self._span(meta))

    def robust_accuracy(self, meta: Meta, *attacks: tree.Attacked) -> tree.RobustAccuracy:
        return tree.RobustAccuracy(self._span(meta), attacks)

    def robust_curve(self, meta: Meta, *parts: Any) -> tree.RobustCurve:
        return tree.RobustCurve(self._span(meta), parts[:-1], parts[-1])

    def median_distance(self, meta: Meta, *attacks: tree.Word) -> tree.MedianDistance:
        return tree.MedianDistance(self._span(meta), attacks)

    def mean_distance(self, meta: Meta, *attacks: tree.Word) -> tree.MeanDistance:
        return tree.MeanDistance(self._span(meta), attacks)

    def mean_score(self, meta: Meta, score: tree.Word, attack: tree.Word | None) -> tree.MeanScore:
        return tree.MeanScore(self._span(meta), score, attack)

    def own_measure(self, meta: Meta, name: Token, *arguments: tree.Argument) -> tree.OwnMeasure:
        called = tree.Name(self._span(name), str(name))
        return tree.OwnMeasure(self._span(meta), self.call(meta, called, *arguments))

    def attacked(self, meta: Meta, attack: tree.Word, source: tree.PointOf | None) -> tree.Attacked:
        return tree.Attacked(self._span(meta), attack, source)

    def part(self, meta: Meta, *names: tree.Name) -> tree.PartName:
        return tree.PartName(self._span(meta), names[0] if len(names) > 1 else None, names[-1])

    def measured(self, meta: Meta, measure: tree.Measure, *rest: Any) -> tree.Measured:
        return tree.Measured(self._span(meta), measure, _of(rest, tree.PartName), bool(_of(rest, Token)))

    # lines

    def axis(self, meta: Meta, name: tree.Name, value: Any) -> tree.Axis:
        return tree.Axis(self._span(meta), (name,), value)

    def axes(self, meta: Meta, *parts: Any) -> tree.Axis:
        return tree.Axis(self._span(meta), parts[:-1], parts[-1])

    def strongest(self, meta: Meta, *attacks: tree.Word) -> tuple[str, tuple[tree.Word, ...]]:
        return "strongest", attacks

    def each_of(self, meta: Meta, *attacks: tree.Word) -> tuple[str, tuple[tree.Word, ...]]:
        return "mean", attacks

    def one_of(self, meta: Meta, *attacks: tree.Word) -> tuple[str, tuple[tree.Word, ...]]:
        return "drawn", attacks

    def since(self, meta: Meta, first: Any) -> tree.DuringEpochs:
        return tree.DuringEpochs(self._span(meta), first, None)

    def until(self, meta: Meta, *ends: Any) -> tree.DuringEpochs:
        *first, last = _of(ends, tree.Node)
        return tree.DuringEpochs(self._span(meta), first[0] if first else None, last)

    def attack_line(self, meta: Meta, subset: tree.Word, attacks: Any, *rest: tree.Node) -> tree.AttackLine:
        how, words = attacks
        during, scaled = _first(_of(rest, tree.DuringEpochs)), _first(_of(rest, tree.ScoresIn))
        return tree.AttackLine(self._span(meta), subset, words, how, during, scaled)

    def loss_line(self, meta: Meta, subset: tree.Word, value: Any, during: Any = None) -> tree.LossLine:
        return tree.LossLine(self._span(meta), subset, value, during)

    def after_drops(self, meta: Meta) -> tree.AfterDrops:
        return tree.AfterDrops(self._span(meta))

    def at_end(self, meta: Meta) -> tree.AtEnd:
        return tree.AtEnd(self._span(meta))

    def every(self, meta: Meta, *parts: Any) -> tree.EveryEpochs:
        return tree.EveryEpochs(self._span(meta), None if len(parts) == 1 else parts[0])

    def select_line(self, meta: Meta, *parts: Any) -> tree.SelectLine:
        measure = _of(parts, tree.Measure)
        when = _of(parts, tree.AfterDrops, tree.AtEnd, tree.EveryEpochs)
        return tree.SelectLine(self._span(meta), *(measure or (None,)), *(when or (None,)))

    def keep_line(self, meta: Meta, what: Token, every: tree.EveryEpochs) -> tree.KeepLine:
        kept: Any = str(what)
        return tree.KeepLine(self._span(meta), kept, every)

    def seed_line(self, meta: Meta, value: Any) -> tree.SeedLine:
        return tree.SeedLine(self._span(meta), value)

    def start_line(self, meta: Meta, model: tree.PointOf) -> tree.StartLine:
        return tree.StartLine(self._span(meta), model)

    def trained_line(self, meta: Meta, *head: Token) -> tree.TrainedLine:
        return tree.TrainedLine(self._span(meta), whole=not head)

    def head_line(self, meta: Meta, value: Any) -> tree.HeadLine:
        return tree.HeadLine(self._span(meta), value)

    def subset_line(self, meta: Meta, name: tree.Name, subset: Any) -> tree.SubsetLine:
        return tree.SubsetLine(self._span(meta), name, subset)

    def weight_line(self, meta: Meta, _weight: Token, subset: tree.Name, value: Any) -> tree.WeightLine:
        return tree.WeightLine(self._span(meta), subset, value)

    def share_line(self, meta: Meta, subset: tree.Name, value: Any) -> tree.ShareLine:
        return tree.ShareLine(self._span(meta), subset, value)

    def measure_line(self, meta: Meta, name: tree.Name, measured: tree.Measured) -> tree.MeasureLine:
        return tree.MeasureLine(self._span(meta), name, measured)

    # statements

    def statement(self, meta: Meta, statement: tree.Statement) -> tree.Statement:
        return statement

    def version(self, meta: Meta, token: Token) -> tree.Version:
        return tree.Version(self._span(meta), tree.Number(self._span(token), float(token)))

    def title(self, meta: Meta, text: Token) -> tree.Title:
        return tree.Title(self._span(meta), self._string(text))

    def use(self, meta: Meta, path: Token) -> tree.Use:
        return tree.Use(self._span(meta), self._string(path))

    def param(self, meta: Meta, name: tree.Name, value: Any) -> tree.Param:
        return tree.Param(self._span(meta), name, value)

    def sweep(self, meta: Meta, *lines: Any) -> tree.Sweep:
        return tree.Sweep(self._span(meta), _of(lines, tree.Axis))

    def declaration(self, meta: Meta, kind: Token, name: tree.Name, call: tree.Call) -> tree.Declaration:
        declared: Any = str(kind)
        return tree.Declaration(self._span(meta), declared, name, call)

    def joined(self, meta: Meta, kind: Token, name: tree.Name, *parts: Any) -> tree.Joined:
        declared: Any = str(kind)
        return tree.Joined(self._span(meta), declared, name, parts)

    def train(self, meta: Meta, name: Any, model: Any, data: Any, part: Any, recipe: Any, *lines: Any) -> tree.Train:
        return tree.Train(self._span(meta), name, model, data, recipe, _of(lines, tree.Node), part)

    def split(self, meta: Meta, name: Any, dataset: Any, *lines: Any) -> tree.Split:
        return tree.Split(self._span(meta), name, dataset, _of(lines, tree.Node))

    def transfer(self, meta: Meta, name: Any, source: Any, to: Any, recipe: Any, *lines: Any) -> tree.Transfer:
        return tree.Transfer(self._span(meta), name, source, to, recipe, _of(lines, tree.Node))

    def evaluate(self, meta: Meta, *parts: Any) -> tree.Evaluate:
        when = _of(parts, tree.AtEnd, tree.EveryEpochs)
        return tree.Evaluate(self._span(meta), _of(parts, tree.Name), _of(parts, tree.MeasureLine), *when)

    def display(self, meta: Meta, kind: Token, title: Token, call: tree.Call) -> tree.Display:
        shown: Any = str(kind)
        return tree.Display(self._span(meta), shown, self._string(title), call)

    def ranging(self, meta: Meta, axis: tree.Name, values: Any) -> tree.Over:
        return tree.Over(self._span(meta), axis, values)

    def for_all(self, meta: Meta, *over: tree.Over) -> tuple[tree.Over, ...]:
        return over

    def expect(self, meta: Meta, text: Token, *parts: Any) -> tree.Expect:
        *over, condition = parts
        return tree.Expect(self._span(meta), self._string(text), condition, *over)

    def published(self, meta: Meta, source: Token | None, *parts: Any) -> tree.Published:
        *over, what, value = parts
        text = self._string(source) if source is not None else None
        return tree.Published(self._span(meta), text, what, value, *over)

    def label(self, meta: Meta, what: Any, text: Token) -> tree.Labelled:
        return tree.Labelled(self._span(meta), what, self._string(text))
