"""Describe the attacks: how the images of a network are changed to mislead it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from satdsl.catalog.argument import Argument
from satdsl.catalog.registry import CallSite, Entry, Rule, unchanged
from satdsl.ir.experiment import DatasetFacts
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall
from satdsl.records import record

Norm = Literal["Linf", "L2", "L1"]

NORM = Argument("norm", "word", choices=("Linf", "L2", "L1")).meaning(
    "Norm that bounds the perturbation of an image, over all its pixels and channels."
)
EPS = Argument("eps", "number", unit="image scale [0, 1]", above=0).meaning(
    "Radius of the ball around the image that the attack stays in; pixels lie in [0, 1], so Linf has 8/255, not 8."
)
RANDOM_START = Argument("random_start", "word", default="none", choices=("none", "sphere", "ball", "radial")).meaning(
    "Where it starts: none is the image itself; sphere uniform on the ball's surface; ball uniform by volume inside "
    "it; radial uniform direction and uniform radius."
)
TARGET = Argument("target", "word", default="none", choices=("none", "next", "random", "least_likely")).meaning(
    "Wrong class that it aims at by lowering the cross-entropy there: next is the one after the label; random a "
    "uniform draw; least_likely has the lowest logit without attack. The lowest loss then counts as best; an image is"
    " broken whenever it is not classified as its label."
)

NEAREST_STEPS = Argument("steps", "int", default=100, unit="gradient steps", at_least=1).meaning(
    "Points that are tried for each image; with more of them it comes closer to the boundary."
)
OBJECTIVE = Argument("objective", "word", default="ce", choices=("ce", "kl", "cw", "dlr")).meaning(
    "What it raises: ce is the cross-entropy; kl the divergence of the prediction from that without attack, from x + "
    "0.001 N(0, 1) where there is no random start (TRADES); cw the largest wrong logit minus that of the label (Carlini"
    " and Wagner, 2017); dlr the same, divided by the largest logit minus the third largest (Croce and Hein, 2020)."
)
MODE = Argument("mode", "word", default="eval", choices=("eval", "train")).meaning(
    "Mode of batch norm under attack, in training: train takes the statistics of the images that are attacked "
    "together, and changes no running ones."
)


def asks_for_no_label(call: CatalogCall) -> bool:
    """Return whether what an attack raises is defined for an image whose label is a distribution over the classes."""
    return call["target"] == "none" and call["objective"] in ("ce", "kl")


MADE_LONGER = 5
"""How many lengths of the perturbation to the nearest image are tried at most, the one that was found included."""


def measured_once(call: CatalogCall, classes: int) -> Passes:
    """Return what measuring an image costs: its clean prediction, the attack, and whether that succeeded.

    What is found nearest is looked at once more, made longer and longer where it does not mislead the network. It is an
    upper bound, since an image that is wrong without attack is not attacked.
    """
    entry = AttackEntry.of(call)
    attack, looks = entry.passes(call), 2 + (entry.nearest is not None) * (1 + MADE_LONGER)
    return Passes(looks + attack.forward, attack.forward_backward, at_most=True, unknown=attack.unknown)


def beside_the_first_look(call: CatalogCall, part: str, classes: int) -> Passes:
    """Return what an attack by itself costs an image that is right without attack, beside the look at that."""
    whole = AttackEntry.of(call).measuring(call, classes)
    return Passes(whole.forward - 1, whole.forward_backward, whole.at_most, whole.unknown)


@record
class AttackEntry(Entry):
    """An attack of the catalog."""

    family: ClassVar[str] = "attack"

    passes: Callable[[CatalogCall], Passes] = lambda call: Passes()
    """What making one adversarial image costs."""
    measuring: Callable[[CatalogCall, int], Passes] = measured_once
    """What measuring one image costs, of a network that tells so many classes apart."""
    first: Callable[[CatalogCall, int], Passes] | None = None
    """What measuring one image under the first of its attacks costs, where it consists of several."""
    fits: Callable[[CatalogCall, DatasetFacts, CallSite], None] = lambda call, data, site: None
    """Makes findings about measuring with it on a data set."""
    shortened: Callable[[CatalogCall], CatalogCall] = unchanged
    """The call with which a smoke run tries it."""
    short: str = ""
    """What is short of it then, in words."""
    clean: bool = False
    """Whether it leaves the images as they are."""
    not_for_training: tuple[str, str] | None = None
    """Where no network can be trained with it: that in a sentence, and why."""
    single_step: bool = False
    """Whether training with it on few images overfits catastrophically."""
    of_mixed: Callable[[CatalogCall], bool] = lambda call: False
    """Whether it attacks images whose labels are distributions over the classes."""
    maximises: bool = False
    """Whether it can maximise another `objective` than its own, for a loss that asks (`LossEntry.objective`)."""
    scaled: bool = False
    """Whether it takes by name a `scale`, by which the radius and the step size of each image are multiplied."""
    not_for_measuring: Callable[[CatalogCall], tuple[str, str, str] | None] = lambda call: None
    """Where no network can be measured with it: that in a sentence, why, and what to do."""
    ensemble: bool = False
    """Whether it measures whole sets of images with attacks of its own, and gives no adversarial images."""
    blocks: Callable[[CatalogCall, int, float], int] = lambda call, images, work: 1
    """Into how many blocks the measuring of so many images is divided, which run one by one or side by side.

    The last argument is what an image is to the network, in weights times pixels (`ir.blocks`).
    """
    nearest: Callable[[CatalogCall], Norm] | None = None
    """The norm in which it looks for the nearest adversarial image of each; None where it attacks in a ball."""
    parts: Callable[[CatalogCall], tuple[str, ...]] = lambda call: (call.name,)
    """The attacks that break images, in order."""
    of_part: Callable[[CatalogCall, str, int], Passes] = beside_the_first_look
    """What one of its parts costs an image that withstands it, of a network that tells so many classes apart."""
    strength: int | None = None
    """Its place among attacks that ought to break all that those of a lower place break; None where it has none."""
    thorough: Callable[[CatalogCall], bool] = lambda call: True
    """Whether a call tries hard enough to be compared by its strength."""


# --- passes ----------------------------------------------------------------------------------------


def before_the_first_step(call: CatalogCall) -> Passes:
    """Return what an attack pays to find the least likely class, or the prediction that it moves away from."""
    return Passes((call.get("target") == "least_likely") + (call.get("objective") == "kl"))


def not_trained_with_nearest(attack: str) -> tuple[str, str]:
    """Return that an attack which looks for the nearest adversarial image is none to train with, and why."""
    return (
        f"{attack} looks for the nearest adversarial image, and has no radius to train at",
        "adversarial training moves each image as far as a radius allows (Madry et al., 2018)",
    )


# --- rules -----------------------------------------------------------------------------------------


def edge_is_in_reach(call: CatalogCall, site: CallSite) -> None:
    """Warn of steps that together are so short that the attack hardly leaves its start.

    Under every norm a step is as long as `step_size`. From the image itself the edge is `eps` away. A random start may
    lie anywhere in the ball, so the edge is never out of reach; uniform under Linf, or radial, it is on average half of
    `eps` away from it. R+FGSM (Tramèr et al., 2018) has a single step of this length. Where the steps are shorter, most
    of the perturbation is the noise of the start. Restarts draw other starts and go no further.
    """
    steps, step_size, eps = call.get("steps", 1), call["step_size"] or call["eps"], call["eps"]
    reach, shown = step_size * steps, f"{steps} step{'s' * (steps > 1)} of {step_size:.4g}"
    random = call.get("random_start", "none") != "none"
    if reach >= (eps / 2 if random else eps) * (1 - 1e-9):
        return
    found = f"{shown} reach {reach:.4g}, not eps={eps:.4g}"
    why = "the edge of the ball is out of reach"
    if random:
        found = f"{shown} lead at most {reach:.4g} away from the random start, in a ball of eps={eps:.4g}"
        why = "most of the perturbation is the noise of the start"
    site.warn(
        "E602",
        found,
        f"{why}, so the attack is weaker than its radius says",
        f"take a step_size of at least {eps / steps:.4g}, or more steps",
    )


def step_fits_ball(call: CatalogCall, site: CallSite) -> None:
    """Warn of a step that is longer than the whole ball is wide."""
    step_size, eps = call["step_size"] or call["eps"], call["eps"]
    if step_size > 2 * eps * (1 + 1e-9):
        pixels = call["norm"] == "Linf" and step_size >= 1
        site.warn(
            "E610",
            f"one step of {step_size:.4g} is longer than the whole ball of eps={eps:.4g} is wide",
            "every step ends on the edge, so the attack jumps between few points and finds less",
            f"write `step_size={step_size:.4g}/255`, if pixels were meant"
            if pixels
            else "a common choice is 2.5*eps/steps",
        )


def restarts_differ(call: CatalogCall, site: CallSite) -> None:
    """Warn of several restarts that all begin at the image itself."""
    if call["restarts"] > 1 and call["random_start"] == "none":
        site.warn(
            "E603",
            f"all {call['restarts']} restarts are the same",
            "without a random start every restart takes the same path",
            site.with_argument("random_start=ball"),
        )


def objective_has_target(call: CatalogCall, site: CallSite) -> None:
    """Refuse a target for objectives that are not defined towards one."""
    objective = call["objective"]
    if call["target"] != "none" and objective in ("kl", "dlr"):
        site.error(
            "E613",
            f"objective={objective} has no target",
            "it moves the prediction away from that without attack, towards no class"
            if objective == "kl"
            else "the DLR loss towards a target is another formula (Croce and Hein, 2020, equation 7)",
            "leave out `target`, or take `objective=ce` or `objective=cw`",
        )


def enough_classes(call: CatalogCall, data: DatasetFacts, site: CallSite) -> None:
    """Refuse the DLR loss of fewer than the three classes whose logits it compares."""
    if call["objective"] == "dlr" and len(data.classes) < 3:
        help = "take another objective: `objective=ce` or `objective=cw`"
        dlr_is_undefined(site, call.name.upper(), len(data.classes), help)


def dlr_is_undefined(site: CallSite, attack: str, classes: int, help: str) -> None:
    """Refuse a DLR loss of so few classes."""
    site.error(
        "E605",
        f"{attack} cannot attack a network with {classes} classes",
        "the DLR loss compares the three or four largest logits (Croce and Hein, 2020)",
        help,
    )


def batches_are_not_measured(call: CatalogCall) -> tuple[str, str, str] | None:
    """Refuse to measure with batch norm in training mode."""
    if call["mode"] == "eval":
        return None
    return (
        "a network cannot be measured under an attack with mode=train",
        "whether an image withstands it would depend on the other images of its batch",
        "measure with the same attack and `mode=eval`",
    )


STEP_RULES: tuple[Rule, ...] = (edge_is_in_reach, step_fits_ball, objective_has_target)
