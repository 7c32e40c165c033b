"""Training, testing, predicting, serving: what a config is run for, and what a run leaves."""
