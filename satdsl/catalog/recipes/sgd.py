"""Stochastic gradient descent with momentum."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.recipes import BATCH, EPOCHS, TRAINING, RecipeEntry

ENTRY = RecipeEntry(
    "sgd",
    __doc__,
    arguments=(
        EPOCHS,
        BATCH,
        Argument("lr", "number", default=0.1, above=0).meaning("Learning rate before the schedule changes it."),
        Argument("momentum", "number", default=0.9, at_least=0, below=1).meaning(
            "Share of the previous step's direction that is kept."
        ),
        Argument("weight_decay", "number", default=0.0, at_least=0).meaning(
            "L2 penalty, added to the gradient as weight_decay * weight, for every parameter."
        ),
        Argument("nesterov", "bool", default=False).meaning("Use Nesterov's momentum (Sutskever et al., 2013)."),
        *TRAINING,
    ),
    place=1,
)
