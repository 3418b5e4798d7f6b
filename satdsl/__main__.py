"""`python -m satdsl`."""

from satdsl.cli import main

main()
