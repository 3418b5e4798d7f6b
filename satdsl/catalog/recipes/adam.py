"""Adam, whose weight decay is an L2 penalty in the gradient."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.recipes import BATCH, BETAS, EPOCHS, EPSILON, TRAINING, RecipeEntry

ENTRY = RecipeEntry(
    "adam",
    __doc__,
    source="Kingma and Ba, 2015",
    arguments=(
        EPOCHS,
        BATCH,
        Argument("lr", "number", default=0.001, above=0).meaning("Learning rate before the schedule changes it."),
        BETAS,
        EPSILON,
        Argument("weight_decay", "number", default=0.0, at_least=0).meaning(
            "L2 penalty, added to the gradient as weight_decay * weight, for every parameter; adamw decouples it."
        ),
        *TRAINING,
    ),
    place=3,
)
