"""Put the attacks of one line together: `attack A with linf, l2`, `with each of linf, l2`, `with one of linf, l2`."""

from __future__ import annotations

from collections.abc import Sequence

from satdsl.check.collector import FindingCollector
from satdsl.hints import leave_out, listed
from satdsl.ir.steps import Attacks, CatalogCall, SeveralAttacks, key_text
from satdsl.syntax import tree


def together(line: tree.AttackLine, calls: Sequence[CatalogCall | None], findings: FindingCollector) -> Attacks | None:
    """Return what attacks a subset, of the attacks of its line, None being one that leaves images as they are."""
    if len(calls) == 1:
        return calls[0]
    for place, (word, call) in enumerate(zip(line.attacks, calls, strict=True)):
        if call in calls[:place]:
            findings.reject(
                "E533",
                word,
                f"`{word.span.text}` is the same attack as `{line.attacks[calls.index(call)].span.text}`",
                "a second time it costs as much and finds nothing else",
                leave_out(word.span, "name each attack once"),
            )
    objectives = dict.fromkeys(call.get("objective", "ce") for call in calls if call is not None)
    if line.how == "strongest" and len(objectives) > 1:
        findings.reject(
            "E533",
            line,
            f"these attacks raise different objectives: {listed(list(objectives))}",
            "the strongest of them is the one that raises it most, so they need the same one",
            "give all of them one `objective`, or write `with each of` or `with one of`",
        )
    return SeveralAttacks(line.how, tuple(sorted(calls, key=key_text)))
