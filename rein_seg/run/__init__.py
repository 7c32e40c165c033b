"""Runs configs: training, testing, predicting and serving, with the files of a run."""
