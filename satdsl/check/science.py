"""The rules of sound robustness experiments: one function a rule, each named by what it forbids or doubts."""

from __future__ import annotations

import math

from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import argument, eight_bit, with_argument
from satdsl.hints import Hint, write
from satdsl.ir.experiment import Dataset
from satdsl.ir.steps import CatalogCall
from satdsl.plan.autoattack import attack_names, undefined_for
from satdsl.syntax import tree


def attack_settings(node: tree.Node, attack: CatalogCall, findings: FindingCollector) -> None:
    """Settings of an attack that contradict each other, whatever it is used on."""
    eps, norm = attack.get("eps"), attack.get("norm")
    if norm == "Linf" and eps is not None and eps > 1:
        help = eight_bit(node, eps) if eps <= 255 else "give a radius between 0 and 1"
        findings.error("E601", node, f"eps={eps:g} under Linf is larger than any image", "images are in [0, 1]", help)
    if attack.name in ("pgd", "fgsm"):
        _edge_out_of_reach(node, attack, findings)
        _leaps_over_the_ball(node, attack, findings)
    if attack.get("restarts", 1) > 1 and attack["random_start"] == "none":
        findings.warn(
            "E603",
            node,
            f"all {attack['restarts']} restarts are the same",
            "without a random start every restart takes the same path",
            with_argument(node, "random_start=ball"),
        )
    if attack.name == "autoattack":
        custom, chosen = attack["version"] == "custom", attack["attacks"]
        if custom and not chosen:
            findings.error(
                "E604",
                node,
                "a custom AutoAttack names its attacks",
                help="add `attacks=[apgd-ce, fab-t, square]`",
            )
        if chosen and not custom:
            findings.error(
                "E604",
                node,
                f"AutoAttack `{attack['version']}` has its own attacks",
                help=_with_own_attacks(node),
            )


def _with_own_attacks(node: tree.Node) -> Hint:
    """Who lists attacks and names no version means those; who does both may mean either."""
    help = "write `version=custom`, or leave `attacks` out"
    named = isinstance(node, tree.Call) and argument(node, "version", 2) is not None
    return Hint(help) if named else with_argument(node, "version=custom", help)


def _edge_out_of_reach(node: tree.Node, attack: CatalogCall, findings: FindingCollector) -> None:
    steps, step_size = attack.get("steps", 1), attack["step_size"] or attack["eps"]
    reach = step_size * steps
    if reach < attack["eps"] * (1 - 1e-9):
        findings.warn(
            "E602",
            node,
            f"{steps} step{'s' * (steps > 1)} of {step_size:.4g} reach {reach:.4g}, not eps={attack['eps']:.4g}",
            "the edge of the ball is out of reach, so the attack is weaker than its radius says",
            f"take a step_size of at least {attack['eps'] / steps:.4g}, or more steps",
        )


def _leaps_over_the_ball(node: tree.Node, attack: CatalogCall, findings: FindingCollector) -> None:
    step_size, eps = attack["step_size"] or attack["eps"], attack["eps"]
    if step_size > 2 * eps * (1 + 1e-9):
        pixels = attack["norm"] == "Linf" and step_size >= 1
        findings.warn(
            "E610",
            node,
            f"one step of {step_size:.4g} is longer than the whole ball of eps={eps:.4g} is wide",
            "every step ends on the edge, so the attack jumps between few points and finds less",
            f"write `step_size={step_size:.4g}/255`, if pixels were meant"
            if pixels
            else "a common choice is 2.5*eps/steps",
        )


def recipe_settings(node: tree.Node, recipe: CatalogCall, findings: FindingCollector) -> None:
    """Schedules that do not fit the number of epochs."""
    schedule, epochs, warmup = recipe["schedule"], recipe["epochs"], recipe["warmup"]
    if schedule.name == "step":
        _drops(node, schedule["at"], epochs, findings)
    if schedule.name == "cyclic" and warmup:
        findings.error(
            "E511",
            node,
            "a cyclic schedule begins with its own rise, so there is nothing left to warm up",
            help=f"leave `warmup` out, or move the peak: `cyclic(peak={warmup})`",
        )
    peak = schedule["peak"] if schedule.name == "cyclic" else warmup
    if 0 < epochs <= peak:
        what = "peak" if schedule.name == "cyclic" else "warmup"
        findings.error(
            "E511",
            node,
            f"the learning rate still rises when the training of {epochs} epoch{'s' * (epochs > 1)} ends",
            f"`{what}` is {peak:g} epochs",
            f"train longer, or give a smaller `{what}`",
        )


def _drops(node: tree.Node, at: tuple[int, ...], epochs: int, findings: FindingCollector) -> None:
    """Drops of the learning rate that come out of order, or never."""
    if list(at) != sorted(set(at)):
        text = f"at=[{', '.join(str(epoch) for epoch in sorted(set(at)))}]"
        schedule = argument(node, "schedule") if isinstance(node, tree.Call) else None
        given = argument(schedule, "at", 0) if isinstance(schedule, tree.Call) else None
        right = write(given.span, text.removeprefix("at=")) if isinstance(given, tree.Listing) else Hint("")
        findings.error(
            "E507",
            node,
            f"drops come in ascending order, each once; here is {list(at)}",
            help=Hint(f"write `{text}`", right.fix),
        )
    elif any(epoch >= epochs for epoch in at):
        late = next(epoch for epoch in at if epoch >= epochs)
        findings.warn(
            "E507",
            node,
            f"the learning rate is to drop at epoch {late} of {epochs}",
            "the training ends before, so the drop never comes",
            "drop earlier, or train longer",
        )


def model_settings(node: tree.Node, model: CatalogCall, findings: FindingCollector) -> None:
    """Depths that a wide ResNet cannot have."""
    model = model.get("arch", model)
    depth = model.get("depth")
    if model.name == "wide_resnet" and (depth < 10 or (depth - 4) % 6):
        findings.error(
            "E508",
            node,
            f"a wide ResNet cannot be {depth} layers deep",
            "its three stages have n blocks of two layers each: depth = 6n + 4",
            "write 16, 22, 28, 34, ...",
        )


def augmentation_fits_images(
    node: tree.Node, change: CatalogCall, shape: tuple[int, int, int], findings: FindingCollector
) -> None:
    """Augmentations that would change the size of the images, or that are not for images of so many channels."""
    channels, height, width = shape
    if change.name == "color_jitter" and channels not in (1, 3):
        findings.error(
            "E514",
            node,
            f"`color_jitter` changes grey or RGB images, the data set's have {channels} channels",
            "brightness, contrast, saturation and hue are defined for one channel or three",
            "leave it out",
        )
    size = change.get("size")
    if change.name == "resized_crop" and height and (height, width) != (size, size):
        same = f"write `resized_crop(size={height})`, or " if height == width else ""
        findings.error(
            "E514",
            node,
            f"`resized_crop` gives images of {size} x {size} pixels, the data set's have {height} x {width}",
            "the network would be trained on images of one size, and attacked and measured on another",
            f"{same}give the data set `resize={size}`",
        )


def radius_fits_images(node: tree.Node, attack: CatalogCall, data: Dataset, findings: FindingCollector) -> None:
    """A radius beyond the diameter of the image box makes every image every other image."""
    eps, norm = attack.get("eps"), attack.get("norm")
    if eps is None or data.facts is None:
        return
    pixels = math.prod(data.facts.shape)
    limit = {"Linf": 1.0, "L2": math.sqrt(pixels), "L1": float(pixels)}[norm]
    if 0 < limit < eps and norm != "Linf":
        findings.error(
            "E601",
            node,
            f"eps={eps:g} under {norm} is larger than the image box, whose diameter is {limit:.4g}",
            "images are in [0, 1]",
            f"write `eps={eps:g}/255` if you mean eight-bit units",
        )


def autoattack_fits_classes(node: tree.Node, attack: CatalogCall, data: Dataset, findings: FindingCollector) -> None:
    """AutoAttack's targeted attacks want nine targets, and its DLR losses are undefined for few classes."""
    if attack.name != "autoattack" or data.facts is None:
        return
    classes = len(data.facts.classes)
    undefined = undefined_for(attack, classes)
    if undefined:
        findings.error(
            "E605",
            node,
            f"AutoAttack's {' and '.join(undefined)} cannot attack a network with {classes} classes",
            "the DLR loss compares the three or four largest logits (Croce and Hein, 2020)",
            "use `autoattack(..., version=custom, attacks=[apgd-ce, fab-t, square])`, or pgd with restarts",
        )
    elif classes < 10 and {"apgd-t", "fab-t"} & set(attack_names(attack)):
        findings.warn(
            "E606",
            node,
            f"with {classes} classes AutoAttack's targeted attacks get {classes - 1} targets instead of 9",
            "there are no more wrong classes; the numbers are not those of the published standard on 10 classes",
        )


def trained_with(node: tree.Node, attack: CatalogCall, findings: FindingCollector) -> None:
    """Attacks that do not suit training."""
    if attack.name == "autoattack":
        findings.error(
            "E607",
            node,
            "AutoAttack is made for evaluation, not for training",
            "it takes thousands of passes per image and stops at the first success",
            "train with `pgd` or `fgsm`",
        )


def loss_fits_attack(
    node: tree.Node, loss: CatalogCall, subset: str, attack: CatalogCall | None, findings: FindingCollector
) -> None:
    """TRADES needs a ball to look for the farthest prediction in, and looks for nothing else there."""
    if loss.name != "trades":
        return
    if attack is None:
        findings.error(
            "E510",
            node,
            f"TRADES needs an attack on `{subset}`, which has none",
            "the attack gives the ball, the steps and the step size of its inner maximisation",
            f"add `attack {subset} with` a pgd attack",
        )
    elif attack.get("target", "none") != "none":
        findings.error(
            "E510",
            node,
            f"`{subset}` is attacked towards a target, which TRADES does not have",
            "its inner maximisation moves the prediction as far as it can, in any direction",
            "use an attack without `target`",
        )


def small_share(node: tree.Node, attack: CatalogCall | None, share: float | None, findings: FindingCollector) -> None:
    """FGSM on a small part of the training set overfits catastrophically."""
    if attack is not None and attack.name == "fgsm" and share is not None and round(share, 2) <= 0.1:
        findings.warn(
            "E608",
            node,
            f"FGSM on {share:.0%} of the training set",
            "the paper's authors report catastrophic overfitting for |A| of 10% and less",
            "use `pgd`, or attack more",
        )


def same_threat(
    node: tree.Node, evaluated: CatalogCall, trained: tuple[CatalogCall | None, ...], findings: FindingCollector
) -> None:
    """Training under one norm or radius and evaluating under another."""
    for attack in trained:
        if attack is None or attack.get("norm") is None or evaluated.get("norm") is None:
            continue
        threat = [(choice["norm"], choice["eps"]) for choice in (attack, evaluated)]
        if threat[0] != threat[1]:
            first, second = (f"{norm}, eps={eps:.4g}" for norm, eps in threat)
            findings.warn(
                "E609",
                node,
                f"trained under {first} but evaluated under {second}",
                "robust accuracy is usually reported under the threat model of the training",
                "make them equal if this is not meant",
            )
            return
