"""Predictions of several runs side by side, frame by frame: the command ``compare-frames``."""

from rein_seg.compare.frames.session import compare_frames

__all__ = ['compare_frames']
