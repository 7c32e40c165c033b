"""Looks at a folder of a user's own data, and writes its data file."""

from rein_seg.own_data.init import Initialised, init_data

__all__ = ['Initialised', 'init_data']
