"""Make the plots of a specification: a module for each entry of `catalog.plots`, with its `PLOT`."""
