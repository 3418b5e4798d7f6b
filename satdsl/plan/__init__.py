"""Plan an experiment: which steps it takes, what they cost, and the plan as a file."""
