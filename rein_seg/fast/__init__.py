"""Faster forms, for CPUs and GPUs, of computations that heads and encoders hold in plain form.

`rein_seg.fast.switches` lists them all, `rein_seg.fast.dispatch` puts them in.
"""
