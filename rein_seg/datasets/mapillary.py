"""Classes of Mapillary Vistas (v1.2: 66, v2.0: 124), mapped to the 19 of Cityscapes."""

from __future__ import annotations

from mmseg.datasets import MapillaryDataset_v2

# In the order of the raw ids 0 to 65 of config_v1.2.json; None is ignored.
MAPILLARY_CLASSES: tuple[tuple[str, str | None], ...] = (
    ('Bird', None),
    ('Ground Animal', None),
    ('Curb', 'sidewalk'),
    ('Fence', 'fence'),
    ('Guard Rail', None),
    ('Barrier', None),
    ('Wall', 'wall'),
    ('Bike Lane', 'road'),
    ('Crosswalk - Plain', 'road'),
    ('Curb Cut', None),
    ('Parking', 'road'),
    ('Pedestrian Area', 'sidewalk'),
    ('Rail Track', None),
    ('Road', 'road'),
    ('Service Lane', 'road'),
    ('Sidewalk', 'sidewalk'),
    ('Bridge', None),
    ('Building', 'building'),
    ('Tunnel', None),
    ('Person', 'person'),
    ('Bicyclist', 'rider'),
    ('Motorcyclist', 'rider'),
    ('Other Rider', 'rider'),
    ('Lane Marking - Crosswalk', 'road'),
    ('Lane Marking - General', 'road'),
    ('Mountain', None),
    ('Sand', None),
    ('Sky', 'sky'),
    ('Snow', None),
    ('Terrain', 'terrain'),
    ('Vegetation', 'vegetation'),
    ('Water', None),
    ('Banner', None),
    ('Bench', None),
    ('Bike Rack', None),
    ('Billboard', None),
    ('Catch Basin', None),
    ('CCTV Camera', None),
    ('Fire Hydrant', None),
    ('Junction Box', None),
    ('Mailbox', None),
    ('Manhole', None),
    ('Phone Booth', None),
    ('Pothole', None),
    ('Street Light', 'pole'),
    ('Pole', 'pole'),
    ('Traffic Sign Frame', None),
    ('Utility Pole', 'pole'),
    ('Traffic Light', 'traffic light'),
    ('Traffic Sign (Back)', 'traffic sign'),
    ('Traffic Sign (Front)', 'traffic sign'),
    ('Trash Can', None),
    ('Bicycle', 'bicycle'),
    ('Boat', None),
    ('Bus', 'bus'),
    ('Car', 'car'),
    ('Caravan', None),
    ('Motorcycle', 'motorcycle'),
    ('On Rails', 'train'),
    ('Other Vehicle', None),
    ('Trailer', None),
    ('Truck', 'truck'),
    ('Wheeled Slow', None),
    ('Car Mount', None),
    ('Ego Vehicle', None),
    ('Unlabeled', None),
)

# New names in v2.0, mapped as in v1.2 or by their name; other new names are ignored.
# Unverified: no published benchmark that scores v2.0 labels in the 19 classes was found.
_V2_NEW: dict[str, str] = {
    'Traffic Light - General (Single)': 'traffic light',
    'Traffic Light - Pedestrians': 'traffic light',
    'Traffic Light - General (Upright)': 'traffic light',
    'Traffic Light - General (Horizontal)': 'traffic light',
    'Traffic Light - Cyclists': 'traffic light',
    'Traffic Light - Other': 'traffic light',
    'Traffic Sign - Direction (Back)': 'traffic sign',
    'Traffic Sign - Direction (Front)': 'traffic sign',
    'Traffic Sign - Parking': 'traffic sign',
    'Traffic Sign - Temporary (Back)': 'traffic sign',
    'Traffic Sign - Temporary (Front)': 'traffic sign',
}
_V2_VOID = 'Lane Marking (only) - Test'


def _class_of_v2(name: str) -> str | None:
    if name == _V2_VOID:
        return None
    if name.startswith('Lane Marking'):
        return 'road'
    return dict(MAPILLARY_CLASSES).get(name) or _V2_NEW.get(name)


# In the order of the raw ids 0 to 123 of config_v2.0.json, as mmseg lists them.
MAPILLARY_V2_CLASSES: tuple[tuple[str, str | None], ...] = tuple(
    (name, _class_of_v2(name)) for name in MapillaryDataset_v2.METAINFO['classes']
)
