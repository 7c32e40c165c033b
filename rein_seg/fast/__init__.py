"""Faster forms for CPUs and GPUs of what heads and encoders compute in plain form."""
