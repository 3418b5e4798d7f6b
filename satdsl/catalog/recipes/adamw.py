"""Adam with decoupled weight decay."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.recipes import BATCH, EPOCHS, TRAINING, RecipeEntry

ENTRY = RecipeEntry(
    "adamw",
    __doc__,
    source="Loshchilov and Hutter, 2019",
    arguments=(
        EPOCHS,
        BATCH,
        Argument("lr", "number", default=0.001, above=0).meaning("Learning rate before the schedule changes it."),
        Argument("betas", "number", default=(0.9, 0.999), many=True, at_least=0, below=1, length=2).meaning(
            "Decay, per step, of the averages of the gradient and of its square."
        ),
        Argument("epsilon", "number", default=1e-08, above=0).meaning(
            "Added to the denominator for numerical stability; it is no attack radius."
        ),
        Argument("weight_decay", "number", default=0.01, at_least=0).meaning(
            "Every parameter shrinks by lr * weight_decay of itself at each step."
        ),
        *TRAINING,
    ),
    place=2,
)
