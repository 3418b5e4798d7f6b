"""Read the radii that a curve of robust accuracy is asked at, and check that its attacks look for the nearest image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.check import science
from satdsl.check.axes import Point
from satdsl.check.collector import FindingCollector
from satdsl.check.resolve import Resolver
from satdsl.check.values import Num, Share, evaluate, label
from satdsl.hints import Hint, write
from satdsl.ir.experiment import RADIUS, Dataset, Radius
from satdsl.ir.steps import CatalogCall
from satdsl.syntax import tree


def radii(
    resolver: Resolver, measure: tree.Measure, attacks: Sequence[CatalogCall], data: Dataset, point: Point
) -> tuple[Radius, ...]:
    """Return the radii of a measure, each with its label on the axis `eps` where there are several."""
    node = MeasureEntry.of_node(measure).radii(measure)
    if node is None:
        return ()
    several = isinstance(node, tree.Listing | tree.Range)
    if several and RADIUS in resolver.axes.names:
        _two_axes(resolver, node)
    found: dict[str, Radius] = {}
    for name, value in _values(resolver, node, point):
        eps = _radius(value, point, resolver.findings)
        for attack in attacks[:1]:
            in_ball = replace(attack, args=(("norm", norm_of(attack)), ("eps", eps)))
            _fits_box(value, norm_of(attack), eps, resolver.findings)
            science.radius_fits_images(node, in_ball, data, resolver.findings)
        if name in found or eps in [one.eps for one in found.values()]:
            help = "leave one of them out"
            resolver.findings.reject("E201", value, f"the radius {name} is listed twice", "a label picks one", help)
        found[name] = Radius(eps, name if several else None)
    return tuple(found.values())


def norm_of(attack: CatalogCall) -> str:
    """Return the norm in which an attack looks for the nearest adversarial image."""
    nearest = AttackEntry.of(attack).nearest
    assert nearest is not None
    return nearest(attack)


def _values(resolver: Resolver, node: tree.Value, point: Point) -> list[tuple[str, tree.Value]]:
    """Return the values that a range or a list stands for, or the one value, with their labels."""
    if isinstance(node, tree.Range) and (whole := _in_parts(node)) is not None:
        start, parts = whole
        numbers = resolver.axes.expand(parts, point.environment)
        return [(f"{one.label}/{label(start.right)}", replace(start, left=one.node)) for one in numbers]
    return [(one.label, one.node) for one in resolver.axes.expand(node, point.environment)]


def _in_parts(node: tree.Range) -> tuple[tree.Binary, tree.Range] | None:
    """Return `0/255` and the range 0..8 step 2 of `0/255..8/255 step 2/255`; None of any other range."""
    match node:
        case tree.Range(
            start=tree.Binary(operator="/", left=start, right=tree.Number(value=over)) as first,
            stop=tree.Binary(operator="/", left=stop, right=tree.Number(value=same)),
            step=tree.Binary(operator="/", left=step, right=tree.Number(value=again)),
        ) if over == same == again != 0:
            return first, tree.Range(node.span, start, stop, step)
    return None


def _radius(node: tree.Value, point: Point, findings: FindingCollector) -> float:
    value = evaluate(node, point.environment, findings)
    if isinstance(value, Num) and value.value >= 0:
        return value.value
    findings.reject(
        "E727",
        node,
        f"`{node.span.text}` is no radius",
        "a radius is a number of at least 0, in the scale of images in [0, 1]",
        _as_numbers(node) if isinstance(value, Share) else "write `at 0..2 step 0.1`, or `at [0, 2/255, 4/255]`",
    )


def _as_numbers(node: tree.Value) -> Hint:
    """Return the fix that writes percentages as the numbers that they are."""
    text = re.sub(r"(\d+(?:\.\d+)?)%", lambda found: f"{float(found[1]) / 100:.12g}", node.span.text)
    return write(node.span, text, f"write `{text}`")


def _fits_box(node: tree.Value, norm: str, eps: float, findings: FindingCollector) -> None:
    """Reject a radius that under Linf is larger than the box that every image lies in."""
    if norm == "Linf" and eps > 1:
        help = "write `8/255` if you mean eight-bit units, as in `at 0/255..8/255 step 1/255`"
        message = f"a radius of {eps:g} under Linf is larger than any image"
        findings.reject("E601", node, message, "images are in [0, 1]", help)


def _two_axes(resolver: Resolver, node: tree.Value) -> None:
    (axis,) = (name for line in resolver.axes.lines for name in line.names if name.text == RADIUS)
    resolver.findings.reject(
        "E617",
        node,
        "results at several radii have an axis `eps`, and so has the sweep",
        "`[eps=0.5]` would not say which of them is meant",
        f"give the axis of the sweep another name, or measure at its value: `at ${RADIUS}`",
        related=((axis.span, "declared here"),),
    )


def attacks_fit_measure(
    measure: tree.Measure, named: Sequence[tuple[tree.Word, CatalogCall]], findings: FindingCollector
) -> None:
    """Check that attacks which look for the nearest adversarial image are asked for distances, and no others are."""
    entry = MeasureEntry.of_node(measure)
    made_on = next((node for node in entry.sources(measure) if node is not None), None) if entry.nearest else None
    if made_on is not None:
        findings.reject(
            "E725",
            made_on,
            f"an image that is made on `{made_on.span.text}` is the nearest for that network alone",
            "to fool the network that is measured, it may have to be farther, or need not be so far",
            "leave `made on` out, or show it images of an attack in a ball: `under pgd20 made on other`",
        )
    for word, attack in named:
        looks = AttackEntry.of(attack).nearest is not None
        if entry.nearest and not looks:
            findings.reject(
                "E725",
                word,
                f"`{word.span.text}` does not look for the nearest adversarial image",
                f"`{attack.name}` stays in the ball of its own radius, so it says nothing of others",
                f"use an attack such as `fmn(norm=L2)`, or measure `robust accuracy under {word.span.text}`",
            )
        if looks and not entry.nearest:
            findings.reject(
                "E726",
                word,
                f"`{word.span.text}` looks for the nearest adversarial image, and has no radius",
                "whether an image withstands it is a question of how far one may go",
                f"write `robust accuracy under {word.span.text} at 0.5`, a curve `at 0..2 step 0.1`, or "
                f"`median distance under {word.span.text}`",
            )
    norms = list(dict.fromkeys(norm_of(attack) for _, attack in named)) if entry.nearest else []
    if len(norms) > 1:
        findings.reject(
            "E728",
            named[-1][0],
            f"these attacks measure distances in {' and in '.join(norms)}",
            "the nearest of several images is one only under one norm",
            "measure under each of them by itself",
        )
