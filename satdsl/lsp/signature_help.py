"""Find the call that the cursor is in and the argument that is being written, and show the call's signature."""

from __future__ import annotations

from lsprotocol import types

from satdsl.catalog import FAMILIES, Argument, Catalog, Entry
from satdsl.catalog.renamed import table
from satdsl.catalog.show import signature, takes
from satdsl.lsp.cursor import CursorContext, cursor_at
from satdsl.lsp.snapshot import Snapshot
from satdsl.records import Record, record


def signature_help(snapshot: Snapshot, offset: int) -> types.SignatureHelp | None:
    """Return the signature of the call that an offset is in, with the argument that is being written."""
    cursor = cursor_at(snapshot, offset)
    call = active_call(cursor, snapshot.analysis.catalog) if isinstance(cursor, CursorContext) else None
    if call is None:
        return None
    entry, argument = call.entry, call.argument
    shown = [types.ParameterInformation(known.name, f"{takes(known)}\n\n{known.help}") for known in entry.args.values()]
    active = list(entry.args).index(argument.name) if argument is not None else None
    information = types.SignatureInformation(signature(entry), entry.help, shown, active)
    return types.SignatureHelp([information], 0, active)


@record
class ActiveCall(Record):
    """A call whose brackets the cursor is between; `place` is that of its name among the cursor's symbols."""

    at: CursorContext
    entry: Entry
    place: int

    @property
    def _inner(self) -> tuple[str, ...]:
        return self.at.symbols[self.place + 2 :]

    @property
    def between_arguments(self) -> bool:
        """Whether an argument can begin here: the cursor is in no list inside of one, and nothing is half written."""
        inner = self._inner
        return self.at.symbols[-1] in ("LPAR", "COMMA") and inner.count("LSQB") == inner.count("RSQB")

    @property
    def given(self) -> set[str]:
        """The names of the arguments that the call has."""
        return {
            self._own_word(str(argument.children[0].children[0]))
            for node in self.at.nodes[self.place + 2 :]
            for argument in getattr(node, "iter_subtrees", lambda: ())()
            if argument.data == "argument" and argument.children[0] is not None
        }

    @property
    def argument(self) -> Argument | None:
        """The argument whose value the cursor is at."""
        inner = self._inner
        named = next((i for i in range(len(inner) - 1, 0, -1) if inner[i - 1 : i + 1] == ("name", "EQUAL")), None)
        if named is not None and not _ended(inner[named:]):
            return self.entry.args.get(self._own_word(self.at.text(self.place + 1 + named)))
        order = list(self.entry.args.values())
        if not order or self.given:
            return None
        gathers = order[0].many and order[0].type == "results"
        in_list = inner.count("LSQB") > inner.count("RSQB")
        before = 0 if gathers or in_list else inner.count("COMMA")
        return order[before] if before < len(order) else None

    def _own_word(self, argument: str) -> str:
        """Return satdsl's name of an argument that has another name in another library."""
        instead = table().get(("argument", self.entry.family, argument))
        return argument if argument in self.entry.args or instead is None else instead.now


def active_call(at: CursorContext, known: Catalog) -> ActiveCall | None:
    """Return the innermost call around the cursor, if it is one of an entry that the catalog has for its place."""
    place = at.open_call
    if place is None:
        return None
    families = ["measure" if at.construct == "evaluate line" else at.construct]
    if at.construct in ("train line", "transfer line"):
        families = ["head"] if at.symbols[0] == "_HEAD" else ["loss", "term"]
    if families[0] not in (*FAMILIES, "measure"):
        return None
    if at.symbols.index("LPAR") - 1 < place:
        families = ["schedule", "perturbation", "augmentation", "model", "loss", "term", "head"]
    found = (_entry(family, at.text(place), known) for family in families)
    entry = next((entry for entry in found if entry is not None), None)
    return ActiveCall(at, entry, place) if entry is not None else None


def _entry(family: str, name: str, known: Catalog) -> Entry | None:
    """Return the entry of a name, or of the name that another library has for it."""
    instead = table().get(("entry", family, name))
    return known.find(family, name) or (known.find(family, instead.now) if instead is not None else None)


def _ended(symbols: tuple[str, ...]) -> bool:
    """Say whether a comma outside of brackets has ended an argument."""
    depth = 0
    for symbol in symbols:
        depth += (symbol in ("LPAR", "LSQB")) - (symbol in ("RPAR", "RSQB"))
        if symbol == "COMMA" and depth == 0:
            return True
    return False
