"""Make entries of the catalog of marked functions: what each kind is called with, and what its mark may say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import EPS, AttackEntry
from satdsl.catalog.attacks import NORM as NORMS
from satdsl.catalog.augmentations import AugmentationEntry
from satdsl.catalog.datasets import DatasetEntry, images
from satdsl.catalog.losses import LossEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.measures import own as own_measure
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.plugins.formulas import Formula, Incomputable
from satdsl.catalog.registry import CallSite, Entry, at_most
from satdsl.catalog.schedules import ScheduleEntry
from satdsl.catalog.scores import ScoreEntry
from satdsl.hints import listed, suggest
from satdsl.ir.experiment import DatasetFacts
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall, PluginCode
from satdsl.records import Record, record
from satdsl.syntax import tree

SMOKE = {"steps": 2, "iterations": 2, "restarts": 2, "queries": 5}
"""The most that a smoke run tries of whole numbers that are called so."""

COST = ("passes", "forward")
"""What a mark says of cost: the passes forward and backward, and those forward only."""

OptionTypes = Mapping[str, type | tuple[type, ...]]


@record
class Marked(Record):
    """What the text of a marked function says: all that its entry is made of."""

    name: str
    doc: str
    arguments: tuple[Argument, ...]
    positional: tuple[str, ...]
    options: Mapping[str, Any]
    code: PluginCode


@record
class Problem(Record):
    """What is wrong with a marked function, at one of its arguments, at what its mark says, or else at its name."""

    code: str
    message: str
    reason: str
    help: str
    argument: str = ""
    option: str = ""


@record
class Kind(Record):
    """A kind of entry: the parameters that satdsl gives by position (one of these forms), and what its mark may say."""

    forms: tuple[tuple[str, ...], ...]
    entry: Callable[[Marked], Entry]
    options: OptionTypes = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    """What its mark has to say."""
    problems: Callable[[Marked], Iterator[Problem]] = lambda marked: iter(())
    """Says what keeps a function from being an entry of this kind, though each of its arguments is fine."""


def own(marked: Marked) -> dict[str, Any]:
    """Return what every entry has of its function."""
    first = {"plugin": marked.code, "place": 0}  # in every listing
    return {"name": marked.name, "doc": marked.doc, "arguments": marked.arguments, **first}


# --- costs -----------------------------------------------------------------------------------------


def passes_of(marked: Marked, call: CatalogCall) -> Passes:
    """Return what the mark says that an image costs."""
    arguments = {argument.name: call.get(argument.name) for argument in marked.arguments}
    forward, both = (_number(marked.options.get(name), arguments) for name in ("forward", "passes"))
    return Passes(forward, both, unknown=not marked.options.keys() & set(COST))


def _number(formula: str | None, arguments: Mapping[str, Any]) -> float:
    return 0 if formula is None else Formula(formula).value(arguments)


def cost_problems(marked: Marked) -> Iterator[Problem]:
    """Check the formulas of what a function costs."""
    for option in COST:
        if option in marked.options:
            yield from _formula_problems(marked, option, marked.options[option])


def _formula_problems(marked: Marked, option: str, text: str) -> Iterator[Problem]:
    """Check that a formula is one, of arguments that the function has."""
    known = [argument.name for argument in marked.arguments]
    try:
        for name in sorted(Formula(text).names() - set(known)):
            help = str(suggest(name, known, there_are="its arguments are")) or "it has no arguments"
            yield Problem("E218", f"there is no argument `{name}`, which `{text}` uses", "", help, option=option)
        for value in _at_defaults(marked, text):
            if value < 0:
                help = "write a formula that is 0 or more"
                yield Problem("E218", f"`{text}` is {value:g} at the defaults", "", help, option=option)
    except Incomputable as error:
        yield Problem("E218", str(error), "", "write a formula of the arguments: `2*steps + 1`", option=option)


def _at_defaults(marked: Marked, text: str) -> Iterator[float]:
    """Give the value of a formula where all that it uses has a default."""
    defaults = {argument.name: argument.default for argument in marked.arguments if not argument.required}
    if Formula(text).names() <= defaults.keys():
        yield Formula(text).value(defaults)


# --- attacks ---------------------------------------------------------------------------------------


def _attack(marked: Marked) -> AttackEntry:
    norm = marked.options.get("norm")
    fixed = () if norm is None else (Argument("norm", "word", NORMS.help, norm, choices=(norm,)),)
    limits = _smoke_limits(marked)
    return AttackEntry(
        **own(marked) | {"arguments": (*marked.arguments, *fixed)},
        passes=partial(passes_of, marked),
        shortened=at_most(**limits),
        short=_short(limits),
    )


def _smoke_limits(marked: Marked) -> dict[str, int]:
    """Return the arguments that a smoke run makes small, each with the most that it takes."""
    return {argument.name: SMOKE[argument.name] for argument in marked.arguments if _is_count(argument)}


def _short(limits: Mapping[str, int]) -> str:
    return " and ".join(f"at most {most} {name}" for name, most in limits.items())


def _is_count(argument: Argument) -> bool:
    return argument.name in SMOKE and argument.type == "int" and not argument.many and not argument.optional


def _attack_problems(marked: Marked) -> Iterator[Problem]:
    """Check the costs; and that norm and radius have the names and values by which all rules and probes know them."""
    yield from cost_problems(marked)
    arguments, norm = {argument.name: argument for argument in marked.arguments}, marked.options.get("norm")
    known = "the rules of the language know an attack's ball by `norm` and `eps`"
    if norm is not None and norm not in NORMS.choices:
        help = f"write one of {listed(NORMS.choices)}"
        yield Problem("E218", f"there is no norm `{norm}`", known, help, option="norm")
    if norm is not None and "norm" in arguments:
        yield Problem(
            "E218", "the norm is said twice", "the function has an argument `norm`", "leave it out", option="norm"
        )
    for name, argument in arguments.items():
        for is_one, called, marker in ((_is_norm, "norm", "Norm"), (_is_radius, "eps", "Radius")):
            if is_one(argument) and name != called:
                yield Problem(
                    "E216", f"a `{marker}` is called `{called}`, not `{name}`", known, f"write `{called}`", name
                )
            if name == called and not is_one(argument):
                help = f"annotate it as `sat.{marker}`"
                yield Problem("E216", f"`{name}` is no `{marker}`", known, help, name)
    if "eps" in arguments and "norm" not in arguments and norm is None:
        help = 'add an argument `norm: sat.Norm`, or write `@sat.attack(norm="Linf")`'
        yield Problem("E216", "`eps` is a radius in no norm", known, help, "eps")


def _is_norm(argument: Argument) -> bool:
    return bool(argument.choices) and set(argument.choices) <= set(NORMS.choices) and not argument.optional


def _is_radius(argument: Argument) -> bool:
    return argument.unit == EPS.unit and argument.type == EPS.type and not argument.many


# --- losses ----------------------------------------------------------------------------------------

BOTH_IMAGES = ("clean", "adversarial", "labels")
"""What a loss is called with that looks at both images."""


def _loss(marked: Marked) -> LossEntry:
    both = marked.positional == BOTH_IMAGES
    return LossEntry(
        **own(marked), both=both, passes=Passes(0, 1) if both else Passes(), fits=_both_exist if both else _anywhere
    )


def _anywhere(loss: CatalogCall, subset: str, attack: CatalogCall | None, site: CallSite) -> None:
    """Say nothing: a loss of one image fits every subset."""


def _both_exist(loss: CatalogCall, subset: str, attack: CatalogCall | None, site: CallSite) -> None:
    """Refuse a loss of both images where there is one."""
    if attack is None:
        site.error(
            "E510",
            f"`{loss.name}` needs an attack on `{subset}`, which has none",
            "it is a loss of the clean image and of the adversarial one",
            f"add `attack {subset} with` an attack",
        )


# --- scores ----------------------------------------------------------------------------------------


def _score(marked: Marked) -> ScoreEntry:
    return ScoreEntry(**own(marked), passes=partial(passes_of, marked))


def _score_problems(marked: Marked) -> Iterator[Problem]:
    """Check the costs; and that a score can be taken without arguments, since a specification gives it none."""
    yield from cost_problems(marked)
    for argument in marked.arguments:
        if argument.required:
            message, reason = f"`{argument.name}` has no default", "a specification names a score without arguments"
            yield Problem("E215", message, reason, f"write `{argument.name}: ... = ...`", argument.name)


# --- measures --------------------------------------------------------------------------------------


def _measure(marked: Marked) -> MeasureEntry:
    limits = _smoke_limits(marked)
    return MeasureEntry(
        **own(marked),
        node=tree.OwnMeasure,
        planned=own_measure,
        share=marked.options.get("share", False),
        passes=partial(passes_of, marked),
        shortened=at_most(**limits),
        short=_short(limits),
    )


# --- data sets -------------------------------------------------------------------------------------


def _dataset(marked: Marked) -> DatasetEntry:
    return DatasetEntry(**own(marked) | {"arguments": (*marked.arguments, *images())}, known=partial(_facts, marked))


def _facts(marked: Marked, args: Mapping[str, Any], folder: str, entry: DatasetEntry, site: CallSite) -> DatasetFacts:
    """Return what the mark of a data set says for the arguments of a call."""
    options = marked.options

    def whole(given: int | str, what: str, least: int = 1) -> int:
        try:
            value = Formula(given).value(args) if isinstance(given, str) else given
        except Incomputable as error:
            site.reject("E219", f"{what} of `{marked.name}` cannot be told", str(error), _CHANGE)
        if value < least or value != int(value):
            why = f"`{given}` is {value:g} for these arguments" if isinstance(given, str) else ""
            site.reject("E219", f"{what} of `{marked.name}` is {value:g}", why, _CHANGE)
        return int(value)

    classes = options["classes"]
    if isinstance(classes, (int, str)):
        classes = [str(number) for number in range(whole(classes, "the number of classes", 2))]
    channels, height, width = (whole(side, "a side of the images") for side in options["shape"])
    train, val = whole(options["train"], "the number of training images"), whole(options["val"], "the number of val")
    mean = tuple(map(float, options.get("mean", (0.0,) * channels)))
    std = tuple(map(float, options.get("std", (1.0,) * channels)))
    return DatasetFacts(tuple(classes), (channels, height, width), train, val, None, None, mean, std)


_CHANGE = "change the arguments, or what `@sat.dataset(...)` says"


def _dataset_problems(marked: Marked) -> Iterator[Problem]:
    """Check what the mark of a data set says of it."""
    options = marked.options
    wrong = partial(Problem, "E218", reason="satdsl knows the data set by it before anything runs")
    if not isinstance(options["classes"], (int, str)) and not _are_names(options["classes"]):
        yield wrong("the names of the classes are different texts, two or more", help="list them", option="classes")
    if len(options["shape"]) != 3:
        yield wrong("the shape of an image is three numbers", help="write `(channels, height, width)`", option="shape")
    formulas = {name: [options[name]] for name in ("classes", "train", "val")} | {"shape": options["shape"]}
    for option, values in formulas.items():
        for value in values:
            if isinstance(value, str):
                yield from _formula_problems(marked, option, value)
            elif not isinstance(value, (list, tuple)) and (not isinstance(value, int) or value < 1):
                yield wrong(f"`{value}` is no number of what there is", help="write 1 or more", option=option)
    for option in ("mean", "std"):
        values = options.get(option, ())
        if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
            yield wrong(f"`{option}` is a number for each channel", help="list the numbers", option=option)
        elif option in options and isinstance(options["shape"][0], int) and len(values) != options["shape"][0]:
            channels = options["shape"][0]
            yield wrong(
                f"`{option}` has {len(values)} numbers for {channels} channels", help="list one each", option=option
            )


def _are_names(classes: Sequence[Any]) -> bool:
    return all(isinstance(name, str) for name in classes) and len(set(classes)) == len(classes) >= 2


# --- the kinds -------------------------------------------------------------------------------------

COST_TYPES: OptionTypes = {"passes": str, "forward": str}

ATTACKS = ("network", "images", "labels"), ("network", "images", "labels", "generator")
"""The forms of an attack: its random numbers come from the generator, or from the global state, which is set before
each call."""

MODELS = ("classes", "channels"), ("classes", "channels", "height", "width")
"""The forms of a model: some networks depend on the size of the images."""

KINDS: Mapping[str, Kind] = {
    "model": Kind(MODELS, lambda marked: ModelEntry(**own(marked))),
    "attack": Kind(ATTACKS, _attack, {**COST_TYPES, "norm": str}, problems=_attack_problems),
    "loss": Kind((("logits", "labels"), BOTH_IMAGES), _loss),
    "score": Kind(ATTACKS, _score, COST_TYPES, problems=_score_problems),
    "measure": Kind(ATTACKS, _measure, {**COST_TYPES, "share": bool}, problems=cost_problems),
    "dataset": Kind(
        (("part", "folder"), ("part",)),
        _dataset,
        {
            "classes": (int, str, tuple, list),
            "shape": (tuple, list),
            "train": (int, str),
            "val": (int, str),
            "mean": (tuple, list),
            "std": (tuple, list),
        },
        needed=("classes", "shape", "train", "val"),
        problems=_dataset_problems,
    ),
    "augmentation": Kind((("images", "generator"),), lambda marked: AugmentationEntry(**own(marked))),
    "schedule": Kind((("epoch", "epochs"),), lambda marked: ScheduleEntry(**own(marked))),
}
