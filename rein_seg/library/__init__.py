"""Models and tuning methods as plain modules, for training loops of other projects."""
