"""Tiny trees in the layout of the official downloads, with raw ids."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

# (road, car, void) of a label of 4 x 6 pixels, in columns: 3 road, 2 car, 1 void
_COLUMNS = np.tile([0, 0, 0, 1, 1, 2], (4, 1))


def grey(raw: np.ndarray) -> bytes:
    """Encodes (H, W) ids as a grey png."""
    return cv2.imencode('.png', raw.astype(np.uint8))[1].tobytes()


def palette(raw: np.ndarray) -> bytes:
    """Encodes them as a png with a palette whose colours are not the ids."""
    picture = Image.fromarray(raw.astype(np.uint8), mode='P')
    picture.putpalette([value for i in range(256) for value in (255 - i, i // 2, 7)])
    out = io.BytesIO()
    picture.save(out, 'PNG')
    return out.getvalue()


def wide(raw: np.ndarray) -> bytes:
    """Encodes them as SYNTHIA does: 16 bits, ids in the red channel, instances beside them."""
    instances = np.arange(raw.size).reshape(raw.shape) * 300
    bgr = np.stack([np.zeros_like(raw), instances, raw], -1).astype(np.uint16)
    return cv2.imencode('.png', bgr)[1].tobytes()


@dataclass(frozen=True)
class Tree:
    """One data set: options of the data set, names of its files, raw ids (road, car, void)."""

    options: dict
    image: str
    label: str
    ids: tuple[int, int, int]
    encode: object = grey

    def files(self, number: int = 1) -> dict[str, bytes]:
        """Returns name -> content of one image and its label."""
        image = np.full((*_COLUMNS.shape, 3), number % 250, np.uint8)
        suffix = '.' + self.image.rsplit('.', 1)[1]
        return {
            self.image.format(number): cv2.imencode(suffix, image)[1].tobytes(),
            self.label.format(number): self.encode(np.array(self.ids)[_COLUMNS]),
        }

    def write(self, root, numbers=(1,)) -> None:
        """Writes images and labels below ``root``."""
        for number in numbers:
            for name, data in self.files(number).items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def write_zips(self, root, archives: dict[str, tuple[int, ...]], inner: str = '') -> None:
        """Writes ``gta/NAME_images.zip`` and ``gta/NAME_labels.zip``: NAME -> numbers in them."""
        (root / 'gta').mkdir(parents=True, exist_ok=True)
        for archive, numbers in archives.items():
            for index, kind in enumerate(('images', 'labels')):
                with zipfile.ZipFile(root / f'gta/{archive}_{kind}.zip', 'w') as file:
                    file.writestr(f'{inner}{kind}/', b'')
                    for number in numbers:
                        data = list(self.files(number).values())[index]
                        name = f'{inner}{kind}/{number:05}.png'
                        # as downloaded: pictures stored, and deflated ones, too
                        how = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
                        file.writestr(name, data, how)


GTAV = Tree(
    dict(layout='gtav'), 'gta/images/{:05}.png', 'gta/labels/{:05}.png', (7, 26, 0), palette
)
CITYSCAPES = Tree(
    dict(layout='cityscapes', split='val'),
    'cityscapes/leftImg8bit/val/lindau/lindau_{:06}_000019_leftImg8bit.png',
    'cityscapes/gtFine/val/lindau/lindau_{:06}_000019_gtFine_labelIds.png',
    (7, 26, 3),
)
TREES: dict[str, Tree] = {
    'gtav': GTAV,
    'synthia': Tree(
        dict(layout='synthia'),
        'synthia/RGB/{:07}.png',
        'synthia/GT/LABELS/{:07}.png',
        (3, 8, 16),
        wide,
    ),
    'synthia as unpacked': Tree(
        dict(layout='synthia'),
        'synthia/RAND_CITYSCAPES/RGB/{:07}.png',
        'synthia/RAND_CITYSCAPES/GT/LABELS/{:07}.png',
        (3, 8, 0),
        wide,
    ),
    'urbansyn': Tree(
        dict(layout='urbansyn'),
        'urbansyn/rgb/rgb_{:04}.png',
        'urbansyn/ss/ss_{:04}.png',
        (0, 13, 19),
    ),
    'cityscapes': CITYSCAPES,
    'cityscapes in train ids': Tree(
        dict(layout='cityscapes', split='train', label_ids='train'),
        'cityscapes/leftImg8bit/train/ulm/ulm_{:06}_000019_leftImg8bit.png',
        'cityscapes/gtFine/train/ulm/ulm_{:06}_000019_gtFine_labelTrainIds.png',
        (0, 13, 255),
    ),
    'bdd100k': Tree(
        dict(layout='bdd100k', split='val'),
        'bdd100k/images/10k/val/a-{:04}.jpg',
        'bdd100k/labels/sem_seg/masks/val/a-{:04}.png',
        (0, 13, 255),
    ),
    'mapillary': Tree(
        dict(layout='mapillary', split='validation'),
        'mapillary/validation/images/{:04}.jpg',
        'mapillary/validation/labels/{:04}.png',
        (13, 55, 65),
        palette,
    ),
    'mapillary v1.2 in a v2.0 download': Tree(
        dict(layout='mapillary', split='validation'),
        'mapillary/validation/images/{:04}.jpg',
        'mapillary/validation/v1.2/labels/{:04}.png',
        (24, 55, 2**0),
        palette,
    ),
    'mapillary v2.0': Tree(
        dict(layout='mapillary_v2', split='validation'),
        'mapillary/validation/images/{:04}.jpg',
        'mapillary/validation/v2.0/labels/{:04}.png',
        (46, 108, 123),
        palette,
    ),
    'acdc': Tree(
        dict(layout='acdc', split='night/val'),
        'acdc/rgb_anon/night/val/GOPR0376/GOPR0376_frame_{:06}_rgb_anon.png',
        'acdc/gt/night/val/GOPR0376/GOPR0376_frame_{:06}_gt_labelTrainIds.png',
        (0, 13, 255),
    ),
    'acdc in raw ids': Tree(
        dict(layout='acdc', split='fog/val', label_ids='cityscapes'),
        'acdc/rgb_anon/fog/val/GOPR0476/GOPR0476_frame_{:06}_rgb_anon.png',
        'acdc/gt/fog/val/GOPR0476/GOPR0476_frame_{:06}_gt_labelIds.png',
        (7, 26, 1),
    ),
    'dark zurich': Tree(
        dict(layout='dark_zurich', split='val/night'),
        'dark_zurich/rgb_anon/val/night/GOPR0356/GOPR0356_frame_{:06}_rgb_anon.png',
        'dark_zurich/gt/val/night/GOPR0356/GOPR0356_frame_{:06}_gt_labelTrainIds.png',
        (0, 13, 255),
    ),
    'nighttime driving': Tree(
        dict(layout='nighttime_driving'),
        'NighttimeDrivingTest/leftImg8bit/test/night/{}_leftImg8bit.png',
        'NighttimeDrivingTest/gtCoarse_daytime_trainvaltest/test/night/{}_gtCoarse_labelTrainIds.png',
        (0, 13, 255),
    ),
}
