"""Read subsets by origin: `real = images of cifar10`, in a split of data sets that were joined."""

from __future__ import annotations

from collections.abc import Mapping

from satdsl.check.collector import FindingCollector
from satdsl.check.subset_facts import SubsetFacts
from satdsl.findings import Span
from satdsl.hints import Hint, suggest, write
from satdsl.ir import steps
from satdsl.records import Record, record
from satdsl.syntax import tree


@record
class Origin(Record):
    """Where the images of one of the joined data sets are.

    `start` and `end` are dataset indices, which leave room for what a `limit` leaves out; `first` and `last` count the
    training images alone, None where their number is not known. `several` says whether it is joined more than once.
    """

    start: int
    end: int
    first: int | None
    last: int | None
    several: bool = False


def origin_facts(
    node: tree.ImagesOf, name: str, split: tree.Split, origins: Mapping[str, Origin], findings: FindingCollector
) -> SubsetFacts:
    """Return what is known of the images of the data set called `name`."""
    whole = split.dataset.span.text
    if not origins:
        message = f"`{whole}` is not joined from others, so all its images are of one data set"
        reason = "`images of` tells apart what `dataset both = cifar10 + extra` joins"
        findings.reject("E326", node, message, reason, "write `all`, or split a data set that is joined")
    if name not in origins:
        help = suggest(name, origins, node.dataset.span, "it is joined from")
        findings.reject(
            "E326", node.dataset, f"`{name}` is none of the data sets that `{whole}` is joined from", help=help
        )
    found = origins[name]
    if found.several:
        message = f"`{name}` is joined into `{whole}` more than once"
        findings.reject("E326", node.dataset, message, "its images are there twice", "join it once")
    definition = steps.Origin(found.start, found.end, name)
    if found.first is None or found.last is None:
        return SubsetFacts(definition, None)
    return SubsetFacts(
        definition, found.last - found.first, order="images by origin", intervals=((found.first, found.last),)
    )


def picked_from_origin(whole: SubsetFacts, part: SubsetFacts) -> bool:
    """Return whether one subset has the images of one of the joined data sets, and the other is picked from it."""
    origin, pick = whole.definition, part.definition
    return isinstance(origin, steps.Origin) and isinstance(pick, steps.Pick) and pick.within == origin


def no_subset_but_a_data_set(at: Span, name: str, origins: Mapping[str, Origin]) -> Hint:
    """Return the fix for the name of a joined data set in the place of a subset; nothing for other names."""
    return write(at, f"images of {name}") if name in origins else Hint("")
