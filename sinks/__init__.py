"""Where decisions go: each sink is idempotent, and passes the same contract suite."""
