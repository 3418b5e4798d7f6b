"""The call that the cursor is in to its signature, with the argument that comes next."""

from __future__ import annotations

from lsprotocol import types

from satdsl.catalog.show import signature as written
from satdsl.catalog.show import takes
from satdsl.lsp.completion import call_at
from satdsl.lsp.view import View


def signature(view: View, offset: int) -> types.SignatureHelp | None:
    found = call_at(view, offset)
    if found is None:
        return None
    entry, argument = found.entry, found.argument
    shown = [types.ParameterInformation(known.name, f"{takes(known)}\n\n{known.help}") for known in entry.args.values()]
    active = list(entry.args).index(argument.name) if argument is not None else None
    information = types.SignatureInformation(written(entry), entry.help, shown, active)
    return types.SignatureHelp([information], 0, active)
