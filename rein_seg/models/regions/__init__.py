"""The second stage of a segmentor in two: regions of an image through a frozen CLIP."""

from rein_seg.models.regions.clip import RegionCLIP
from rein_seg.models.regions.crops import crop_regions, fill_outside, tight_boxes
from rein_seg.models.regions.ensemble import join_scores, segment

__all__ = [
    'RegionCLIP',
    'crop_regions',
    'fill_outside',
    'join_scores',
    'segment',
    'tight_boxes',
]
