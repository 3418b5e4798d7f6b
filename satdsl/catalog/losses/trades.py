"""TRADES: the cross-entropy of the clean image, and beta times how far its prediction moves under attack. The
subset's attack gives the ball and the steps; it maximises that distance instead of the cross-entropy.
"""

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.losses import LossEntry
from satdsl.catalog.registry import CallSite
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall


def fits(loss: CatalogCall, subset: str, attack: CatalogCall | None, site: CallSite) -> None:
    """Refuse a subset without a ball to look for the farthest prediction in, or with a target to look for."""
    if attack is None:
        site.error(
            "E510",
            f"TRADES needs an attack on `{subset}`, which has none",
            "the attack gives the ball, the steps and the step size of its inner maximisation",
            f"add `attack {subset} with` a pgd attack",
        )
    elif not AttackEntry.of(attack).maximises:
        site.error(
            "E510",
            f"TRADES cannot use `{attack.name}`, the attack on `{subset}`",
            "its inner maximisation moves the prediction, and not the cross-entropy, as far as it can",
            "use `pgd` or `fgsm`",
        )
    elif attack.get("target", "none") != "none":
        site.error(
            "E510",
            f"`{subset}` is attacked towards a target, which TRADES does not have",
            "its inner maximisation moves the prediction as far as it can, in any direction",
            "use an attack without `target`",
        )
    elif attack.get("objective", "ce") != "ce":
        site.error(
            "E510",
            f"`{subset}` is attacked with objective={attack['objective']}, but TRADES brings its own",
            "its inner maximisation moves the prediction as far as it can, which is objective=kl",
            "leave out the attack's `objective`, or write the loss as a formula: "
            "`ce(clean) + 6*kl(clean, adversarial)`",
        )


ENTRY = LossEntry(
    "trades",
    __doc__,
    formula="-ln p_y(x) + beta * KL(p(x) || p(x'))",
    source="Zhang et al., 2019 (equation 5)",
    arguments=(
        Argument("beta", "number", default=6.0, above=0).meaning(
            "Weight of robustness against accuracy (1 / lambda in the paper, which takes 1 and 6)."
        ),
    ),
    place=2,
    both=True,
    of_mixed=True,
    objective="kl",
    passes=Passes(1, 1),
    fits=fits,
)
