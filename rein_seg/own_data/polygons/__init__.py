"""Exports of polygons: found in a folder, drawn to masks."""

from rein_seg.own_data.polygons.draw import MASKS, Drawn, draw_export
from rein_seg.own_data.polygons.find import Export, find_export

__all__ = ['MASKS', 'Drawn', 'Export', 'draw_export', 'find_export']
