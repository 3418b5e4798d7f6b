"""A step's key says what the step computes, and stays the same when the language grows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satdsl.catalog import FAMILIES, Argument, Entry, catalog
from satdsl.compile import compile_file
from satdsl.ir import steps
from satdsl.ir.plan import Plan
from satdsl.ir.steps import CatalogCall, Step, canonical, document, key_text
from satdsl.plan.saved import load, save
from satdsl.records import Record

GOLDEN = Path(__file__).parent / "golden"
SPEC = GOLDEN / "keys.sat"

ENTRIES = [entry for family in FAMILIES for entry in catalog().entries(family)]
IN_STEPS = [entry for entry in ENTRIES if entry.family not in ("plot", "table", "score", "term")]
"""What the settings of a step may hold calls of."""

SETTINGS = get_args(steps.Settings)
RECORDS = [
    shape
    for shape in vars(steps).values()
    if isinstance(shape, type) and issubclass(shape, Record) and shape not in (Record, CatalogCall, Step)
]


def keys(plan: Plan) -> list[str]:
    return [f"{step.kind:8} {key} {plan.labels[key]}" for key, step in plan.steps.items()]


def test_keys_are_those_that_were_stored(golden: Any) -> None:
    """A change of these lines makes everything that anybody has stored useless: see `satdsl.ir.steps.VERSIONS`."""
    plan = compile_file(SPEC).plan
    golden(GOLDEN / "keys.txt", "\n".join(sorted(keys(plan))) + "\n")
    assert {step.kind for step in plan.steps.values()} == set(steps.VERSIONS)


# --- growth --------------------------------------------------------------------------------------

LATER = [
    Argument("later", "int", default=3),
    Argument("later", "number", default=None, optional=True),
    Argument("later", "bool", default=False),
    Argument("later", "word", default=(), many=True),
    Argument("later", "call", family="schedule", default="constant"),
]


@contextmanager
def grown(argument: Argument) -> Iterator[None]:
    """Every entry of the catalog has one more argument; a default that is an entry cannot be one of itself."""
    more = [entry for entry in ENTRIES if entry.family != argument.family]
    before = [dict(entry.__dict__) for entry in more]
    for entry in more:
        del entry.__dict__["args"], entry.__dict__["defaults"]
        entry.__dict__["arguments"] = (*entry.arguments, argument)
    try:
        yield
    finally:
        for entry, was in zip(more, before, strict=True):
            entry.__dict__.clear()
            entry.__dict__.update(was)


@contextmanager
def with_field(shape: type[Record], default: Any) -> Iterator[None]:
    """A record has one more field."""
    later = dataclasses.make_dataclass("Later", [("later", Any, dataclasses.field(default=default))])
    names, compared, declared = shape._names, shape._compared, shape.__dataclass_fields__
    shape._names, shape._compared = (*names, "later"), (*compared, "later")
    shape.__dataclass_fields__ = {**declared, **later.__dataclass_fields__}
    steps._identity.cache_clear()
    try:
        yield
    finally:
        shape._names, shape._compared, shape.__dataclass_fields__ = names, compared, declared
        steps._identity.cache_clear()


@pytest.fixture(autouse=True)
def all_is_cached() -> None:
    for entry in ENTRIES:
        assert entry.args.keys() >= entry.defaults.keys()


@pytest.mark.parametrize("argument", LATER, ids=lambda argument: argument.type)
@pytest.mark.parametrize("smoke", [False, True])
def test_a_new_optional_argument_of_every_entry_changes_no_key(argument: Argument, smoke: bool) -> None:
    before = compile_file(SPEC, smoke=smoke).plan
    with grown(argument):
        after = compile_file(SPEC, smoke=smoke).plan
        train = next(step for step in after.steps.values() if step.kind == "train")
        assert "later" in train.settings_document["recipe"]
    assert keys(after) == keys(before)


def test_a_plan_that_was_saved_before_an_argument_came_can_be_run(tmp_path: Path) -> None:
    before = compile_file(SPEC).plan
    save(before, tmp_path / "plan.json")
    with grown(LATER[0]):
        after = load(tmp_path / "plan.json")
        assert keys(after) == keys(before)
        recipes = [step.settings.recipe for step in after.steps.values() if isinstance(step.settings, steps.Train)]
        assert {recipe["later"] for recipe in recipes} == {3}


@pytest.mark.parametrize("default", [None, 0, False, (), "word"])
@pytest.mark.parametrize("shape", RECORDS, ids=lambda shape: shape.__name__)
def test_a_new_field_with_a_default_changes_no_key(shape: type[Record], default: Any) -> None:
    before = compile_file(SPEC).plan
    with with_field(shape, default):
        after = compile_file(SPEC).plan
        for step in after.steps.values():
            assert isinstance(step.settings, shape) <= ("later" in step.settings_document)
    assert keys(after) == keys(before)


def test_a_default_that_is_written_out_is_the_default(tmp_path: Path) -> None:
    text = SPEC.read_text()
    written = text.replace("small_cnn()", "small_cnn(width=16)").replace(
        "sgd(epochs=4)", "sgd(epochs=4, schedule=constant)"
    )
    assert written != text
    (tmp_path / "spec.sat").write_text(written)
    assert keys(compile_file(tmp_path / "spec.sat").plan) == keys(compile_file(SPEC).plan)


def test_a_call_that_no_specification_wrote_has_the_same_key() -> None:
    entry = next(entry for entry in ENTRIES if entry.name == "sgd")
    full = CatalogCall("sgd", (("epochs", 4), *entry.defaults.items()), entry.defaults)
    assert catalog().call("sgd", ("epochs", 4)).key_text == full.key_text == '{"epochs":4,"name":"sgd"}'
    assert catalog().call("sgd", ("epochs", 4))["momentum"] == full["momentum"]


# --- no two meanings for one key -----------------------------------------------------------------


def test_names_of_entries_are_unique_and_no_argument_is_called_like_a_tag() -> None:
    """A call is stored by the entry's name alone, beside its arguments. Terms of losses are not stored as calls."""
    names = [entry.name for entry in ENTRIES if entry.family != "term"]
    assert len(names) == len(set(names))
    assert not [entry.name for entry in ENTRIES if {"name", "is"} & entry.args.keys()]


PLAIN: dict[str, list[Any]] = {
    "int": [0, 1, 2, 30],
    "number": [0.0, 1.0, 0.5, 8 / 255],
    "share": [0.0, 0.5, 1.0],
    "bool": [True, False],
    "text": ["", "a", "none"],
    "word": ["", "b", "none"],
    "class": ["cat", "1", "none"],
    "range": [(0, 1), (1, 2)],
}


def arguments(argument: Argument) -> st.SearchStrategy[Any]:
    one: st.SearchStrategy[Any]
    if argument.type == "call":
        one = st.deferred(lambda: st.one_of([calls(entry) for entry in catalog().entries(argument.family)]))
    elif argument.entries:
        one = calls(Entry(argument.name, "", argument.entries))
    else:
        one = st.sampled_from([*argument.choices, *PLAIN[argument.type]])
    if argument.many:
        one = st.lists(one, max_size=2).map(tuple)
    return st.one_of(st.none(), one) if argument.optional else one


def calls(entry: Entry) -> st.SearchStrategy[CatalogCall]:
    """Calls of an entry, half of whose arguments are at their defaults."""
    values = {
        name: st.one_of(st.just(entry.defaults[name]), arguments(argument))
        if name in entry.defaults
        else arguments(argument)
        for name, argument in entry.args.items()
    }
    return st.fixed_dictionaries(values).map(lambda args: CatalogCall(entry.name, tuple(args.items()), entry.defaults))


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a record's field."""
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) is tuple:
        return st.lists(of_type(get_args(hint)[0]), max_size=2).map(tuple)
    if get_args(hint):
        return st.one_of([of_type(one) for one in get_args(hint)])
    if hint is CatalogCall:
        return st.sampled_from(IN_STEPS).flatmap(calls)
    if isinstance(hint, type) and issubclass(hint, Record):
        return st.deferred(lambda: records(hint))
    plain: dict[Any, list[Any]] = {bool: [True, False], int: [0, 1], float: [0.0, 1.0], str: ["", "a"]}
    return st.sampled_from(plain.get(hint, [None] if hint is type(None) else [1.0, ("size", 0), ("-", 1.0)]))


def records(shape: type[Record]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(shape)
    return st.builds(
        lambda **values: shape(**values),
        **{field.name: of_type(hints[field.name]) for field in dataclasses.fields(shape)},
    )


def pairs(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(values, values)


@st.composite
def alike(draw: st.DrawFn) -> tuple[CatalogCall, CatalogCall]:
    """Two calls of an entry that differ in at most one argument."""
    entry = draw(st.sampled_from([entry for entry in IN_STEPS if entry.args]))
    one, other = draw(calls(entry)), dict(draw(calls(entry)).args)
    changed = draw(st.sampled_from(list(entry.args)))
    args = tuple((name, other[name] if name == changed else value) for name, value in one.args)
    return one, CatalogCall(entry.name, args, entry.defaults)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, 1 and 1.0 and True being different ones."""
    return type(one) is type(other) and canonical(document(one)) == canonical(document(other))


@settings(max_examples=200, deadline=None)
@given(st.one_of(alike(), pairs(st.sampled_from(IN_STEPS).flatmap(calls))))
def test_two_calls_have_one_text_only_if_they_are_equal(pair: tuple[CatalogCall, CatalogCall]) -> None:
    one, other = pair
    assert (key_text(one) == key_text(other)) == same(one, other)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SETTINGS).flatmap(lambda shape: pairs(records(shape))))
def test_two_steps_have_one_key_only_if_their_settings_are_equal(pair: tuple[Any, Any]) -> None:
    one, other = pair
    assert (Step(one).key == Step(other).key) == same(one, other)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(SETTINGS).flatmap(records))
def test_what_a_key_is_made_of_is_part_of_all_settings(value: Any) -> None:
    step = Step(value)
    assert canonical(step.key_settings) == key_text(value)
    assert within(step.key_settings, step.settings_document)


def within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return all(name in whole and within(value, whole[name]) for name, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(within, part, whole))
    return type(part) is type(whole) and part == whole


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0, False), (None, 0), (None, ()), ("1", 1)])
def test_values_of_different_types_have_different_keys(one: Any, other: Any) -> None:
    """With either as the default, the other is told apart from it."""
    texts = {
        CatalogCall("sgd", (("lr", value),), {"lr": default}).key_text for value in (one, other) for default in (one,)
    }
    assert len(texts) == 2


def test_zero_has_one_key_whatever_its_sign() -> None:
    assert key_text(-0.0) == key_text(0.0) == "0.0"
