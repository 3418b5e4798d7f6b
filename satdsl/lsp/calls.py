"""The call that the cursor is in: which entry of the catalog it is, and which of its arguments is being written."""

from __future__ import annotations

from satdsl.catalog import FAMILIES, Argument, Entry, catalog
from satdsl.catalog.renamed import table
from satdsl.lsp.context import Context
from satdsl.records import Record, record


@record
class OpenCall(Record):
    """A call that the cursor is between the brackets of; `place` is that of its name among the context's symbols."""

    at: Context
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
        """The names of the arguments that are there."""
        found: set[str] = set()
        for node in self.at.nodes[self.place + 2 :]:
            for argument in getattr(node, "iter_subtrees", lambda: ())():
                if argument.data == "argument" and argument.children[0] is not None:
                    found.add(self._own_word(str(argument.children[0].children[0])))
        return found

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
        """The language's word for an argument that another library calls otherwise."""
        instead = table().get(("argument", self.entry.family, argument))
        return argument if argument in self.entry.args or instead is None else instead.now


def open_call(at: Context) -> OpenCall | None:
    """The innermost call around the cursor, if the catalog has it where it stands."""
    place = at.open_call
    if place is None:
        return None
    families = [{"train line": "loss", "transfer line": "head"}.get(at.construct, at.construct)]
    if families[0] not in FAMILIES:
        return None
    if at.symbols.index("LPAR") - 1 < place:
        families = ["schedule", "augmentation", "model", "loss", "head"]
    found = (_entry(family, at.text(place)) for family in families)
    entry = next((entry for entry in found if entry is not None), None)
    return OpenCall(at, entry, place) if entry is not None else None


def _entry(family: str, name: str) -> Entry | None:
    """The catalog's entry of a name, or of the word that another library has for it."""
    instead = table().get(("entry", family, name))
    return catalog().find(family, name) or (catalog().find(family, instead.now) if instead is not None else None)


def _ended(symbols: tuple[str, ...]) -> bool:
    """Whether a comma outside of brackets has ended an argument."""
    depth = 0
    for symbol in symbols:
        depth += (symbol in ("LPAR", "LSQB")) - (symbol in ("RPAR", "RSQB"))
        if symbol == "COMMA" and depth == 0:
            return True
    return False
