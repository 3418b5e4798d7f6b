"""Read a plan's results off the store: numbers with intervals, tables, verdicts on claims."""
