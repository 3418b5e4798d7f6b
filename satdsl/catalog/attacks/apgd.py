"""Projected gradient ascent whose step size follows what the steps gain, so that there is none to tune."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import EPS, NORM, AttackEntry, dlr_is_undefined
from satdsl.catalog.attacks.autoattack import PARTS, few_targets
from satdsl.catalog.registry import CallSite, at_most
from satdsl.ir.experiment import DatasetFacts
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall

RADII_OF_L1 = 3
"""Under L1 it comes down to its radius from three times and twice as much (Croce and Hein, 2021), with at least one
step at each."""


def passes(call: CatalogCall) -> Passes:
    """Return the gradients at the start and after each step, and a look at what was found, for each run.

    A run is a restart, for each target where there are some. Under L1 it begins anew at each of its three radii.
    """
    starts = RADII_OF_L1 if call["norm"] == "L1" else 1
    runs = call["restarts"] * max(1, call["targets"])
    made = Passes(1, (call["steps"] + starts) * call["samples"]).times(runs)
    first = Passes(1 if call["targets"] else 0)
    return Passes(first.forward + made.forward, made.forward_backward, at_most=runs > 1)


def a_step_at_each_radius(call: CatalogCall, site: CallSite) -> None:
    """Refuse fewer steps than there are radii."""
    if call["norm"] == "L1" and call["steps"] < RADII_OF_L1:
        site.error(
            "E616",
            f"APGD under L1 needs at least {RADII_OF_L1} steps, not {call['steps']}",
            "it takes them at three radii: three times eps, twice eps, and eps",
            site.with_argument(f"steps={RADII_OF_L1}"),
        )


def fits(call: CatalogCall, data: DatasetFacts, site: CallSite) -> None:
    """Refuse the DLR loss of too few classes; warn of more targets than there are wrong classes."""
    classes, targets = len(data.classes), call["targets"]
    part = PARTS["apgd-t" if targets else "apgd-dlr"]
    if call["objective"] == "dlr" and classes < part.fewest_classes:
        dlr_is_undefined(site, "APGD", classes, "take another loss: `objective=ce` or `objective=cw`")
    elif classes <= targets:
        few_targets(site, "APGD gets", targets, classes)


ENTRY = AttackEntry(
    "apgd",
    __doc__,
    source="Croce and Hein, 2020; under L1, 2021",
    arguments=(
        NORM,
        EPS,
        Argument("steps", "int", default=100, unit="gradient steps", at_least=1).meaning(
            "Number of moves, with momentum; the step size begins at 2 * eps (L1: eps) and is halved where steps no "
            "longer gain."
        ),
        Argument("objective", "word", default="ce", choices=("ce", "dlr", "cw")).meaning(
            "What it raises: ce is the cross-entropy; dlr the difference of logits ratio (equation 6, towards a "
            "target 7); cw the largest wrong logit minus that of the label."
        ),
        Argument("targets", "int", default=0, unit="classes", at_least=0).meaning(
            "0 aims at no class; otherwise it aims, one after the other, at so many wrong classes, those with the "
            "largest logits without attack first. AutoAttack's apgd-t is `objective=dlr, targets=9`."
        ),
        Argument("restarts", "int", default=1, at_least=1).meaning(
            "Runs from other random starts (for each target), on the images that are not broken yet."
        ),
        Argument("samples", "int", default=1, unit="gradients", at_least=1).meaning(
            "Gradients that each step takes the mean of; for networks that answer at random (Athalye et al., 2018)."
        ),
    ),
    place=3.1,
    passes=passes,
    rules=(a_step_at_each_radius,),
    fits=fits,
    shortened=at_most(steps=RADII_OF_L1, targets=1, restarts=2, samples=2),
    short=f"at most {RADII_OF_L1} steps, and 1 target class",
    strength=1,
)
