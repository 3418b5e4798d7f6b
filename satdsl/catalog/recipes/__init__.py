"""Describe the recipes: how a network's weights are changed in training."""

from __future__ import annotations

from typing import ClassVar

from satdsl.catalog.argument import Argument
from satdsl.catalog.perturbations import PerturbationEntry
from satdsl.catalog.registry import CallSite, Entry, Rule
from satdsl.catalog.schedules import ScheduleEntry
from satdsl.ir.steps import CatalogCall
from satdsl.records import record

EPOCHS = Argument("epochs", "int", unit="epochs", at_least=0, at_most=100000).meaning(
    "Passes over the training set; 0 leaves given weights as they are."
)
BATCH = Argument("batch", "int", default=128, unit="images", at_least=1).meaning(
    "Images per step, attacked and clean ones together; an epoch's last batch may be smaller."
)
SCHEDULE = Argument("schedule", "call", default="constant", family="schedule").meaning(
    "How the learning rate changes over the epochs."
)
WARMUP = Argument("warmup", "int", default=0, unit="epochs", at_least=0).meaning(
    "Epochs over which the learning rate first rises linearly from 0 to lr; 0 means none."
)
LABEL_SMOOTHING = Argument("label_smoothing", "number", default=0.0, at_least=0, below=1).meaning(
    "Probability mass that the target gives to all classes evenly (Szegedy et al., 2016)."
)
EMA = Argument("ema", "number", default=None, above=0, below=1, optional=True).meaning(
    "Decay, per step, of a moving average of weights and batch-norm statistics, which begins with the initial ones "
    "and is what is scored, selected and kept; none keeps none."
)
CLIP = Argument("clip", "number", default=None, above=0, optional=True).meaning(
    "Largest L2 norm of a step's gradient over all weights; a longer one is scaled down to it (Pascanu et al., 2013)."
)
PRECISION = Argument("precision", "word", default="fp32", choices=("fp32", "bf16")).meaning(
    "Number format of the network's passes in training: bf16 is autocast to bfloat16, weights and their updates stay "
    "fp32; measures always use fp32."
)
BETAS = Argument("betas", "number", default=(0.9, 0.999), many=True, at_least=0, below=1, length=2).meaning(
    "Decay, per step, of the averages of the gradient and of its square."
)
EPSILON = Argument("epsilon", "number", default=1e-08, above=0).meaning(
    "Added to the denominator for numerical stability; it is no attack radius."
)
SWA = Argument("swa", "int", default=None, unit="epochs", at_least=1, optional=True).meaning(
    "Equal average of the weights after this epoch and after each later one, which is what is scored, selected and "
    "kept; its batch-norm statistics are taken anew over the epoch's images, before attacks (Izmailov et al., 2018)."
)
PERTURB = Argument("perturb", "call", default=None, family="perturbation", optional=True).meaning(
    "Where the gradient of a step is taken, if not at the weights themselves; each image passes twice for it."
)
REDUCTION = Argument("reduction", "word", default="weighted_mean", choices=("weighted_mean", "mean")).meaning(
    "How weights w and losses l of a batch combine: weighted_mean is sum(w*l) / sum(w); mean is sum(w*l) / batch size."
)

TRAINING = (SCHEDULE, WARMUP, LABEL_SMOOTHING, EMA, CLIP, PRECISION, REDUCTION, SWA, PERTURB)
"""What every recipe takes beside its own arguments."""


def schedule_fits(recipe: CatalogCall, site: CallSite) -> None:
    """Make findings about a schedule that does not fit the recipe, and refuse one that never ends its rise."""
    schedule, epochs = recipe["schedule"], recipe["epochs"]
    entry = ScheduleEntry.of(schedule)
    entry.fits(schedule, recipe, site)
    what = entry.rise or "warmup"
    peak = schedule[what] if entry.rise else recipe[what]
    if 0 < epochs <= peak:
        site.error(
            "E511",
            f"the learning rate still rises when the training of {epochs} epoch{'s' * (epochs > 1)} ends",
            f"`{what}` is {peak:g} epochs",
            f"train longer, or give a smaller `{what}`",
        )


def average_fits(recipe: CatalogCall, site: CallSite) -> None:
    """Refuse an average that never has two networks in it, and two averages at once."""
    epochs, swa = recipe["epochs"], recipe["swa"]
    earlier = max(1, 3 * epochs // 4)
    if swa is not None and 0 < epochs <= swa:
        site.error(
            "E540",
            f"the average of `swa={swa}` has no two networks in it",
            f"it begins after epoch {swa}, and the training ends after epoch {epochs}",
            site.with_argument(f"swa={earlier}", f"begin earlier (`swa={earlier}`), or train longer")
            if epochs > 1
            else "train longer",
        )
    if swa is not None and recipe["ema"] is not None:
        site.error(
            "E541",
            "`ema` and `swa` are both averages of the weights",
            "one network is scored, selected and kept",
            "leave one of them out",
        )


def perturbation_begins(recipe: CatalogCall, site: CallSite) -> None:
    """Refuse a perturbation that the training is too short for."""
    perturb, epochs = recipe["perturb"], recipe["epochs"]
    if perturb is not None and 0 < epochs <= (begins := PerturbationEntry.of(perturb).begins(perturb)):
        site.error(
            "E542",
            f"`{perturb.name}` never perturbs a weight",
            f"it begins after epoch {begins}, and the training ends after epoch {epochs}",
            "give a smaller `warmup`, or train longer",
        )


@record
class RecipeEntry(Entry):
    """A recipe of the catalog: an optimiser and its settings."""

    family: ClassVar[str] = "recipe"

    rules: tuple[Rule, ...] = (schedule_fits, average_fits, perturbation_begins)
