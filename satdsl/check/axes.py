"""Read `sweep` statements: which values each axis takes, and which combinations of values exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isclose

from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.values import Environment, Num, Share, SweptEnvironment, branch, evaluate, label, parameters
from satdsl.hints import Hint, write
from satdsl.records import Record, record
from satdsl.syntax import tree

MOST_COUNTED = 20
"""The largest single value of an axis that may have been written for a number of values."""

MOST_VALUES = 100_000


@record
class AxisValue(Record):
    """A value on an axis: its name in tables and brackets, and the expression it stands for."""

    label: str
    node: tree.Value


Combination = dict[str, AxisValue]


@record
class Point(Record):
    """A point of the sweep: what each `$name` stands for there, and the label of the value of each axis."""

    environment: Environment
    labels: dict[str, str]


class Axes:
    """All sweep axes, with what each depends on, and the params."""

    def __init__(
        self, params: Environment, classes_of: Callable[[tree.Name], tuple[str, ...]], findings: FindingCollector
    ):
        self.params = dict(params)
        self.lines: list[tree.Axis] = []
        self._line_of: dict[str, tree.Axis] = {}
        self._classes_of = classes_of
        self._findings = findings
        self._points: dict[frozenset[str], list[Combination]] = {}
        self._every: dict[str, tuple[AxisValue, ...]] = {}
        self.meant: dict[tuple[int, str], str] = {}
        self._values: dict[tuple[int, tuple[str, ...]], list[tuple[AxisValue, ...]]] = {}

    def add(self, line: tree.Axis) -> None:
        """Declare an axis; those it depends on must have been added before."""
        self.lines.append(line)
        for name in line.names:
            self._line_of[name.text] = line

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name.text for line in self.lines for name in line.names)

    def is_set(self, name: str) -> bool:
        """Return whether `--set` gave this axis its values, so that what the file says of others is no mistake."""
        line = self._line_of.get(name)
        return line is not None and line.span.source.path.startswith("--set ")

    def is_open(self, name: str) -> bool:
        """Return whether `--set` decides which values an axis has: it gives them, or something that decides them."""
        waiting, seen = [name], set[str]()
        while waiting:
            name = waiting.pop()
            node = self._line_of[name].value if name in self._line_of else self.params.get(name)
            if name in seen or node is None:
                continue
            if node.span.source.path.startswith("--set "):
                return True
            seen.add(name)
            waiting += [parameter.text for parameter in parameters([node])]
        return False

    @property
    def conditional(self) -> frozenset[str]:
        """The axes whose values depend on other axes."""
        return frozenset(name.text for line in self.lines if self.depends_on(line) for name in line.names)

    def used_by(self, nodes: Iterable[object]) -> frozenset[str]:
        """Return the axes that some nodes use, directly or through params and the values of other axes."""
        used: set[str] = set()
        waiting = [parameter.text for parameter in parameters(nodes)]
        while waiting:
            name = waiting.pop()
            if name in used:
                continue
            used.add(name)
            node = self.params.get(name) or (self._line_of[name].value if name in self._line_of else None)
            if name in self.params and node is not None:
                waiting += [parameter.text for parameter in parameters([node])]
            elif node is not None:
                waiting += [p.text for p in parameters(_mentioned(node))]
        return frozenset(used & self._line_of.keys())

    def points(self, axes: frozenset[str]) -> list[Combination]:
        """Return the combinations of the values of `axes` that occur, in the order of declaration."""
        if axes not in self._points:
            self._points[axes] = self._project(axes)
        return self._points[axes]

    def environment(self, combination: Combination) -> Environment:
        labels = {axis: value.label for axis, value in combination.items()}
        nodes = {**self.params, **{axis: value.node for axis, value in combination.items()}}
        return SweptEnvironment(nodes, labels, self)

    def values(self, axis: str) -> tuple[AxisValue, ...]:
        """Return every value that an axis has at some point, in the order of the sweep."""
        if axis not in self._every:
            points = self.points(frozenset([axis]))
            self._every[axis] = tuple({point[axis].label: point[axis] for point in points}.values())
        return self._every[axis]

    def labels(self, axis: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(point[axis].label for point in self.points(frozenset([axis]))))

    def same_values(self, first: tree.Axis, second: tree.Axis) -> bool:
        """Return whether two lines for one name list the same values, as far as that can be seen without other axes."""
        if len(first.names) != len(second.names) or parameters([first.value, second.value]):
            return False
        try:
            return self.expand(first.value, {}) == self.expand(second.value, {})
        except Rejected:
            return True

    def _project(self, axes: frozenset[str]) -> list[Combination]:
        wanted = self.settled_with(axes)
        lines = [line for line in self.lines if wanted & {name.text for name in line.names}]
        combinations: list[Combination] = [{}]
        for line in lines:
            combinations = [
                {**partial, **{name.text: value for name, value in zip(line.names, values, strict=True)}}
                for partial in combinations
                for values in self._line_values(line, partial)
            ]
            if len(combinations) > MOST_VALUES:
                self._findings.error(
                    "E704",
                    line,
                    f"the sweep has more than {MOST_VALUES:,} points",
                    "every point is a training of its own",
                    "give its axes fewer values",
                )
                return []
        unique: dict[tuple[str, ...], Combination] = {}
        ordered = [name for name in self.names if name in axes]
        for point in combinations:
            unique.setdefault(tuple(point[axis].label for axis in ordered), {axis: point[axis] for axis in ordered})
        return list(unique.values())

    def of_one_line(self, axis: str) -> set[str]:
        """Return the axes that move together with one, itself among them."""
        return {name.text for name in self._line_of[axis].names}

    def settled_with(self, axes: frozenset[str]) -> set[str]:
        """Return some axes with all that move together with them or decide their values, directly or not."""
        wanted: set[str] = set()
        waiting = list(axes)
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                line = self._line_of[name]
                wanted |= {n.text for n in line.names}
                waiting += [p for p in self.depends_on(line) if p not in wanted]
        return wanted

    def depends_on(self, line: tree.Axis) -> set[str]:
        """Return the axes that decide which values a line has (not those its values merely mention)."""
        names = {p.text for p in parameters(_choosing(line.value))}
        return {name for name in names if name in self._line_of} | set(
            self.used_by([self.params[name] for name in names if name in self.params])
        )

    def _line_values(self, line: tree.Axis, partial: Combination) -> list[tuple[AxisValue, ...]]:
        depends = tuple(sorted(self.depends_on(line)))
        key = (id(line), tuple(partial[axis].label for axis in depends))
        if key not in self._values:
            try:
                self._values[key] = self._expand_line(line, self.environment(partial))
            except Rejected:
                self._values[key] = []
        return self._values[key]

    def _expand_line(self, line: tree.Axis, at: Environment) -> list[tuple[AxisValue, ...]]:
        values = self.expand(line.value, at)
        if not values:
            self._findings.error("E704", line.value, "this axis has no values", help="give it at least one value")
        if len(line.names) == 1:
            self._warn_of_one_number(line)
            return self._distinct([(value,) for value in values])
        tied: list[tuple[AxisValue, ...]] = []
        for value in values:
            node = value.node
            if not isinstance(node, tree.Tuple) or len(node.values) != len(line.names):
                self._findings.reject(
                    "E703",
                    node,
                    f"`{node.span.text}` does not give a value to each of "
                    + ", ".join(f"`{name.text}`" for name in line.names),
                    help=f"write tuples of {len(line.names)} values: `[(10, 2), (90, 10)]`",
                )
            first, *others = (AxisValue(label(part), part) for part in node.values)
            if value.label != label(node):
                first = AxisValue(value.label, first.node)
            tied.append((first, *others))
        return self._distinct(tied)

    def _distinct(self, values: list[tuple[AxisValue, ...]]) -> list[tuple[AxisValue, ...]]:
        """Leave out what is listed twice; reject a label that names two values of an axis."""
        unique: dict[tuple[str, ...], tuple[AxisValue, ...]] = {}
        named: dict[tuple[int, str], tree.Value] = {}
        for value in values:
            unique.setdefault(tuple(part.label for part in value), value)
            for place, other in enumerate(value):
                if named.setdefault((place, other.label), other.node) != other.node:
                    self._findings.reject(
                        "E201",
                        other.node,
                        f"`{other.label}` already names another value of this axis",
                        "a label picks one value",
                        "give it another label",
                    )
        return list(unique.values())

    def expand(self, node: tree.Value, at: Environment) -> list[AxisValue]:
        """Return the values that an axis's right-hand side lists."""
        match node:
            case tree.Conditional():
                return self.expand(branch(node, at, self._findings), at)
            case tree.Listing():
                return [value for item in node.items for value in self._item(item, at)]
            case tree.Range():
                return [AxisValue(label(n), n) for n in self._range(node, at)]
            case tree.ClassesOf():
                names = self._classes_of(node.dataset)
                return [AxisValue(name, tree.Text(node.span, name)) for name in names]
            case tree.Parameter() if node.text in at:
                return self.expand(at[node.text], at)
            case tree.Name() | tree.Text() | tree.Number() | tree.Percent() | tree.Negative() | tree.Tuple():
                return [AxisValue(label(node), node)]
        return [AxisValue(label(node), node)]

    def _warn_of_one_number(self, line: tree.Axis) -> None:
        """Ask whether `seed = 3` means three seeds; another number than a count can hardly mean a range."""
        node, name = line.value, line.names[0].text
        if isinstance(node, tree.Number) and node.value in range(2, MOST_COUNTED + 1) and not self.is_set(name):
            message, reason = (
                f"the axis `{name}` has one value",
                f"this is {name} {node.value:g}, and no number of values",
            )
            help = f"write `{name} = 1..{node.value:g}` if that is meant, or else the value where `${name}` stands"
            self._findings.warn("E729", node, message, reason, help)

    def _warn_of_end(self, node: tree.Range, last: float, percent: bool) -> None:
        """Warn of a range whose end no step meets."""
        start, stop, step = (part.span.text if part is not None else "1" for part in (node.start, node.stop, node.step))
        message = f"no step of `{node.span.text}` meets its end: the last value is {_text(last, percent)}, not {stop}"
        reason = f"a range counts up from {start} by {step}, and has its end only where a step falls on it"
        help = f"end it at {_text(last, percent)} if that is meant, or list the values between brackets"
        self._findings.warn("E717", node, message, reason, help)

    def _item(self, item: tree.Item, at: Environment) -> list[AxisValue]:
        if item.label is not None:
            return [AxisValue(label(item.label), item.value)]
        return [AxisValue(value.label, value.node) for value in self.expand(item.value, at)]

    def _range(self, node: tree.Range, at: Environment) -> list[tree.Number | tree.Percent]:
        ends = [evaluate(end, at, self._findings) for end in (node.start, node.stop)]
        kind = type(ends[0])
        if node.step is not None:
            step = evaluate(node.step, at, self._findings)
        else:
            step = Share(0.01) if kind is Share else Num(1)
        if kind not in (Num, Share) or any(type(value) is not kind for value in (*ends, step)):
            self._findings.reject(
                "E702",
                node,
                f"`{node.span.text}` mixes units",
                help=_with_percent_step(node),
            )
        start, stop, by = (value.value for value in (*ends, step) if isinstance(value, (Num, Share)))
        count = int((stop - start) / by + 1e-9) + 1 if by > 0 else 0
        if count < 1 or stop < start or count > MOST_VALUES:
            self._findings.reject(
                "E702",
                node,
                f"`{node.span.text}` has no values"
                if count <= MOST_VALUES
                else f"`{node.span.text}` has more than {MOST_VALUES:,} values",
                "a range counts up from its first end to its last, both included",
                "make the last end larger than the first, and the step positive",
            )
        numbers = [round(start + i * by, 12) for i in range(count)]
        if not isclose(numbers[-1], stop, rel_tol=1e-9, abs_tol=1e-9):
            self._warn_of_end(node, numbers[-1], kind is Share)
        if kind is Share:
            return [tree.Percent(node.span, round(100 * value, 10)) for value in numbers]
        return [tree.Number(node.span, value) for value in numbers]


def _text(number: float, percent: bool) -> str:
    return f"{100 * number:.10g}%" if percent else f"{number:.10g}"


def _with_percent_step(node: tree.Range) -> Hint:
    """Return the fix of `10%..90% step 10`, whose step lacks its percent sign."""
    help, step = "write both ends and the step in the same unit: `10%..90% step 10%`", node.step
    percents = isinstance(node.start, tree.Percent) and isinstance(node.stop, tree.Percent)
    if percents and isinstance(step, tree.Number) and step.value >= 1:
        return write(step.span, f"{step.value:g}%", help)
    return Hint(help)


def _mentioned(node: tree.Value) -> list[tree.Value]:
    """Return the parts of an axis's right-hand side that are its values."""
    if isinstance(node, tree.Conditional):
        return _mentioned(node.value) + _mentioned(node.otherwise)
    return [] if isinstance(node, tree.Range) else [node]


def _choosing(node: tree.Value) -> list[object]:
    """Return the parts of an axis's right-hand side that decide which values it has."""
    if isinstance(node, tree.Conditional):
        return [node.condition, *_choosing(node.value), *_choosing(node.otherwise)]
    if isinstance(node, tree.Range):
        return [node]
    return []
