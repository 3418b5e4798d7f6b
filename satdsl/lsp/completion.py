"""Complete what can be written at the cursor, the likeliest first."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from lsprotocol import types

from satdsl.catalog import Argument
from satdsl.catalog.show import takes, value
from satdsl.check.claims import REDUCTIONS
from satdsl.check.rows import naming
from satdsl.ir.experiment import EPOCH, RESULT_AXES
from satdsl.ir.loss_formula import IMAGES
from satdsl.lsp.candidates import Candidate, Candidates
from satdsl.lsp.cursor import CursorContext, InString, cursor_at
from satdsl.lsp.definitions import SUBSETS
from satdsl.lsp.signature_help import ActiveCall, active_call
from satdsl.lsp.snapshot import Snapshot
from satdsl.syntax import layout, messages, tree

Kind = types.CompletionItemKind

_WORDS = {
    "KEPT": ("snapshots", "weights"),
    "EPOCH": ("epoch",),
    "EPOCHS": ("epochs",),
    "BY_CLASS": ("by class",),
    "_IMAGES_OF": ("images of",),
    "_EACH_OF": ("each of",),
    "_ONE_OF": ("one of",),
    "_SCALED_BY": ("scaled by",),
    "_FROM_EPOCH": ("from epoch",),
    "_UNTIL_EPOCH": ("until epoch",),
}
"""The words of terminals whose names do not tell them."""

_SOFT = {"CLASS", "CLASSES", "EXAMPLES", "HARDEST", "EASIEST", "RANDOM", "WEIGHT"}
"""Keywords that the grammar also takes wherever a name may stand. They are offered only where they are keywords."""

_FILES = (
    (re.compile(r"\buse\s*$"), (".sat", ".py")),
    (re.compile(r"\b(?:listed|scores|ranking)\s+in\s*$"), (".txt", ".csv", ".npy", ".pt", ".pth")),
    (re.compile(r"\bcheckpoint\s*\(\s*(?:path\s*=\s*)?$"), (".pt", ".pth", ".ckpt", ".tar", ".safetensors")),
    (re.compile(r"\bfolder\s*\(\s*(?:path\s*=\s*)?$"), ()),
)
"""What stands before a string that is a path, and the endings of such files. Folders are always offered."""


def completion(snapshot: Snapshot, offset: int, snippets: bool = False) -> list[types.CompletionItem]:
    """Return what can be written at an offset; `snippets` says whether the editor can place the cursor in brackets."""
    cursor = cursor_at(snapshot, offset)
    if cursor is None:
        return []
    if isinstance(cursor, InString):
        start = offset - len(cursor.text.rpartition("/")[2])
        found = list(_paths(snapshot, cursor))
    else:
        start = offset - len(cursor.word)
        found = list(_Completer(snapshot, cursor).candidates())
    range = snapshot.positions.range(start, offset)
    unique = {one.text: one for one in reversed(found)}
    ordered = [unique.pop(one.text) for one in found if one.text in unique]
    return [_item(one, place, range, snippets) for place, one in enumerate(ordered)]


def _item(candidate: Candidate, place: int, range: types.Range, snippets: bool) -> types.CompletionItem:
    as_call = candidate.call and snippets
    help = types.MarkupContent(types.MarkupKind.Markdown, candidate.help) if candidate.help else None
    return types.CompletionItem(
        label=candidate.text,
        kind=candidate.kind,
        detail=candidate.detail or None,
        documentation=help,
        sort_text=f"{place:04}",
        filter_text=candidate.text,
        insert_text_format=types.InsertTextFormat.Snippet if as_call else types.InsertTextFormat.PlainText,
        text_edit=types.TextEdit(range, f"{candidate.text}($0)" if as_call else candidate.text),
    )


def _paths(snapshot: Snapshot, found: InString) -> Iterator[Candidate]:
    """Yield the files that a string can be the path of."""
    endings = next((endings for before, endings in _FILES if before.search(found.before)), None)
    if endings is None:
        return
    typed = found.text.rpartition("/")[0]
    folder = os.path.join(os.path.dirname(snapshot.source.path), typed)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (OSError, ValueError):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield Candidate(entry.name, Kind.Folder)
        elif entry.name.endswith(endings) and entry.path != snapshot.source.path:
            yield Candidate(entry.name, Kind.File)


class _Completer:
    """Choose the candidates that fit the syntax around the cursor."""

    def __init__(self, snapshot: Snapshot, at: CursorContext) -> None:
        self.snapshot = snapshot
        self.at = at
        self.symbols = snapshot.symbols
        self.known = Candidates(snapshot)
        self.last = at.symbols[-1] if at.symbols else ""
        self.owner = at.header[1] if len(at.header) > 1 else ""
        """The name in the header of the statement that the cursor is in; of several, the first."""

    def candidates(self) -> Iterator[Candidate]:
        if not self.at.construct:
            for word in layout.RESERVED:
                example = messages.EXAMPLES.get(word)
                yield Candidate(word, Kind.Keyword, help=f"`{example}`" if example else "")
            return
        yield from self._names()
        yield from self._keywords()

    def _keywords(self) -> Iterator[Candidate]:
        accepted = self.at.accepted
        begins = not self.at.symbols and self.at.construct == "split line"
        for terminal in sorted(accepted):
            soft = terminal in _SOFT
            if soft and "NAME" in accepted and not (begins if terminal == "WEIGHT" else self._is_subset()):
                continue
            if terminal in _WORDS:
                yield from self.known.words(*_WORDS[terminal])
            elif soft or (terminal[0] == "_" and terminal.strip("_").isalpha() and terminal != "_NL"):
                yield Candidate(terminal.strip("_").lower(), Kind.Keyword)
        if self.at.construct == "sweep line" and self.last in ("EQUAL", "LSQB") and "NAME" in accepted:
            yield from self.known.words("hardest", "easiest", "random", detail="order")
            yield Candidate("classes of", Kind.Keyword, "the classes of a data set")

    def _is_subset(self) -> bool:
        """Say whether a subset can begin here: it can begin with `hardest`, but not with a number."""
        accepted = self.at.accepted
        in_line = self.at.construct == "split line" and bool(self.at.symbols)
        return in_line and {"HARDEST", "LPAR"} <= accepted and "NUMBER" not in accepted

    def _names(self) -> Iterator[Candidate]:
        if not self.at.symbols or not {"NAME", "SCORE", "PARAM", "CALLED"} & self.at.accepted:
            return
        call = active_call(self.at, self.snapshot.analysis.catalog)
        bracket = self._open_bracket()
        if bracket is not None:
            yield from self._selectors(bracket)
        elif self.last == "DOT":
            yield from self._after_dot()
        elif call is not None:
            yield from self._in_call(call)
        elif "SCORE" in self.at.accepted:
            yield from self.known.entries("score")
            yield from self._parameters()
        else:
            yield from self._in_statement()

    # --- statements and the lines of their blocks ---

    def _in_statement(self) -> Iterator[Candidate]:
        symbols, last = self.at.symbols, self.last
        match self.at.construct, last:
            case ("dataset" | "model" | "attack" | "recipe" | "plot" | "table") as family, "EQUAL":
                yield from self.known.entries(family)
            case "train", "EQUAL":
                yield from self._defined("model")
            case "train", "_ON":
                yield from self._defined("dataset", "split")
            case (("train" | "transfer"), "_USING"):
                yield from self._defined("recipe")
            case "transfer", "EQUAL":
                yield from self._defined("train")
            case "transfer", "_TO":
                yield from self._defined("dataset", "split")
            case "split", "_OF":
                yield from self._defined("dataset")
            case "evaluate", ("_EVALUATE" | "COMMA"):
                yield from self._defined("train", "transfer")
            case (("train" | "transfer" | "split" | "evaluate"), _):
                return
            case "train line", _:
                yield from self._in_train()
            case "split line", _:
                yield from self._in_split()
            case "transfer line", "EQUAL" if symbols[0] == "_HEAD":
                yield from self.known.entries("head")
            case "transfer line", _:
                yield from self._in_train()
            case "evaluate line", "_ON" if symbols[-2:-1] == ("_MADE",):
                yield from self._defined("train", "transfer")
            case "evaluate line", _ if last == "_ON" or (last == "COMMA" and "_ON" in symbols):
                yield from self.known.parts(*self._measured())
            case "evaluate line", ("_UNDER" | "COMMA") if "_AT" not in symbols:
                yield from self._defined("attack")
            case "evaluate line", "EQUAL":
                yield from (one for one in self.known.entries("measure") if one.call)
            case "evaluate line", _:
                return
            case _, "_OF" if symbols[-2:-1] == ("CLASSES",):
                yield from self._defined("dataset")
            case "label", "_LABEL":
                yield from self._defined("train", "transfer")
            case (("expect" | "published"), _):
                yield from self._in_claim()
            case (("sweep line" | "param"), _):
                yield from self._in_values()

    def _measured(self) -> Iterator[str]:
        """Yield the names of the networks that the block around the cursor measures."""
        for name, follows in zip(self.at.header[1::2], (*self.at.header[2::2], ""), strict=False):
            yield name
            if follows != ",":
                return

    def _in_train(self) -> Iterator[Candidate]:
        match self.last:
            case "_ATTACK" | "_LOSS":
                yield Candidate("all", Kind.Keyword, "every example")
                for split in self.symbols.split_names(self.owner):
                    yield from self.known.subsets(split)
            case "_WITH" | "_UNDER" | "COMMA":
                yield from self._defined("attack")
            case "_FROM":
                yield from self._defined("train", "transfer")
            case "_EVERY" if "EPOCH" in self.at.accepted:
                yield Candidate("epoch", Kind.Keyword, "each of them")
                yield from self._parameters()
            case "EQUAL" if self.at.symbols[0] == "_LOSS":
                yield from self.known.entries("loss")
                yield from self.known.entries("term")
                yield from self._parameters()
            case _:
                if self.at.symbols[0] == "_LOSS":
                    yield from self.known.entries("term")
                yield from self._parameters()

    def _in_split(self) -> Iterator[Candidate]:
        symbols, last, split = self.at.symbols, self.last, self.owner
        own = self.at.text(0) if symbols[0] == "name" else ""
        if last == "_OF" and symbols[-2:-1] == ("score",):
            yield from self._defined("train")
        elif last == "_IMAGES_OF":
            yield from self.known.joined(split)
        elif last == "_UNDER":
            yield from self._defined("attack")
        elif last in ("CLASS", "CLASSES") or (last == "COMMA" and self.at.open_call is None):
            yield from self.known.classes(split)
        elif last == "VBAR":
            yield from self.known.subsets(split)
            yield Candidate("train", Kind.Keyword, "the training set")
        elif last in ("WEIGHT", "_SHARE", "_OF") or self._is_subset():
            yield from self.known.subsets(split, without=own)
            if last == "EQUAL":
                yield from self.known.words(*SUBSETS)
        elif self.at.open_call is not None:
            yield from self.known.subsets(split)
        else:
            yield from self._parameters()
            if symbols[0] == "WEIGHT" and "NAME" in self.at.accepted:
                yield Candidate("classes", Kind.Function, "the number of classes of a subset", call=True)

    def _in_claim(self) -> Iterator[Candidate]:
        symbols = self.at.symbols
        if "_IN" in symbols:
            yield from self.known.labels(self.at.text(symbols.index("_IN") - 1))
        elif self.last == "_ALL" or (self.last == "COMMA" and "_ALL" in symbols):
            yield from self.known.axes("")
        elif "NAME" in self.at.accepted:
            yield from self.known.results()
            yield from (Candidate(word, Kind.Function, call=True) for word in REDUCTIONS)

    def _in_values(self) -> Iterator[Candidate]:
        if self.last == "COMPARISON":
            yield from self.known.labels(self.at.text(-2).removeprefix("$"))
            return
        yield from self._parameters()
        if self.at.construct == "sweep line" and self.last == "VBAR":
            for split, statement in self.symbols.statements.items():
                if isinstance(statement, tree.Split):
                    yield from self.known.subsets(split)
        elif self.last in ("EQUAL", "LSQB", "COMMA"):
            yield from self._defined("model", "attack", "recipe", "dataset", "split")

    # --- brackets and dots ---

    def _open_bracket(self) -> int | None:
        """Return the place of the name whose point is being picked: `sat.robust[` or `ref[`."""
        symbols = self.at.symbols
        for place in range(len(symbols) - 1, 0, -1):
            if symbols[place] in ("RSQB", "LPAR", "RPAR"):
                return None
            if symbols[place] == "LSQB":
                return place - 1 if symbols[place - 1] in ("name", "word") else None
        return None

    def _selectors(self, place: int) -> Iterator[Candidate]:
        """Yield the axes of what is picked from, or after `=` the values of one."""
        owner, result = self.at.text(place), ""
        if self.at.symbols[place - 2 : place] == ("name", "DOT"):
            owner, result = self.at.text(place - 2), owner
        known = self.snapshot.analysis.results.get(f"{owner}.{result}")
        if self.last != "EQUAL":
            table = known or self.snapshot.table(owner)
            if known is None and owner in self.snapshot.analysis.scope.names("train"):
                yield Candidate(EPOCH, Kind.Constant, "the weights after so many epochs")
            axes = self.snapshot.analysis.axes
            names = (*table.axes, *naming(axes, table.axes, axes.names)) if table else self.symbols.values
            yield from self.known.words(*names, kind=Kind.Variable, detail="axis")
            return
        axis = self.at.text(-2)
        if known is not None and axis in known.axes:
            labels = dict.fromkeys(point[axis] for point in known.points)
            yield from self.known.words(*labels, kind=Kind.EnumMember, detail=f"value of {axis}")
        else:
            yield from self.known.subset_parts(owner) if axis == "part" else self.known.labels(axis)

    def _after_dot(self) -> Iterator[Candidate]:
        owner = self.at.text(-2)
        if self.at.construct == "train":
            return self.known.subsets(owner)
        if self.at.construct == "evaluate line":
            return self.known.words("val", "train", kind=Kind.Constant, detail=f"images of {owner}")
        results = self.symbols.results.get(owner, ())
        return self.known.words(*results, kind=Kind.Property, detail=f"result of {owner}")

    # --- calls ---

    def _in_call(self, call: ActiveCall) -> Iterator[Candidate]:
        argument = call.argument
        values = list(self._values(argument)) if argument is not None else []
        arguments = list(self._arguments(call)) if call.between_arguments else []
        # Results and images are listed without their argument's name; all else is better understood with it.
        results_first = argument is not None and argument.type in ("results", "image", "loss")
        yield from (*values, *arguments) if results_first else (*arguments, *values)

    def _arguments(self, call: ActiveCall) -> Iterator[Candidate]:
        """Yield the arguments that the call does not have yet, those that it needs first."""
        given = call.given
        for known in sorted(call.entry.args.values(), key=lambda known: not known.required):
            if known.name not in given:
                default = "required" if known.required else f"default {value(known, known.default)}"
                yield Candidate(f"{known.name}=", Kind.Field, f"{takes(known)}; {default}", known.help)

    def _values(self, argument: Argument) -> Iterator[Candidate]:
        match argument.type:
            case "word":
                words = (value(argument, word) for word in argument.choices)
                yield from self.known.words(*words, kind=Kind.EnumMember, detail=argument.name)
            case "bool":
                yield from self.known.words("true", "false", kind=Kind.EnumMember, detail=argument.name)
            case "call":
                yield from self.known.entries(argument.family)
            case "results":
                yield from self.known.results()
            case "image":
                yield from self.known.words(*IMAGES, kind=Kind.Constant, detail="image")
            case "loss":
                yield from self.known.entries("term")
            case "axis":
                yield from self.known.axes("$")
                yield from self.known.words(*RESULT_AXES, kind=Kind.Constant, detail="axis of a result")
        if argument.optional:
            yield Candidate("none", Kind.EnumMember, argument.name)
        if argument.type not in ("results", "axis", "text"):
            yield from self._parameters()
        if not argument.required and argument.type in ("number", "int", "share") and not argument.many:
            yield Candidate(value(argument, argument.default), Kind.Value, "default")

    # --- names that the file defines ---

    def _defined(self, *kinds: str) -> Iterator[Candidate]:
        yield from self.known.defined(*kinds, without=self.owner)
        yield from self._parameters()

    def _parameters(self) -> Iterator[Candidate]:
        if "PARAM" in self.at.accepted:
            yield from self.known.axes("$", params=True)
