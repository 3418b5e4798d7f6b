"""Read the order that a data set of folders gives its classes."""

from __future__ import annotations

from collections.abc import Sequence

from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import argument
from satdsl.hints import listed, suggest
from satdsl.ir.class_names import places_of
from satdsl.syntax import tree


def class_order(
    call: tree.Call, given: Sequence[str] | None, names: Sequence[str], findings: FindingCollector
) -> tuple[int, ...]:
    """Return the present place of each class in the order that is wanted; nothing where that is the present order.

    Raises:
        Rejected: The list does not have every class once.
    """
    if given is None:
        return ()
    node = argument(call, "class_order") or call
    items = [item.value for item in node.items] if isinstance(node, tree.Listing) else []
    found: list[int] = []
    for i, (name, place) in enumerate(zip(given, places_of(given, names), strict=True)):
        at = items[i] if i < len(items) else node
        if place is None:
            help = suggest(name, names, at.span, "its classes are")
            findings.reject("E204", at, f"this data set has no class called `{name}`", help=help)
        if place in found:
            findings.reject("E201", at, f"class `{names[place]}` is listed twice", "a class has one number")
        found.append(place)
    missing = [name for place, name in enumerate(names) if place not in found]
    if missing:
        several = len(missing) > 1
        findings.reject(
            "E212",
            node,
            f"`class_order` leaves out {len(missing)} class{'es' * several}: {listed(missing, 4)}",
            "the order gives every class its number",
            f"add {'them' if several else 'it'} to the list",
        )
    return () if found == sorted(found) else tuple(found)
