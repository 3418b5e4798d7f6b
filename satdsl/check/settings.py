"""Read a call against its catalog entry: every argument is named, typed, in range, and has its default if absent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from satdsl import folder_contents
from satdsl.catalog import Argument, Catalog, Entry
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.fixes import percentage, remove_repeated
from satdsl.check.values import (
    Called,
    Environment,
    Interval,
    Items,
    Named,
    Num,
    Share,
    Str,
    Value,
    Word,
    describe,
    evaluate,
    settled,
)
from satdsl.folder_contents import Contents
from satdsl.hints import Hint, article, closest, did_you_mean, suggest, write
from satdsl.ir.class_names import composed
from satdsl.ir.steps import CatalogCall
from satdsl.syntax import tree

WANTED = {
    "number": "a number",
    "int": "a whole number",
    "share": "a percentage",
    "bool": "`true` or `false`",
    "text": "text in double quotes",
    "word": "a word",
    "class": "the name of a class",
    "call": "a call",
    "settings": "a group of named values",
    "range": "a range such as `0..999`",
}


class Settings:
    """Resolves calls against the catalog, making findings."""

    def __init__(
        self, catalog: Catalog, findings: FindingCollector, folder: Callable[[Path], Contents] = folder_contents.read
    ) -> None:
        self.catalog = catalog
        self.findings = findings
        self.folder = folder
        """Says what lies in a folder of images."""

    def entry(self, name: tree.Name, families: tuple[str, ...]) -> Entry:
        """Return the catalog entry that a name stands for; raises `Rejected` after making a finding."""
        for family in families:
            found = self.catalog.find(family, name.text)
            if found is not None:
                return found
        if self.catalog.may_have(name.text):
            raise Rejected  # something is wrong with the function that it may be
        what = " or ".join(families)
        self.findings.reject("E202", name, f"there is no {what} called `{name.text}`", help=self._meant(name, families))

    def _meant(self, name: tree.Name, families: tuple[str, ...]) -> str | Hint:
        """Return what an unknown name is in another place, or which names there are here."""
        if elsewhere := self.catalog.families_of(name.text):
            return f"`{name.text}` is {article(elsewhere[0])}"
        known = [known for family in families for known in self.catalog.names(family)]
        meant = did_you_mean(name.text, known, name.span)
        return meant or self._choice_of(name.text, families) or suggest(name.text, known)

    def _choice_of(self, word: str, families: tuple[str, ...]) -> str:
        """Return where a word that is no entry belongs: `fab` is one of the attacks that AutoAttack runs."""
        entries = [self.catalog.find(family, name) for family in families for name in self.catalog.names(family)]
        for entry, argument in ((one, each) for one in entries if one for each in one.args.values() if each.many):
            for choice in argument.choices:
                if word in (choice, choice.partition("-")[0]):
                    example = f"`{entry.name}(..., {argument.name}=[{choice}])`"
                    return f"it is one of the `{argument.name}` of `{entry.name}`: write {example}. {argument.help}"
        return ""

    def bind(self, call: tree.Call, entry: Entry) -> dict[str, tree.Argument | list[tree.Argument]]:
        """Return which argument of the entry each one of the call gives; extra positional ones go to a last `many`."""
        bound: dict[str, Any] = {}
        order = list(entry.args)
        gathering = next((a.name for a in entry.args.values() if a.many and a.type == "results"), None)
        positional, nameless = 0, False
        valueless: set[str] = set()
        named = {argument.name.text for argument in call.arguments if argument.name is not None}
        for argument in call.arguments:
            if argument.name is not None:
                name = argument.name.text
                if name == gathering:
                    bound.setdefault(name, []).append(argument)
                    continue
            elif gathering and order[0] == gathering:
                bound.setdefault(gathering, []).append(argument)
                continue
            elif positional < len(order):
                name = order[positional]
                positional += 1
            else:
                self.findings.error(
                    "E303",
                    argument,
                    f"`{entry.name}` takes {len(order)} argument{'s' * (len(order) != 1)}, but this is one more",
                    help=_signature(entry),
                )
                continue
            if name not in entry.args:
                at = argument.name or argument
                help = did_you_mean(name, order, at.span) or _signature(entry)
                self.findings.error("E303", at, f"`{entry.name}` has no argument called `{name}`", help=help)
            elif argument.name is None and argument.span.text in entry.args and argument.span.text not in named:
                name = argument.span.text
                self.findings.error("E303", argument, f"`{name}` needs its value after `=`", help=entry.args[name].help)
                valueless.add(name)
            elif name in bound or (argument.name is None and name in named):
                self.findings.error(
                    "E303",
                    argument,
                    f"`{name}` is given twice",
                    help=self._named(argument, order) or remove_repeated(argument, call.arguments, "keep one of them"),
                )
                nameless |= argument.name is None
            else:
                bound[name] = argument
        given = [argument.name.text for argument in call.arguments if argument.name is not None]
        near = valueless | {meant for name in given if name not in entry.args for meant in closest(name, order)}
        missing = [
            name
            for name, argument in entry.args.items()
            if argument.required and name not in bound and name not in near
        ]
        # A value without a name, where that of its position is given, is likely to be meant for another argument.
        if missing and not nameless:
            names = " and ".join(f"`{name}`" for name in missing)
            what = " ".join(f"{name}: {entry.args[name].help}" for name in missing)
            self.findings.error("E303", call.name, f"`{entry.name}` needs {names}", what, _signature(entry))
        return bound

    def _named(self, argument: tree.Argument, order: list[str]) -> str:
        """Return what a value without a name may be meant as, where it begins with the name of an argument."""
        text = argument.span.text
        for name in order:
            if argument.name is None and text.startswith(name) and len(text) > len(name):
                return f"did you mean `{name}={text.removeprefix(name).lstrip()}`?"
        return ""

    def choice(self, call: tree.Call, entry: Entry, at: Environment) -> CatalogCall:
        """Return the entry with all its arguments; raises `Rejected` if one has no value (each with its finding)."""
        args, failed = [], False
        bound = self.bind(call, entry)
        for name, argument in entry.args.items():
            given = bound.get(name)
            if given is None:
                failed |= argument.required
                args.append((name, entry.defaults.get(name)))
                continue
            assert isinstance(given, tree.Argument)
            try:
                args.append((name, self._argument(given.value, argument, at)))
            except Rejected:
                failed = True
        whole = len(bound) == len(call.arguments) or any(isinstance(given, list) for given in bound.values())
        if failed or not whole:
            raise Rejected
        return CatalogCall(entry.name, tuple(args), entry.defaults, entry.plugin)

    def named(self, node: tree.Value, families: tuple[str, ...], at: Environment) -> CatalogCall:
        """Return a catalog entry written as a call or, where it takes nothing, as its bare name."""
        value = evaluate(node, at, self.findings)
        if isinstance(value, Called):
            return self.choice(value.node, self.entry(value.node.name, families), at)
        if isinstance(value, Word):
            name = tree.Name(node.span, value.text)
            return self.choice(tree.Call(node.span, name, ()), self.entry(name, families), at)
        self._wrong_type(node, value, f"a call such as `{self.catalog.names(families[0])[0]}(...)`", "")

    def _argument(self, node: tree.Value, argument: Argument, at: Environment) -> Any:
        if argument.type == "range":
            return self._range(node, argument, at)
        value = self._value(node, argument, at)
        if isinstance(value, Word) and value.text == "none" and argument.optional:
            return None
        if not argument.many:
            return self._single(node, value, argument, at)
        items = value.items if isinstance(value, Items) else (tree.Item(node.span, None, node),)
        converted = tuple(
            self._single(item.value, self._value(item.value, argument, at), argument, at) for item in items
        )
        if argument.length is not None and len(converted) != argument.length:
            self.findings.reject(
                "E301",
                node,
                f"`{argument.name}` has {argument.length} values, but here are {len(converted)}",
                argument.help,
                f"write {argument.length} of them between `[` and `]`",
            )
        return converted

    def _range(self, node: tree.Value, argument: Argument, at: Environment) -> tuple[int, int] | None:
        """Return the two ends of a range of whole numbers, None for `none`."""
        here = settled(node, at, self.findings)
        if isinstance(here, tree.Range) and here.step is None:
            first, last = (self._end(end, argument, at) for end in (here.start, here.stop))
            if last < first:
                message = f"`{here.span.text}` has nothing in it"
                self.findings.reject("E304", node, message, "a range counts up from its first end to its last")
            return first, last
        if isinstance(here, tree.Range):
            self.findings.reject("E301", node, f"`{argument.name}` takes every number of a range", argument.help)
        value = evaluate(here, at, self.findings)
        if isinstance(value, Word) and value.text == "none" and argument.optional:
            return None
        self._wrong_type(node, value, WANTED["range"], argument.help)

    def _end(self, node: tree.Value, argument: Argument, at: Environment) -> int:
        whole = replace(argument, type="int", at_least=0)
        return int(self._single(node, evaluate(node, at, self.findings), whole, at))

    def _value(self, node: tree.Value, argument: Argument, at: Environment) -> Value:
        """Return an argument's value; where a word is wanted, `apgd-ce` is one word and no difference."""
        if argument.type in ("word", "class") and isinstance(node, tree.Binary) and node.operator == "-":
            return Word(node.span.text)
        return evaluate(node, at, self.findings)

    def _single(self, node: tree.Value, value: Value, argument: Argument, at: Environment) -> Any:
        if argument.within is not None:
            return self._with_tolerance(node, value, argument, at)
        match argument.type, value:
            case "settings", Named(of):
                entry = Entry(argument.name, argument.help, argument.entries)
                return self.choice(tree.Call(of.span, tree.Name(of.span, argument.name), of.entries), entry, at)
            case "call", Called() | Word():
                return self.named(node, (argument.family,), at)
            case "word", Word(text) | Str(text):
                return self._one_of(node, text, argument)
            case "class", Word(text) | Str(text):
                return composed(text)
            case "class", Num(number):
                return f"{number:.12g}"
            case "bool", Word("true" | "false" as text):
                return text == "true"
            case "text", Str(text):
                return text
            case "int", Num(number) if number == int(number):
                return int(self._in_range(node, number, argument))
            case ("number", Num(number)) | ("share", Share(number)):
                return float(self._in_range(node, number, argument))
            case "share", Num(number):
                self._wrong_type(node, value, "a percentage", percentage(node, number))
            case "number", Share(number):
                plain = write(node.span, f"{number:.12g}")
                self._wrong_type(node, value, "a number", plain if isinstance(node, tree.Percent) else plain.text)
            case "bool", Word(text) if meant := did_you_mean(text, ("true", "false"), node.span):
                self._wrong_type(node, value, WANTED["bool"], meant)
            case "text", Word(text) if isinstance(node, tree.Name):
                self._wrong_type(node, value, WANTED["text"], write(node.span, f'"{text}"'))
            case _:
                choices = ", ".join(f"`{choice}`" for choice in argument.choices)
                self._wrong_type(
                    node,
                    value,
                    WANTED[argument.type],
                    f"write one of {choices}" if choices else argument.help,
                )

    def _with_tolerance(
        self, node: tree.Value, value: Value, argument: Argument, at: Environment
    ) -> tuple[float, float]:
        """Return a value and how far from it another may be."""
        plain = replace(argument, within=None)
        if not isinstance(value, Interval):
            return self._single(node, value, plain, at), argument.within or 0.0
        return self._single(node, value.centre, plain, at), self._single(node, value.within, plain, at)

    def _one_of(self, node: tree.Value, word: str, argument: Argument) -> str:
        if argument.choices and word not in argument.choices:
            choices = ", ".join(f"`{choice}`" for choice in argument.choices)
            help = did_you_mean(word, argument.choices, node.span) or f"write one of {choices}"
            self.findings.reject("E303", node, f"`{argument.name}` cannot be `{word}`", argument.help, help)
        return word

    def _in_range(self, node: tree.Value, number: float, argument: Argument) -> float:
        limits = (
            (argument.at_least is None or number >= argument.at_least, "at least", argument.at_least),
            (argument.above is None or number > argument.above, "above", argument.above),
            (argument.at_most is None or number <= argument.at_most, "at most", argument.at_most),
            (argument.below is None or number < argument.below, "below", argument.below),
        )
        for fine, words, limit in limits:
            if not fine and limit is not None:
                bound = f"{limit * 100:g}%" if argument.type == "share" else f"{limit:g}"
                unit = f" ({argument.unit})" if argument.unit else ""
                found = f"{number * 100:g}%" if argument.type == "share" else f"{number:g}"
                self.findings.reject(
                    "E304",
                    node,
                    f"`{argument.name}` must be {words} {bound}{unit}, but here it is {found}",
                    argument.help,
                )
        return number

    def _wrong_type(self, node: tree.Value, value: Value, wanted: str, help: str | Hint) -> NoReturn:
        self.findings.reject(
            "E301", node, f"`{node.span.text}` is {describe(value)}, but {wanted} is needed here", help=help
        )


def _signature(entry: Entry) -> str:
    if not entry.args:
        return f"`{entry.name}` takes no arguments"
    return f"it takes `{entry.name}({', '.join(entry.args)})`"
