"""Leaves the learning rate as it is."""

from satdsl.catalog.schedules import ScheduleEntry

ENTRY = ScheduleEntry("constant", __doc__, place=4)
