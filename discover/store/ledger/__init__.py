"""What is true now, folded from the log: the trials, their states, and the fold as it is cached."""
