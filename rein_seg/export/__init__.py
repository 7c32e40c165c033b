"""Exports models: merged weights, other file layouts, parameter counts."""
