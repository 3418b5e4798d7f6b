"""Lowers the learning rate to 0 along half a cosine, epoch by epoch, without restarts."""

from satdsl.catalog.schedules import ScheduleEntry

ENTRY = ScheduleEntry("cosine", __doc__, source="Loshchilov and Hutter, 2017", place=2)
