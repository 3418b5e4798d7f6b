"""Turn a plan into the page that `satdsl explain` prints: rows grouped, readable at 80 columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, TypeVar

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from satdsl.ir.claim_needs import in_blocks, steps_of, steps_of_claims
from satdsl.ir.experiment import EPOCH
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.minutes import Minutes
from satdsl.ir.part_of_plan import closure
from satdsl.ir.plan import Passes, Plan, Point, Result, ResultMeasure, SplitFacts, SubsetSummary, added
from satdsl.ir.steps import Attacks, CatalogCall, Head, Key, Loss, Phase, ScaledAttacks, SeveralAttacks, Step, Train
from satdsl.show import minutes as times
from satdsl.show.document import DONE, shown_reasons, totals
from satdsl.show.numbers import big
from satdsl.show.shared_batches import shared_batches
from satdsl.show.table import Column, Row, Table, Value, count, numeric
from satdsl.show.terminal import Plain

T = TypeVar("T")

MOST_ROWS = 12
"""Rows of one split that are shown; the document has all."""

MOST_CHANGES = 8
"""Rows of what differs from what is stored."""

MOST_LETTERS = 15
"""Of a training's name in one line."""

MOST_CLASSES = 4
"""Classes of a subset that are named; more are counted."""

MOST_CLASS_LETTERS = 40
"""Letters of all the names; longer ones are counted, too."""

KINDS = {
    "data": "data sets",
    "train": "trainings",
    "score": "scorings",
    "split": "splits",
    "evaluate": "evaluations",
    "head": "transfers",
}


Part = str | Table

MORE = " + ?"
"""What stands after a cost that has a part nobody knows."""


def page(
    plan: Plan,
    reasons: Mapping[Key, str],
    because: Mapping[Key, str] = MappingProxyType({}),
    minutes: Minutes | None = None,
) -> RenderableType:
    """Return the whole page. `reasons` has what becomes of each step (`stored`, `not needed`, `new`, ...).

    `because` has in what steps that run differ from stored ones, in short; `minutes` how long those take that run.
    """
    shown: list[RenderableType] = [
        Text(plan.title, style="bold"),
        *([Text(words)] if (words := plan.variant.words) else []),
    ]
    for title, parts in sections(plan, reasons, minutes):
        shown += [Text(""), Text(title, style="bold"), *(Padding(_shown(part), (0, 0, 0, 2)) for part in parts)]
    to_run = sum(reasons[key] not in DONE for key in plan.shown)
    last = Text(f"to run: {to_run:,} of {len(plan.shown):,} steps", style="bold")
    return Group(*shown, *_because(plan, because), Text(""), *_reasons(plan, reasons), last)


def _because(plan: Plan, because: Mapping[Key, str]) -> list[RenderableType]:
    """Return in what steps that run differ from stored ones, those of one name with the same words together."""
    groups = _grouped(because, lambda key: (plan.labels[key].partition("[")[0], because[key]))
    rows: list[Row] = []
    for (name, words), keys in groups[:MOST_CHANGES]:
        rows.append((f"{name} ({len(keys):,})" if len(keys) > 1 else plan.labels[keys[0]], words))
    if len(groups) > MOST_CHANGES:
        rows.append((f"and {len(groups) - MOST_CHANGES:,} more", ""))
    title = Text("Not stored, as these differ from what is", style="bold")
    table = Plain(Table([Column(unbroken=True), Column()], rows))
    note = Text("`satdsl why FILE STEP` says more, and which line of the file it is", style="dim")
    return [Text(""), title, Padding(Group(table, note), (0, 0, 0, 2))] if rows else []


def _shown(part: Part) -> RenderableType:
    if isinstance(part, str):
        return Text(part)
    return Group(Text(part.title), Padding(Plain(part), (0, 0, 0, 2))) if part.title else Plain(part)


def sections(
    plan: Plan, reasons: Mapping[Key, str], minutes: Minutes | None = None
) -> Iterator[tuple[str, list[Part]]]:
    """Give what the page is made of: the title of each section, and the sentences and tables in it."""
    found: tuple[tuple[str, list[Part]], ...] = (
        ("Made small for this smoke run", ["\n".join(plan.smoke)] if plan.smoke else []),
        ("Sweep", _sweep(plan)),
        ("Splits", _splits(plan)),
        ("Trainings", _trainings(plan)),
        ("Shares of batches", [*shared_batches(plan)]),
        ("Results", _results(plan)),
        ("Steps", [_steps(plan, reasons)]),
        ("Cost", [_cost(plan, reasons)]),
        ("Time", times.section(plan, minutes, KINDS)),
        ("Python", _python(plan)),
    )
    yield from ((title, parts) for title, parts in found if parts)


def compact(values: Iterable[str]) -> str:
    """Return a few values as they are, and many by their ends: `10%, 20%, ..., 90%`."""
    listed = list(values)
    return ", ".join(listed) if len(listed) <= 4 else f"{listed[0]}, {listed[1]}, ..., {listed[-1]}"


# --- sections ------------------------------------------------------------------------------------


def _sweep(plan: Plan) -> list[Part]:
    rows: list[Row] = [(f"${name}", count(len(values)), compact(values)) for name, values in plan.axes.items()]
    return [Table([Column(), *numeric(""), Column()], rows)] if rows else []


def _splits(plan: Plan) -> list[Part]:
    """Return a table for each split, with a row for each of its sizes and weights."""
    return [_split_table(found) for _, found in _grouped(plan.splits, lambda split: split.name)]


def _split_table(found: list[SplitFacts]) -> Table:
    names = [subset.name for subset in found[0].subsets]
    groups = _grouped(
        found, lambda split: tuple((one.size, one.class_count, one.weight, one.share) for one in split.subsets)
    )
    rows: list[Row] = []
    for _, same in groups[:MOST_ROWS]:
        cells = [_subset(alike) for alike in zip(*(split.subsets for split in same), strict=True)]
        rows.append((_points(same, found), count(len(same)), *cells))
    if len(groups) > MOST_ROWS:
        rows.append((f"and {len(groups) - MOST_ROWS} more like these", "", *[""] * len(names)))
    title = f"{found[0].name} of {found[0].dataset}: {len(found)} split{'s' * (len(found) > 1)}"
    return Table([Column("at"), *numeric("runs", *names)], rows, title)


def _subset(alike: Sequence[SubsetSummary]) -> Value:
    """Return what some instances of a subset have in common: `5,000, weight 9, cat`."""
    first = alike[0]
    words = [f"{first.size:,}" if first.size is not None else first.known]
    if first.weighted_by_image:
        words.append("weighted by image")
    elif first.weight != 1:
        words.append(f"weight {first.weight:.4g}" if first.weight is not None else f"weight {first.known}")
    if first.share is not None:
        words.append(f"{100 * first.share:.4g}% of each batch")
    if first.anew is not None:
        words.append("anew every epoch" if first.anew == 1 else f"anew every {first.anew} epochs")
    if first.class_count is not None:
        named = first.classes if all(one.classes == first.classes for one in alike) else None
        words.append(_few_classes(named) or f"{first.class_count} class{'es' * (first.class_count != 1)}")
    return Value(", ".join(words), first.size)


def _few_classes(names: Sequence[str] | None) -> str:
    """Return the names of a few classes: `cat, dog`; `classes 3, 8` where they could be taken for other numbers."""
    if not names or len(names) > MOST_CLASSES or len(text := ", ".join(names)) > MOST_CLASS_LETTERS:
        return ""
    if any(name[:1].isdigit() for name in names):
        return f"class{'es' * (len(names) > 1)} {text}"
    return text


def _points(same: list[SplitFacts], every: list[SplitFacts]) -> str:
    """Return the place of some instances in the sweep, by the axes in which they differ from the others."""
    words = []
    for axis in dict(same[0].point):
        mine = dict.fromkeys(dict(split.point)[axis] for split in same)
        elsewhere = {_without(axis, split.point) for split in every if dict(split.point)[axis] not in mine}
        if elsewhere & {_without(axis, split.point) for split in same}:
            words.append(f"{axis}={compact(mine)}")
    return "; ".join(words)


def _without(axis: str, point: Point) -> Point:
    return tuple(entry for entry in point if entry[0] != axis)


def _trainings(plan: Plan) -> list[Part]:
    rows: list[Row] = []
    for name, points in plan.named.items():
        keys = list(dict.fromkeys(key for _, key in points if key in plan.steps))
        steps = [step for key in keys if isinstance((step := plan.steps[key]).settings, Train | Head)]
        settings = [one for step in steps if isinstance(one := step.settings, Train | Head)]
        if not settings:
            continue
        epochs = [one.recipe["epochs"] for one in settings]
        rows.append(
            (
                _broken(name),
                count(len(keys)),
                compact(dict.fromkeys(map(_model, settings))),
                Value(compact(dict.fromkeys(map(str, epochs))), epochs[0]),
                compact(dict.fromkeys(_attacks(step, plan.labels) for step in steps)),
                _between([plan.passes.get(key, Passes()) for key in keys]),
            )
        )
    columns = [
        Column("name", unbroken=True),
        *numeric("runs"),
        Column("model", unbroken=True),
        *numeric("epochs"),
        Column("attacked with"),
        *numeric("passes each"),
    ]
    return [Table(columns, rows)] if rows else []


def _broken(name: str) -> str:
    """Return a name, broken into lines that end in `_` if it is long."""
    lines = [""]
    for piece in re.findall(r"[^_]*_|[^_]+", name):
        if lines[-1] and len(lines[-1]) + len(piece) > MOST_LETTERS:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _between(passes: list[Passes]) -> Value:
    """Return the least and the most cost, `29.6 to 88.3 M`, with the unit once if both have the same."""
    costs = [one.cost for one in passes]
    least, most = big(min(costs)), big(max(costs))
    more = MORE * any(one.unknown for one in passes)
    if least == most:
        return Value(most + more, min(costs))
    number, _, unit = least.partition(" ")
    shown = f"{number} to {most}" if unit and most.endswith(f" {unit}") else f"{least} to {most}"
    return Value(shown + more, min(costs))


def _model(settings: Train | Head) -> str:
    if isinstance(settings, Head):
        return f"head: {settings.head.name}"
    if settings.head is not None:
        return f"{settings.model.name}, new head: {settings.head.name}"
    if settings.pretrained is None:
        return settings.model.name
    note = f" ({settings.pretrained.note})" if settings.pretrained.note else ""
    return f"{settings.model.name}, pretrained{note}"


def _attacks(step: Step, labels: Mapping[Key, str]) -> str:
    """Return with what the subsets of a training are attacked; other networks are called what the file calls them."""
    subsets = step.settings.subsets if isinstance(step.settings, Train) else ()
    names = {role: labels[source].partition(" ")[2].partition("[")[0] for role, source in step.inputs}
    found = [
        _when(place, one.phases) + attacks_text(phase.attack) + _loss_text(phase.loss, names)
        for one in subsets
        if one.changes or one.attack is not None or one.loss is not None
        for place, phase in enumerate(one.phases)
    ]
    return compact(dict.fromkeys(found)) or "nothing"


def _when(place: int, phases: Sequence[Phase]) -> str:
    """Return in which epochs a phase is, `epochs 1 to 20: `; nothing for the only one."""
    if len(phases) == 1:
        return ""
    first = phases[place].first
    if place == len(phases) - 1:
        return f"from epoch {first}: "
    last = phases[place + 1].first - 1
    return f"epoch {first}: " if first == last else f"epochs {first} to {last}: "


def attacks_text(choice: Attacks | None) -> str:
    """Return what attacks a subset, in short: `the strongest of pgd-7 Linf 0.1, pgd-7 L2 0.5`."""
    if isinstance(choice, ScaledAttacks):
        return f"{attacks_text(choice.attacks)} scaled by image"
    if not isinstance(choice, SeveralAttacks):
        return "nothing" if choice is None else attack_text(choice)
    words = {"strongest": "the strongest of ", "mean": "each of ", "drawn": "one of "}[choice.how]
    return words + ", ".join("clean" if one is None else attack_text(one) for one in choice.attacks)


def _loss_text(loss: Loss | None, names: Mapping[str, str]) -> str:
    """Return a loss in short, ` (trades 6)`; nothing for the cross-entropy that is meant where none is named."""
    if loss is None:
        return ""
    if isinstance(loss, LossFormula):
        return f" ({loss.text_with(names)})"
    words = [f"{value:.4g}" if isinstance(value, float) else str(value) for _, value in loss.args]
    return f" ({' '.join([loss.name, *words])})"


def attack_text(attack: CatalogCall) -> str:
    """Return an attack in short: `pgd-7 L2 0.5`, with a choice that is not the usual one: `apgd-100 L2 1 dlr`."""
    steps = f"-{attack['steps']}" if attack.get("steps") else ""
    ball = [attack.get("norm"), None if attack.get("eps") is None else f"{attack['eps']:.4g}"]
    chosen = [attack[name] for name in ("objective", "mode") if attack.get(name) != attack.defaults.get(name)]
    targets = f", {attack['targets']} targets" if attack.get("targets") else ""
    return " ".join([f"{attack.name}{steps}", *filter(None, ball), *map(str, chosen)]) + targets


def _results(plan: Plan) -> list[Part]:
    rows: list[Row] = []
    for name, group in _grouped(plan.results, lambda result: result.name):
        measures = dict.fromkeys(_measure(result.measure) for result in group)
        parts = compact(dict.fromkeys(result.part.name for result in group))
        by_class = ", by class" if group[0].by_class else ""
        rows.append((name, count(len(group)), compact(measures), parts + by_class + _after_epochs(plan, group)))
    columns = [Column("result", unbroken=True), *numeric("points"), Column("measure"), Column("on")]
    return [Table(columns, rows)] if rows else []


def _after_epochs(plan: Plan, results: Iterable[Result]) -> str:
    """Return which epochs results are measured after: `, after epochs 10, 20, ..., 200`; nothing for chosen weights."""
    swept = EPOCH in plan.axes
    found = [plan.epoch_of(one) if swept else dict(one.point).get(EPOCH, plan.epoch_of(one)) for one in results]
    epochs = [str(epoch) for epoch in dict.fromkeys(found) if epoch is not None]
    return f", after epoch{'s' * (len(epochs) > 1)} {compact(epochs)}" if epochs else ""


def _measure(measure: ResultMeasure) -> str:
    made_on = measure.made_on or ("",) * len(measure.attacks)
    texts = [
        attack_text(attack) + (f" made on {of}" if of else "")
        for attack, of in zip(measure.attacks, made_on, strict=True)
    ]
    attacks = " and ".join(texts)
    return f"{measure.words}, {attacks}" if attacks else measure.words


def _steps(plan: Plan, reasons: Mapping[Key, str]) -> Table:
    rows: list[Row] = []
    for kind, label in KINDS.items():
        mine = [key for key, step in plan.shown.items() if step.kind == kind]
        if mine:
            costs = [plan.whole_passes(key) for key in mine]
            bound = "≤ " * any(cost.at_most for cost in costs)
            more = MORE * any(cost.unknown for cost in costs)
            passes = sum(round(cost.forward) for cost in costs), sum(round(cost.forward_backward) for cost in costs)
            cells = (
                Value(bound + big(number) + more if number else more.strip(" +") or "-", number) for number in passes
            )
            rows.append((label, count(len(mine)), count(sum(reasons[key] == "stored" for key in mine)), *cells))
    columns = [Column(), *numeric("steps", "stored", "forward", "forward+backward")]
    return Table(columns, rows, notes=_blocks(plan, reasons))


def _blocks(plan: Plan, reasons: Mapping[Key, str]) -> list[str]:
    """Return how evaluations are divided: `2 evaluations in 16 blocks of images, 3 of them stored`."""
    divided = sum(bool(step.blocks) for step in plan.shown.values())
    if not divided:
        return []
    found = [reasons[key] for key, step in plan.steps.items() if step.is_block]
    text = f"{divided:,} evaluation{'s' * (divided > 1)} in {len(found):,} blocks of images"
    done = found.count("stored")
    return [text + (f"; {done:,} of them stored" if 0 < done < len(found) else "")]


def _cost(plan: Plan, reasons: Mapping[Key, str]) -> Table:
    found = totals(plan, reasons)
    whole, left, against = found["image_passes"], found["image_passes_to_run"], found["against"]
    full, separate = against["full_adversarial_training"], against["every_row_separately"]
    rows: list[Row] = [
        ("this plan", Value(big(whole["cost"]), whole["cost"]), ""),
        ("what is left of it to run", Value(big(left["cost"]), left["cost"]), _percent(left["cost"], whole["cost"])),
        ("the same, every image attacked", Value(big(full["cost"]), full["cost"]), _share(full["ratio"])),
        (
            f"its {separate['rows']:,} rows run separately",
            Value(big(separate["cost"]), separate["cost"]),
            _share(separate["ratio"]),
        ),
    ]
    bound = "; an upper bound: what is broken already is not attacked" if whole["at_most"] else ""
    if whole["unknown"]:
        bound += "; without the cost of functions that do not say it: `passes=` in their mark does"
    note = f"in forward+backward image passes, a forward pass alone counting 1/3{bound}"
    notes = [note, *_selection(found["selection"]), *_decide(plan)]
    return Table([Column(), *numeric("passes", "this plan")], rows, notes=notes)


def _decide(plan: Plan) -> Iterator[str]:
    """Give what `run --decide` costs at least and at most, where claims rest on evaluations that it may stop."""
    if plan.smoke:
        return
    early, in_full = 0, set[Key]()
    for claim in plan.claims:
        divided = {one: set(in_blocks(plan, one)) for one in claim.comparisons}
        early += any(divided.values())
        in_full |= {key for one, keys in divided.items() for key in steps_of(plan, one) if key not in keys}
    if not early:
        return
    needed = closure(plan, steps_of_claims(plan))
    most = added([plan.passes[key] for key in needed if key in plan.passes])
    later = _later_blocks(plan, in_full)
    least = added([plan.passes[key] for key in needed if key in plan.passes and key not in later])
    yield (
        f"`run --decide` makes {big(least.cost)} to {big(most.cost)} passes: {early:,} of {len(plan.claims):,} claims "
        "may need no more than the first blocks of images"
    )


def _later_blocks(plan: Plan, in_full: Set[Key]) -> set[Key]:
    """Return the blocks after the first of the evaluations that no claim needs in full."""
    divided = (step.blocks for key, step in plan.shown.items() if key not in in_full)
    return {block for blocks in divided for block in blocks[1:]}


def _selection(found: Mapping[str, Any] | None) -> Iterator[str]:
    """Give what choosing checkpoints costs of the plan: candidates that can no longer win are not attacked further."""
    if found is None:
        return
    costs = found["at_most"], found["first_attacks_decide"]
    most, decided = (big(one["cost"]) + MORE * one["unknown"] for one in costs)
    early = f", {decided} if the first attacks decide" if decided != most else ""
    yield f"checkpoint selection: at most {most} of these passes{early}"


def _python(plan: Plan) -> list[Part]:
    """Return what a run executes beside satdsl itself; until then it is only read."""
    rows: list[Row] = [(code.path, code.digest[:12], ", ".join(names)) for code, names in plan.python]
    note = "`run` executes these files; nothing else does"
    return [Table([Column("file"), Column("sha256"), Column("functions")], rows, notes=[note])] if rows else []


def _share(ratio: float | None) -> str:
    return f"{ratio:.0%} of it" if ratio is not None else ""


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.0%} left" if whole else ""


def _reasons(plan: Plan, reasons: Mapping[Key, str]) -> Iterator[Text]:
    shown = shown_reasons(plan, reasons)
    counts = Counter(shown.values())
    yield Text(", ".join(f"{count:,} {reason}" for reason, count in counts.items()), style="dim")
    notable = [key for key, reason in shown.items() if reason in ("damaged", "continued", "forced")]
    for key in notable[:5]:
        yield Text(f"  {shown[key]}: {plan.labels[key]}")


def _grouped(items: Iterable[T], by: Callable[[T], Any]) -> list[tuple[Any, list[T]]]:
    groups: dict[Any, list[T]] = {}
    for item in items:
        groups.setdefault(by(item), []).append(item)
    return list(groups.items())
