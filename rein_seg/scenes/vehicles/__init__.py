"""MiniVehicles: a vehicle of known subtype and colour in a street, in a source and five targets.

The vehicles, streets and looks are those of MiniScapes. Needs NumPy and OpenCV only. `render` makes
a picture, `ensure_cached` keeps a split on disk.
"""

from rein_seg.scenes.drawing.request import SPLITS
from rein_seg.scenes.streets.domains import DOMAINS
from rein_seg.scenes.vehicles.cache import ensure_cached
from rein_seg.scenes.vehicles.generator import GENERATOR_VERSION, VehiclePicture, contents, render
from rein_seg.scenes.vehicles.kinds import CLASSES, COLOURS

__all__ = [
    'CLASSES',
    'COLOURS',
    'DOMAINS',
    'GENERATOR_VERSION',
    'SPLITS',
    'VehiclePicture',
    'contents',
    'ensure_cached',
    'render',
]
