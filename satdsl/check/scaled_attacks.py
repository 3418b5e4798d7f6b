"""Read by which numbers the radii of a line's attacks are scaled: `attack A with e8 scaled by scores in "r.npy"`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from satdsl.catalog import catalog
from satdsl.catalog.attacks import AttackEntry
from satdsl.check.collector import FindingCollector
from satdsl.check.ranking_files import largest_number, ranking_file
from satdsl.findings import Span
from satdsl.hints import Hint, leave_out, listed
from satdsl.ir.experiment import Dataset
from satdsl.ir.steps import Attacks, CatalogCall, ScaledAttacks
from satdsl.syntax import tree


def scaled(
    line: tree.AttackLine,
    calls: Sequence[CatalogCall],
    attacks: Attacks | None,
    base: Path,
    data: Dataset,
    findings: FindingCollector,
) -> Attacks | None:
    """Return the `attacks` of a line, scaled as it says; `base` is the folder from which its paths start."""
    if line.scaled is None:
        return attacks
    for word, call in zip(line.attacks, calls, strict=True):
        entry = AttackEntry.of(call)
        if entry.not_for_training is None and not (entry.scaled or (entry.clean and len(calls) > 1)):
            _one_radius(line, word, call, entry, findings)
    path, digest = ranking_file(line.scaled, base, "factors", data, findings)
    if attacks is None or isinstance(attacks, ScaledAttacks):
        return attacks
    _factors_are_no_radii(line.scaled, calls, largest_number(path, digest), findings)
    return ScaledAttacks(attacks, digest, path)


def _factors_are_no_radii(
    node: tree.ScoresIn, calls: Sequence[CatalogCall], largest: float | None, findings: FindingCollector
) -> None:
    """Warn of numbers none of which is above the radius of an attack: they may be the radii themselves."""
    radii = [call["eps"] for call in calls if call.get("eps") is not None]
    if largest is None or not radii or not largest <= min(radii) * (1 + 1e-6) < 1:
        return
    findings.warn(
        "E419",
        node,
        f"the largest factor is {largest:.4g}, and eps is {min(radii):.4g}: these look like radii",
        "a factor is multiplied with the radius, so that none of the attacks would reach far",
        "divide radii by `eps`; if they are factors indeed, give the attack a smaller `eps`, and 1 to the largest",
    )


def _one_radius(
    line: tree.AttackLine, word: tree.Word, call: CatalogCall, entry: AttackEntry, findings: FindingCollector
) -> None:
    """Refuse an attack that has no radius of its own for each image."""
    assert line.scaled is not None
    every = [name for name in catalog().names("attack") if _takes_factors(name)]
    help = Hint(f"{listed(every)} take a radius for each image; or leave out `scaled by ...`")
    if entry.clean:
        reason = "it leaves images as they are, so there is no radius to scale"
        span = line.scaled.span
        help = leave_out(Span(span.source, word.span.end, span.end), "leave out `scaled by ...`")
    elif call.plugin is not None:
        reason = "a function of your own is given one radius for all images"
    else:
        reason = f"`{call.name}` is published code, which takes one radius for all images"
    findings.reject("E539", word, f"the radius of `{word.span.text}` cannot be scaled for each image", reason, help)


def _takes_factors(name: str) -> bool:
    entry = catalog().find("attack", name)
    return isinstance(entry, AttackEntry) and entry.scaled
