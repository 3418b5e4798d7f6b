"""An ensemble of attacks with no step size to tune; an image counts as robust if it withstands all of them."""

from collections.abc import Callable
from dataclasses import replace

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import EPS, NORM, AttackEntry, dlr_is_undefined, square
from satdsl.catalog.registry import CallSite
from satdsl.hints import Hint
from satdsl.ir import blocks
from satdsl.ir.experiment import DatasetFacts
from satdsl.ir.plan import Passes, added
from satdsl.ir.steps import CatalogCall
from satdsl.records import Record, record


@record
class Effort(Record):
    """How hard the attacks of AutoAttack try."""

    iterations: int
    """Of each attack but Square."""
    queries: int
    """Of Square."""
    targets: int
    """Classes that a targeted attack aims at."""
    restarts: int
    """Of the attacks that aim at no class."""
    samples: int
    """Gradients that a step of version `rand` takes the mean of."""
    starts: int = 1
    """How often a run of APGD begins anew, with a gradient for each start: at three radii under L1."""

    def at_most(self, other: "Effort") -> "Effort":
        return Effort(*[min(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__])


SHORT = Effort(iterations=3, queries=5, targets=1, restarts=2, samples=2, starts=3)
"""Of a smoke run. With three iterations APGD under L1 still has one at each of its three radii."""

ASKED_FIRST = 7
"""Forward passes with which the published driver looks, before each attack, for networks that it is not made for: five
for whether they answer at random (not in version `rand`), and one each for probabilities and for gradients."""

LOOKS = 2
"""Those in which it sees which images are right, and which still are after the attack."""

TARGETS_OF_L1 = 5
"""Classes that targeted APGD aims at in version `standard` under L1, where the other attacks aim at 9."""


@record
class Component(Record):
    """One of the attacks that AutoAttack is made of, which the backend runs under the same name."""

    passes: Callable[[Effort, int], Passes]
    """What it costs an image that withstands it, of a network that tells so many classes apart."""
    fewest_classes: int = 2
    """Those that its loss is defined for."""
    targeted: bool = False


def _apgd(tried: Effort, classes: int) -> Passes:
    return Passes(1) + Passes(0, (tried.iterations + tried.starts) * tried.samples).times(tried.restarts)


def _apgd_t(tried: Effort, classes: int) -> Passes:
    return Passes(1) + Passes(1, (tried.iterations + tried.starts) * tried.samples).times(tried.targets)


def _fab(tried: Effort, classes: int) -> Passes:
    return Passes(1) + Passes(tried.iterations + 2, tried.iterations * classes).times(tried.restarts)


def _fab_t(tried: Effort, classes: int) -> Passes:
    return Passes(1) + Passes(tried.iterations + 3, tried.iterations).times(tried.targets)


PARTS = {
    "apgd-ce": Component(_apgd),
    # The DLR loss compares the three largest logits (equation 6), its targeted form the four largest (7).
    "apgd-dlr": Component(_apgd, fewest_classes=4),
    "apgd-t": Component(_apgd_t, fewest_classes=4, targeted=True),
    "fab": Component(_fab),
    "fab-t": Component(_fab_t, targeted=True),
    "square": Component(lambda tried, classes: Passes(tried.queries + 3)),
}
"""What each costs is counted on the published code."""

VERSIONS = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "plus": ("apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"),
    "rand": ("apgd-ce", "apgd-dlr"),
}
"""The attacks of each published version, in order (Croce and Hein, 2020)."""


def attack_names(call: CatalogCall) -> tuple[str, ...]:
    """Return the attacks that a call runs, in order."""
    version = call.get("version", "standard")
    return tuple(call["attacks"]) if version == "custom" else VERSIONS[version]


def effort(call: CatalogCall, classes: int) -> Effort:
    """Return how hard a call tries: as published, or less where it is `shortened`."""
    version = call.get("version", "standard")
    nested_balls = version == "standard" and call["norm"] == "L1"
    published = Effort(
        iterations=100,
        queries=5000,
        targets=min(9, classes - 1),
        restarts=5 if version in ("plus", "custom") or nested_balls else 1,
        samples=20 if version == "rand" else 1,
        starts=3 if nested_balls else 1,
    )
    most = call.get("at_most")
    return published if most is None else published.at_most(Effort(**dict(most.args)))


def shortened(call: CatalogCall) -> CatalogCall:
    """Return the call whose attacks try no harder than `SHORT`. No specification can ask for it."""
    limits = CatalogCall("effort", tuple((name, getattr(SHORT, name)) for name in SHORT.__dataclass_fields__))
    return replace(call, args=(*call.args, ("at_most", limits)))


def undefined_for(call: CatalogCall, classes: int) -> list[str]:
    """Return those of a call's attacks whose loss is undefined for so few classes."""
    return [name for name in attack_names(call) if classes < PARTS[name].fewest_classes]


def square_cannot_attack(call: CatalogCall, height: int, width: int) -> bool:
    """Return whether a call runs Square on images that its published code fails on."""
    return "square" in attack_names(call) and square.cannot_attack(call["norm"], height, width)


def square_problem(call: CatalogCall, height: int, width: int) -> str:
    """Say what is wrong where `square_cannot_attack`."""
    return f"AutoAttack's {square.problem(call, height, width)}"


def square_help(call: CatalogCall, height: int, width: int) -> str:
    """Return the ways out of it: without Square, or at the next larger size that it can attack."""
    left = without_square(call)
    resized = f"give the data set `resize={square.next_size(call['norm'], height, width)}`"
    return f"leave square out (`autoattack(..., {left})`), or {resized}" if left else resized


def without_square(call: CatalogCall) -> str:
    """Return how a specification asks for the attacks of a call without Square."""
    left = [part for part in attack_names(call) if part != "square"]
    return f"version=custom, attacks=[{', '.join(left)}]" if left else ""


def measuring(call: CatalogCall, classes: int) -> Passes:
    """Return what measuring an image costs that withstands all attacks."""
    total = added([Passes(1), *[part_passes(call, name, classes) for name in attack_names(call)]])
    return Passes(total.forward, total.forward_backward, at_most=True)


def first(call: CatalogCall, classes: int) -> Passes:
    """Return what measuring an image costs that withstands the first attack, when the others are not run."""
    return replace(Passes(1) + part_passes(call, attack_names(call)[0], classes), at_most=True)


def apgd_targets(tried: Effort) -> int:
    """Return the classes that targeted APGD aims at: fewer where it comes down from larger radii."""
    return min(tried.targets, TARGETS_OF_L1) if tried.starts > 1 else tried.targets


def part_passes(call: CatalogCall, name: str, classes: int) -> Passes:
    """Return what one of a call's attacks costs an image that withstands it."""
    tried, version = effort(call, classes), call.get("version", "standard")
    if PARTS[name].passes is _apgd_t:
        tried = replace(tried, targets=apgd_targets(tried))
    asked = ASKED_FIRST - 5 * (version == "rand")
    return Passes(asked + LOOKS) + PARTS[name].passes(tried, classes)


# --- rules -----------------------------------------------------------------------------------------


def version_has_its_attacks(call: CatalogCall, site: CallSite) -> None:
    """Refuse attacks that are listed for a version that has its own, and a custom version without any."""
    custom, chosen = call["version"] == "custom", call["attacks"]
    if custom and not chosen:
        site.error(
            "E604", "a custom AutoAttack needs a list of its attacks", help="add `attacks=[apgd-ce, fab-t, square]`"
        )
    if chosen and not custom:
        # Who lists attacks and names no version means those; who does both may mean either.
        help = "write `version=custom`, or leave `attacks` out"
        way_out = Hint(help) if site.gives("version") else site.with_argument("version=custom", help)
        site.error("E604", f"AutoAttack `{call['version']}` runs a fixed list of attacks", help=way_out)


def few_targets(site: CallSite, get: str, targets: int, classes: int) -> None:
    """Warn of more targets than there are wrong classes."""
    site.warn(
        "E606",
        f"with {classes} classes {get} {classes - 1} targets instead of {targets}",
        "there are no more wrong classes; the numbers are not those of the published standard on 10 classes",
    )


def fits(call: CatalogCall, data: DatasetFacts, site: CallSite) -> None:
    """Refuse losses that are undefined for so few classes and images that Square fails on; warn of few targets."""
    classes, (_, height, width) = len(data.classes), data.shape
    if square_cannot_attack(call, height, width):
        site.error("E611", square_problem(call, height, width), square.REASON, square_help(call, height, width))
    undefined = undefined_for(call, classes)
    if undefined:
        help = "use `autoattack(..., version=custom, attacks=[apgd-ce, fab-t, square])`, or pgd with restarts"
        dlr_is_undefined(site, f"AutoAttack's {' and '.join(undefined)}", classes, help)
    elif classes < 10 and any(PARTS[name].targeted for name in attack_names(call)):
        few_targets(site, "AutoAttack's targeted attacks get", 9, classes)


ENTRY = AttackEntry(
    "autoattack",
    __doc__,
    source="Croce and Hein, 2020",
    arguments=(
        NORM,
        EPS,
        Argument("version", "word", default="standard", choices=(*VERSIONS, "custom")).meaning(
            "Which ensemble: standard is apgd-ce, apgd-t, fab-t, square; plus is the longer one; rand is for "
            "randomised defences; custom is `attacks`."
        ),
        Argument("attacks", "word", default=(), many=True, choices=tuple(PARTS)).meaning(
            "The attacks of version=custom, run in this order on the images still standing; other versions take none."
        ),
        Argument("batch", "int", default=500, unit="images", at_least=1).meaning(
            "Images attacked at once; AutoAttack's numbers depend on it."
        ),
    ),
    place=3,
    measuring=measuring,
    first=first,
    rules=(version_has_its_attacks,),
    fits=fits,
    shortened=shortened,
    short=f"each of its attacks with at most {SHORT.iterations} iterations or {SHORT.queries} queries, "
    f"and {SHORT.targets} target class",
    not_for_training=(
        "AutoAttack is made for evaluation, not for training",
        "it takes thousands of passes per image and stops at the first success",
    ),
    ensemble=True,
    blocks=lambda call, images, work: blocks.number(images, call["batch"], work),
    parts=attack_names,
    of_part=part_passes,
    strength=2,
    thorough=lambda call: call.get("version") != "custom",
)
