"""Say what is assumed of a network whose weights come from a file, where the file does not tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from satdsl.catalog import Entry
from satdsl.catalog.models import ModelEntry
from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import argument
from satdsl.check.science import Site
from satdsl.check.values import Called, Environment, evaluate
from satdsl.ir.steps import CatalogCall, Pretrained
from satdsl.syntax import tree


def assumed(
    call: tree.Call, choice: CatalogCall, weights: Pretrained, at: Environment, findings: FindingCollector
) -> None:
    """Warn of all that `checkpoint(...)` leaves open and that the file cannot tell, once for each checkpoint.

    Arguments in which networks rarely differ are named, too, but are no reason to warn. What the network has to prove
    need not be said.
    """
    if weights.proof is not None:
        return
    entry = ModelEntry.of(choice["arch"])
    written = _written(call, entry, at, findings)
    arch = choice["arch"]
    untold = [each for each in entry.untold if each.argument not in written and each.where(arch)]
    often, rarely = [each for each in untold if not each.rare], [each for each in untold if each.rare]
    taken = [_said(each.argument, entry, arch) for each in often]
    others = [f"`{each.argument}={each.other}` in {each.whose}" for each in often]
    if not _gives(call, ModelEntry.of(choice), ("mean", "std"), findings) and not _tells_normalisation(weights):
        taken.append("the data set's `mean` and `std`")
        others.append("images in [0, 1] as they are, in TRADES and others")
    if not taken:
        return
    findings.warn(
        "E516",
        call,
        f"`{choice['file']}` does not tell all of its network; assumed: {', '.join(taken)}",
        f"others with weights of the same names and shapes were published: {'; '.join(others)}"
        + (f"; and some have another {_one_of([each.argument for each in rarely])}" if rarely else ""),
        "look into the code that trained these weights and write what it has, "
        "or let it prove itself: `expect=(images=..., logits=...)` from that code, or `clean=...`, its known accuracy",
    )


def _written(call: tree.Call, entry: Entry, at: Environment, findings: FindingCollector) -> set[str]:
    """Return the arguments that the call of the architecture gives."""
    node = argument(call, "arch", 1)
    given = evaluate(node, at, findings) if node is not None else None
    if not isinstance(given, Called):
        return set()
    site = Site(given.node, findings, entry)
    return {name for name in entry.args if site.gives(name)}


def _gives(call: tree.Call, entry: Entry, names: Iterable[str], findings: FindingCollector) -> bool:
    site = Site(call, findings, entry)
    return all(site.gives(name) for name in names)


def _tells_normalisation(weights: Pretrained) -> bool:
    """Return whether the file has the numbers of a normalisation, which are then compared with the data set's."""
    from satdsl.weight_files.contents import networks
    from satdsl.weight_files.matching import MEANS, STDS

    names = {name.rpartition(".")[2] for found in networks(Path(weights.path)).values() for name in found}
    return bool(names & MEANS and names & STDS)


def _said(name: str, entry: Entry, arch: CatalogCall) -> str:
    """Return an argument with the value that it has, as it is written: `` `pool=none` ``."""
    from satdsl.catalog.show import value  # which takes long to import, and few specifications need

    return f"`{name}={value(entry.args[name], arch[name])}`"


def _one_of(names: Sequence[str]) -> str:
    *others, last = (f"`{name}`" for name in dict.fromkeys(names))
    return f"{', '.join(others)} or {last}" if others else last
