"""Lay out the tables of a specification: a module for each entry of `catalog.tables`, with a function `layout`."""
