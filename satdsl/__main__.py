"""Run the command line as `python -m satdsl`."""

from satdsl.cli import main

main()
