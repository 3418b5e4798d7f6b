"""A schedule of one's own: the learning rate falls linearly."""

import satdsl.plugin as sat


@sat.schedule
def falling(epoch: int, epochs: int, *, end: float = 0.0) -> float:
    """From the recipe's learning rate down to its share `end`, which would come after the last epoch."""
    return 1 - (1 - end) * epoch / epochs
