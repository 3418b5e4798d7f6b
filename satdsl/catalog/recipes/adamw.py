"""Adam with decoupled weight decay."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.recipes import BATCH, BETAS, EPOCHS, EPSILON, TRAINING, RecipeEntry

ENTRY = RecipeEntry(
    "adamw",
    __doc__,
    source="Loshchilov and Hutter, 2019",
    arguments=(
        EPOCHS,
        BATCH,
        Argument("lr", "number", default=0.001, above=0).meaning("Learning rate before the schedule changes it."),
        BETAS,
        EPSILON,
        Argument("weight_decay", "number", default=0.01, at_least=0).meaning(
            "Every parameter shrinks by lr * weight_decay of itself at each step."
        ),
        *TRAINING,
    ),
    place=2,
)
