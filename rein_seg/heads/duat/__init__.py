"""The decoder of DuAT: global and local aggregation, then an exchange of fine and coarse maps."""

from rein_seg.heads.duat.blocks import GLSA, SBA
from rein_seg.heads.duat.head import DuATHead
from rein_seg.heads.duat.weights import convert_duat

__all__ = ['GLSA', 'SBA', 'DuATHead', 'convert_duat']
