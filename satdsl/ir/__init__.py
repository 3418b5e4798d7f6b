"""Define the data that every stage shares: experiment, steps, plan, work and random draws."""
