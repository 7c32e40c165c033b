"""From a config file to a run: reads, completes, compares and checks configs."""
