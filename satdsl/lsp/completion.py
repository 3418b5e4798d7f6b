"""The cursor's context to what can be written there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from lsprotocol import types

from satdsl.catalog import Argument
from satdsl.catalog.show import takes, value
from satdsl.check.claims import REDUCTIONS
from satdsl.ir.experiment import PSEUDO_AXES
from satdsl.lsp.calls import OpenCall, open_call
from satdsl.lsp.context import Context, InText, context
from satdsl.lsp.declared import SUBSETS
from satdsl.lsp.offers import Offer, Stock
from satdsl.lsp.view import View
from satdsl.syntax import layout, messages, tree

Kind = types.CompletionItemKind

_WORDS = {
    "KEPT": ("snapshots", "weights"),
    "EPOCH": ("epoch",),
    "EPOCHS": ("epochs",),
    "BY_CLASS": ("by class",),
}
_SOFT = {"CLASS", "CLASSES", "EXAMPLES", "HARDEST", "EASIEST", "RANDOM", "WEIGHT"}
"""Keywords that the grammar also takes wherever a name may stand; they are offered where they mean something."""

_FILES = (
    (re.compile(r"\buse\s*$"), (".sat",)),
    (re.compile(r"\b(?:listed|scores)\s+in\s*$"), (".txt", ".csv", ".npy", ".pt")),
    (re.compile(r"\bcheckpoint\s*\(\s*(?:path\s*=\s*)?$"), (".pt", ".pth", ".ckpt", ".tar", ".safetensors")),
    (re.compile(r"\bfolder\s*\(\s*(?:path\s*=\s*)?$"), ()),
)
"""What stands before a text that is a path, and what the names of such files end in; folders are always offered."""


def completion(view: View, offset: int, snippets: bool = False) -> list[types.CompletionItem]:
    """What can be written at an offset, the likeliest first."""
    found = _context(view, offset)
    if found is None:
        return []
    if isinstance(found, InText):
        start = offset - len(found.text.rpartition("/")[2])
        offers = list(_paths(view, found))
    else:
        start = offset - len(found.word)
        offers = list(_Offers(view, found).all())
    range = view.positions.range(start, offset)
    unique = {offer.text: offer for offer in reversed(offers)}
    ordered = [unique.pop(offer.text) for offer in offers if offer.text in unique]
    return [_item(offer, place, range, snippets) for place, offer in enumerate(ordered)]


def _context(view: View, offset: int) -> Context | InText | None:
    """Read from the third statement before: where one ends depends on how the next begins."""
    before = [chunk.start for chunk in view.chunks if chunk.start <= offset]
    return context(view.source.text, offset, before[-4] if len(before) > 3 else 0)


def call_at(view: View, offset: int) -> OpenCall | None:
    """The call that an offset is in."""
    found = _context(view, offset)
    return open_call(found) if isinstance(found, Context) else None


def _item(offer: Offer, place: int, range: types.Range, snippets: bool) -> types.CompletionItem:
    as_call = offer.call and snippets
    return types.CompletionItem(
        label=offer.text,
        kind=offer.kind,
        detail=offer.detail or None,
        documentation=types.MarkupContent(types.MarkupKind.Markdown, offer.help) if offer.help else None,
        sort_text=f"{place:04}",
        filter_text=offer.text,
        insert_text_format=types.InsertTextFormat.Snippet if as_call else types.InsertTextFormat.PlainText,
        text_edit=types.TextEdit(range, f"{offer.text}($0)" if as_call else offer.text),
    )


def _paths(view: View, found: InText) -> Iterator[Offer]:
    endings = next((endings for before, endings in _FILES if before.search(found.before)), None)
    if endings is None:
        return
    typed = found.text.rpartition("/")[0]
    folder = os.path.join(os.path.dirname(view.source.path), typed)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (OSError, ValueError):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield Offer(entry.name, Kind.Folder)
        elif entry.name.endswith(endings) and entry.path != view.source.path:
            yield Offer(entry.name, Kind.File)


class _Offers:
    """What can be written in a context."""

    def __init__(self, view: View, at: Context) -> None:
        self.view = view
        self.at = at
        self.names = view.names
        self.stock = Stock(view)
        self.last = at.symbols[-1] if at.symbols else ""

    def all(self) -> Iterator[Offer]:
        if not self.at.construct:
            yield from (Offer(word, Kind.Keyword, help=_example(word)) for word in layout.RESERVED)
            return
        yield from self._names()
        yield from self._keywords()

    # --- keywords ---

    def _keywords(self) -> Iterator[Offer]:
        accepted = self.at.accepted
        subset = self._is_subset()
        begins = not self.at.symbols and self.at.construct == "split line"
        for terminal in sorted(accepted):
            soft = terminal in _SOFT
            if soft and "NAME" in accepted and not (begins if terminal == "WEIGHT" else subset):
                continue
            if terminal in _WORDS:
                words: tuple[str, ...] = _WORDS[terminal]
            elif terminal[0] == "_" and terminal.strip("_").isalpha() and terminal != "_NL":
                words = (terminal.strip("_").lower(),)
            elif soft:
                words = (terminal.lower(),)
            else:
                continue
            yield from (Offer(word, Kind.Keyword) for word in words)
        if self.at.construct == "sweep line" and self.last in ("EQUAL", "LSQB") and "NAME" in accepted:
            yield from (Offer(word, Kind.Keyword, "order") for word in ("hardest", "easiest", "random"))
            yield Offer("classes of", Kind.Keyword, "the classes of a data set")

    def _is_subset(self) -> bool:
        """Whether a subset can begin here: it can begin with `hardest`, but not with a number."""
        return (
            self.at.construct == "split line"
            and bool(self.at.symbols)
            and ({"HARDEST", "LPAR"} <= self.at.accepted and "NUMBER" not in self.at.accepted)
        )

    # --- names, by what stands before ---

    def _names(self) -> Iterator[Offer]:
        if not self.at.symbols or not {"NAME", "SCORE", "PARAM"} & self.at.accepted:
            return
        call = open_call(self.at)
        inside = self._bracket()
        if inside is not None:
            yield from self._selectors(inside)
        elif self.last == "DOT":
            yield from self._after_dot()
        elif call is not None:
            yield from self._in_call(call)
        elif "SCORE" in self.at.accepted:
            yield from self.stock.entries("score")
            yield from self._parameters()
        else:
            yield from self._by_construct()

    def _by_construct(self) -> Iterator[Offer]:
        at, last = self.at, self.last
        construct = at.construct
        if construct in ("dataset", "model", "attack", "recipe", "plot", "table") and last == "EQUAL":
            yield from self.stock.entries(construct)
        elif construct in ("train", "transfer", "split", "evaluate"):
            yield from self._declared(*self._wanted_in_header())
        elif construct == "train line":
            yield from self._in_train()
        elif construct == "split line":
            yield from self._in_split()
        elif construct == "transfer line" and last == "EQUAL":
            yield from self.stock.entries("head") if at.symbols[0] == "_HEAD" else self._parameters()
        elif construct == "evaluate line":
            yield from self._in_evaluate()
        elif last == "_OF" and at.symbols[-2:-1] == ("CLASSES",):
            yield from self._declared("dataset")
        elif construct in ("expect", "published"):
            yield from self._in_claim()
        elif construct in ("sweep line", "param"):
            yield from self._in_values()

    def _wanted_in_header(self) -> tuple[str, ...]:
        match self.at.construct, self.last:
            case "train", "EQUAL":
                return ("model",)
            case "train", "_ON":
                return ("dataset", "split")
            case _, "_USING":
                return ("recipe",)
            case "transfer", "EQUAL":
                return ("train",)
            case ("transfer", "_TO") | ("split", "_OF"):
                return ("dataset",)
            case "evaluate", "_EVALUATE":
                return ("train", "transfer")
        return ()

    def _in_train(self) -> Iterator[Offer]:
        match self.last:
            case "_ATTACK" | "_LOSS":
                yield Offer("all", Kind.Keyword, "every example")
                for split in self.names.split_names(self._owner()):
                    yield from self.stock.subsets(split)
            case "_WITH" | "_UNDER" | "COMMA":
                yield from self._declared("attack")
            case "_FROM":
                yield from self._declared("train", "transfer")
            case "_EVERY" if "EPOCH" in self.at.accepted:
                yield Offer("epoch", Kind.Keyword, "each of them")
                yield from self._parameters()
            case "EQUAL" if self.at.symbols[0] == "_LOSS":
                yield from self.stock.entries("loss")
            case _:
                yield from self._parameters()

    def _in_split(self) -> Iterator[Offer]:
        symbols, last = self.at.symbols, self.last
        own = self.at.text(0) if symbols[0] == "name" else ""
        if last == "_OF" and symbols[-2:-1] == ("score",):
            yield from self._declared("train")
        elif last in ("CLASS", "CLASSES") or (last == "COMMA" and self.at.open_call is None):
            yield from self.stock.classes(self._owner())
        elif last == "VBAR":
            yield from self.stock.subsets(self._owner())
            yield Offer("train", Kind.Keyword, "the training set")
        elif last in ("WEIGHT", "_OF") or self._is_subset():
            yield from self.stock.subsets(self._owner(), without=own)
            if last == "EQUAL":
                yield from (Offer(word, Kind.Keyword) for word in SUBSETS)
        elif self.at.open_call is not None:
            yield from self.stock.subsets(self._owner())
        else:
            yield from self._parameters()
            if symbols[0] == "WEIGHT" and "NAME" in self.at.accepted:
                yield Offer("classes", Kind.Function, "the number of classes of a subset", call=True)

    def _in_evaluate(self) -> Iterator[Offer]:
        on = self.last == "_ON" or (self.last == "COMMA" and "_ON" in self.at.symbols)
        if on:
            yield from self.stock.parts(self._owner())
        elif self.last in ("_UNDER", "COMMA"):
            yield from self._declared("attack")

    def _in_claim(self) -> Iterator[Offer]:
        symbols = self.at.symbols
        if "_IN" in symbols:
            yield from self.stock.labels(self.at.text(symbols.index("_IN") - 1))
        elif self.last == "_ALL" or (self.last == "COMMA" and "_ALL" in symbols):
            yield from self.stock.axes("")
        elif "NAME" in self.at.accepted:
            yield from self.stock.results()
            yield from (Offer(word, Kind.Function, call=True) for word in REDUCTIONS)

    def _in_values(self) -> Iterator[Offer]:
        if self.last == "COMPARISON":
            yield from self.stock.labels(self.at.text(-2).removeprefix("$"))
            return
        yield from self._parameters()
        if self.at.construct == "sweep line" and self.last == "VBAR":
            for split, statement in self.names.declared.items():
                if isinstance(statement, tree.Split):
                    yield from self.stock.subsets(split)
        elif self.last in ("EQUAL", "LSQB", "COMMA"):
            yield from self._declared("model", "attack", "recipe", "dataset", "split")

    # --- brackets and dots ---

    def _bracket(self) -> int | None:
        """The place of the name whose point is being picked: `sat.robust[` or `ref[`."""
        symbols = self.at.symbols
        for place in range(len(symbols) - 1, 0, -1):
            if symbols[place] in ("RSQB", "LPAR", "RPAR"):
                return None
            if symbols[place] == "LSQB":
                return place - 1 if symbols[place - 1] in ("name", "word") else None
        return None

    def _selectors(self, place: int) -> Iterator[Offer]:
        symbols = self.at.symbols
        owner = self.at.text(place)
        result = ""
        if symbols[place - 2 : place] == ("name", "DOT"):
            owner, result = self.at.text(place - 2), owner
        known = self.view.analysis.results.get(f"{owner}.{result}")
        if self.last == "EQUAL":
            axis = self.at.text(-2)
            if known is not None and axis in known.axes:
                labels = dict.fromkeys(point[axis] for point in known.points)
                yield from (Offer(label, Kind.EnumMember, f"value of {axis}") for label in labels)
            else:
                yield from self.stock.picked_parts(owner) if axis == "part" else self.stock.labels(axis)
            return
        family = self.view.family(owner)
        axes = known.axes if known is not None else family.axes if family is not None else tuple(self.names.values)
        yield from (Offer(axis, Kind.Variable, "axis") for axis in axes)

    def _after_dot(self) -> Iterator[Offer]:
        owner = self.at.text(-2)
        if self.at.construct == "evaluate line":
            yield from (Offer(part, Kind.Constant, f"images of {owner}") for part in ("val", "train"))
            return
        for result in self.names.results.get(owner, ()):
            yield Offer(result, Kind.Property, f"result of {owner}")

    # --- calls ---

    def _in_call(self, call: OpenCall) -> Iterator[Offer]:
        argument = call.argument
        values = list(self._values(argument)) if argument is not None else []
        arguments = list(self._arguments(call)) if call.between_arguments else []
        # Results are listed without their argument's name; everything else is better understood with it.
        results_first = argument is not None and argument.type == "results"
        yield from (*values, *arguments) if results_first else (*arguments, *values)

    def _arguments(self, call: OpenCall) -> Iterator[Offer]:
        """Those that the call does not have yet, the ones that it needs first."""
        given = call.given
        for known in sorted(call.entry.args.values(), key=lambda known: not known.required):
            if known.name not in given:
                yield Offer(f"{known.name}=", Kind.Field, _takes(known), known.help)

    def _values(self, argument: Argument) -> Iterator[Offer]:
        match argument.type:
            case "word":
                yield from (Offer(value(argument, word), Kind.EnumMember, argument.name) for word in argument.choices)
            case "bool":
                yield from (Offer(word, Kind.EnumMember, argument.name) for word in ("true", "false"))
            case "call":
                yield from self.stock.entries(argument.family)
            case "results":
                yield from self.stock.results()
            case "axis":
                yield from self.stock.axes("$")
                yield from (Offer(word, Kind.Constant, "axis of a result") for word in PSEUDO_AXES)
        if argument.optional:
            yield Offer("none", Kind.EnumMember, argument.name)
        if argument.type not in ("results", "axis", "text"):
            yield from self._parameters()
        if not argument.required and argument.type in ("number", "int", "share") and not argument.many:
            yield Offer(value(argument, argument.default), Kind.Value, "default")

    # --- what there is ---

    def _owner(self) -> str:
        """The name in the header of the statement whose block the cursor is in."""
        return self.at.header[1] if len(self.at.header) > 1 else ""

    def _declared(self, *kinds: str) -> Iterator[Offer]:
        yield from self.stock.declared(*kinds, without=self._owner())
        yield from self._parameters() if kinds else ()

    def _parameters(self) -> Iterator[Offer]:
        if "PARAM" in self.at.accepted:
            yield from self.stock.axes("$", params=True)


def _example(word: str) -> str:
    example = messages.EXAMPLES.get(word)
    return f"`{example}`" if example else ""


def _takes(argument: Argument) -> str:
    default = "required" if argument.required else f"default {value(argument, argument.default)}"
    return f"{takes(argument)}; {default}"
