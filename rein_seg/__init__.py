"""Frozen vision foundation models, parameter-efficient tuning, segmentation on unseen domains."""

from rein_seg.version import __version__

__all__ = ['__version__']
