"""Random points of the ball, without any gradient: what an attack has to beat."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import EPS, NORM, AttackEntry
from satdsl.catalog.registry import at_most
from satdsl.ir.plan import Passes

ENTRY = AttackEntry(
    "noise",
    __doc__,
    arguments=(
        NORM,
        EPS,
        Argument("draws", "int", default=1, at_least=1).meaning(
            "Points that are drawn for each image, of which the one counts whose largest wrong logit exceeds that of "
            "the label most, or comes nearest to it."
        ),
        Argument("distribution", "word", default="ball", choices=("ball", "sphere", "radial")).meaning(
            "Where they lie: ball uniform by volume (Linf: each value uniform in [-eps, eps]); sphere uniform on the "
            "surface (L2: Gaussian noise of length eps); radial uniform direction and uniform radius."
        ),
    ),
    place=3.3,
    passes=lambda call: Passes(call["draws"] if call["draws"] > 1 else 0),
    shortened=at_most(draws=2),
    short="at most 2 draws",
    scaled=True,
    strength=-1,
)
