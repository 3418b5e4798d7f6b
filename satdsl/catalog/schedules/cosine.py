"""Lowers the learning rate along half a cosine, epoch by epoch, without restarts, to 0 or to a share of lr."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.schedules import ScheduleEntry

ENTRY = ScheduleEntry(
    "cosine",
    __doc__,
    source="Loshchilov and Hutter, 2017",
    formula="end + (1 - end) * (1 + cos(pi * t / T)) / 2 for t = 0 .. T - 1, the epochs after the warm-up",
    arguments=(
        Argument("end", "number", default=0.0, at_least=0, below=1).meaning(
            "What the learning rate would be multiplied by after the last epoch: 0.01 leaves lr / 100."
        ),
    ),
    place=2,
)
