"""Labels and label spaces that are other than they seem; images of several sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.campaign import picture_files as files
from tests.campaign.case import Case
from tests.campaign.town import (
    IDS,
    cut,
    ids,
    palette,
    place,
    ready,
    refused,
    right,
)
from tests.run.town import draw_town, image, label

BINARY = "data_prefix=dict(seg_map_path='labels'),"


def labels() -> Iterator[Case]:
    """Yields labels whose numbers are not what they seem."""
    wrong = {
        'JPEG': ('jpg', files.encode(IDS, 'JPEG'), 'loss'),
        'lossy WebP': ('webp', files.encode(IDS, 'WEBP'), 'loss'),
        'JPEG 2000': ('jp2', files.encode(IDS, 'JPEG2000'), 'loss'),
        'white is zero': ('tif', files.encode(IDS, 'TIFF', tiffinfo={262: 0}), 'white is zero'),
        'white is zero, one bit': (
            'tif',
            files.encode(Image.fromarray(IDS > 0), 'TIFF', tiffinfo={262: 0}),
            'white is zero',
        ),
        'negative int8': ('tif', files.tiff(IDS.astype(np.int8) - 1), 'negative|signed'),
        'negative int16': ('tif', files.tiff(IDS.astype(np.int16) - 1), '>= 0'),
        'negative int32': ('tif', files.tiff(IDS.astype(np.int32) - 1), '>= 0'),
        'float32': ('tif', files.tiff(IDS.astype(np.float32)), 'float32'),
        'float64': ('tif', files.tiff(IDS.astype(np.float64)), ''),
        'huge int32': ('tif', files.tiff(IDS.astype(np.int32) * 2_000_000_000), '2000000000'),
        'uint32 beyond int32': ('tif', files.tiff(IDS.astype(np.uint32) * 3_000_000_000), ''),
        'RGB': ('png', files.encode(Image.fromarray(IDS).convert('RGB'), 'PNG'), 'label_colours'),
        'RGBA': ('png', files.encode(Image.fromarray(IDS).convert('RGBA'), 'PNG'), 'label_colours'),
        'grey and alpha': (
            'png',
            files.encode(Image.fromarray(IDS).convert('LA'), 'PNG'),
            'channel',
        ),
        'CMYK': ('tif', files.encode(Image.fromarray(IDS).convert('CMYK'), 'TIFF'), 'channel'),
        '16 bits of several channels': (
            'png',
            cv2.imencode('.png', np.dstack([IDS.astype(np.uint16)] * 3))[1].tobytes(),
            '16 bits',
        ),
        'value 2 of two classes': ('png', files.encode(label(0, 2), 'PNG'), r'\[2\]'),
        'value 254': ('png', files.encode(label(0, 254), 'PNG'), r'\[254\]'),
        'value 300': ('png', files.encode(label(0, 300, dtype=np.uint16), 'PNG'), r'\[300\]'),
        'value 65535': ('png', files.encode(label(0, 65535, dtype=np.uint16), 'PNG'), r'\[65535\]'),
        'four bits beyond the classes': ('png', files.four_bits(label(0, 15)), r'\[15\]'),
        'cut': ('png', cut(files.encode(IDS, 'PNG')), ''),
        'empty': ('png', b'', ''),
        'text': ('png', b'0 0 1 1', ''),
        'smaller': ('png', files.encode(label(0, 1, size=(16, 32)), 'PNG'), 'expected one size'),
        'larger by a row': (
            'png',
            files.encode(label(0, 1, size=(33, 64)), 'PNG'),
            'expected one size',
        ),
        'on its side': (
            'png',
            files.encode(label(0, 1, size=(64, 32)), 'PNG'),
            'expected one size',
        ),
        'of one pixel': ('png', files.encode(label(0, size=(1, 1)), 'PNG'), 'expected one size'),
    }
    suffixes = "seg_map_suffix=['.png', '.tif', '.jpg', '.webp', '.jp2'],"
    for name, (end, data, says) in wrong.items():
        yield from refused(
            f'label, {name}',
            lambda f, end=end, data=data: place(f, 'labels', f'1.{end}', data),
            says=rf'1\.{end}.*(?:{says})',
            options=suffixes,
        )
    good = {
        'palette': ('png', files.encode(palette(IDS, [[9, 9, 9], [250, 0, 0]]), 'PNG')),
        'palette of greys': ('png', files.encode(palette(IDS, [[255] * 3, [0] * 3]), 'PNG')),
        'palette in a GIF': ('gif', files.encode(palette(IDS, [[9, 9, 9], [250, 0, 0]]), 'GIF')),
        'palette in a BMP': ('bmp', files.encode(palette(IDS, [[9, 9, 9], [250, 0, 0]]), 'BMP')),
        'one bit': ('png', files.encode(Image.fromarray(IDS > 0), 'PNG')),
        'four bits': ('png', files.four_bits(IDS)),
        '16 bits': ('png', files.encode(IDS.astype(np.uint16), 'PNG')),
        'int32': ('tif', files.tiff(IDS.astype(np.int32))),
        'int8 without negative values': ('tif', files.tiff(IDS.astype(np.int8))),
        'tiled TIFF': ('tif', files.tiled(IDS)),
        'upper suffix': ('PNG', files.encode(IDS, 'PNG')),
        'with 255': ('png', files.encode(label(0, 255, 1, 0), 'PNG')),
    }
    for name, (end, data) in good.items():
        yield from right(
            f'label, {name}',
            lambda f, end=end, data=data: place(f, 'labels', f'1.{end}', data),
            ids(0, 1, *([255] if name == 'with 255' else [])),
            train=name in ('four bits', 'palette of greys'),
        )


def masks_of_one_thing() -> Iterator[Case]:
    """Yields masks, as greys, palettes and colours."""
    grey = IDS * 255
    soft = np.where(IDS > 0, 200, 20).astype(np.uint8)
    lists = {
        'greys': ('png', files.encode(grey, 'PNG'), '', [0, 255]),
        'ids': ('png', files.encode(IDS, 'PNG'), '', [0, 1]),
        'one bit': ('png', files.encode(Image.fromarray(IDS > 0), 'PNG'), '', [0, 1]),
        'four bits': ('png', files.four_bits(IDS * 15), '', [0, 255]),
        'RGB': ('png', files.encode(Image.fromarray(grey).convert('RGB'), 'PNG'), '', [0, 255]),
        'RGBA': ('png', files.encode(Image.fromarray(grey).convert('RGBA'), 'PNG'), '', [0, 255]),
        'palette of greys': (
            'png',
            files.encode(palette(1 - IDS, [[255] * 3, [0] * 3]), 'PNG'),
            '',
            [0, 255],
        ),
        'soft JPEG': ('jpg', files.encode(soft, 'JPEG'), 'threshold=128,', [0, 1]),
        'inverted': ('png', files.encode(255 - grey, 'PNG'), 'label_map={0: 1, 255: 0},', [0, 255]),
    }
    for name, (end, data, options, found) in lists.items():
        yield from right(
            f'mask, {name}',
            lambda f, end=end, data=data: _only(f, end, data),
            ids(*found),
            options=f"type='BinaryFolderDataset', {BINARY} {options}",
            train=False,
        )
    wrong = {
        'soft JPEG': ('jpg', files.encode(soft, 'JPEG'), '', 'threshold'),
        'colours': ('png', files.encode(np.dstack([grey, IDS, IDS]), 'PNG'), '', 'label_colours'),
        '1 and 255': ('png', files.encode(label(0, 1, 255), 'PNG'), '', '1 and 255'),
        'ids and a threshold': ('png', files.encode(IDS, 'PNG'), 'threshold=128,', 'up to 1'),
        'transparent': ('png', files.encode(np.dstack([grey] * 4), 'PNG'), '', 'transparent'),
        'float32': ('tif', files.tiff(IDS.astype(np.float32)), '', 'float32'),
    }
    for name, (end, data, options, says) in wrong.items():
        yield from refused(
            f'mask, {name}',
            lambda f, end=end, data=data: _only(f, end, data),
            says=rf'\.{end}.*(?:{says})',
            options=f"type='BinaryFolderDataset', {BINARY} {options}",
        )


def _only(folder: Path, end: str, data: bytes) -> None:
    """Gives every image this mask."""
    for path in (folder / 'town/labels').iterdir():
        path.unlink()
        path.with_suffix(f'.{end}').write_bytes(data)


def label_spaces() -> Iterator[Case]:
    """Yields data sets whose classes, maps or masks cannot be right."""

    def masks(folder: Path) -> None:
        draw_town(folder, values=(0, 255))

    def ignored(folder: Path) -> None:
        draw_town(folder, values=(255,))

    def nothing(folder: Path) -> None:
        """Leaves the town as it is."""

    yield from refused('masks of 0 and 255', masks, says='values 0 and 255 alone.*label_map')
    way = 'label_map={0: 0, 255: 1},'
    yield from right('masks of 0 and 255, mapped', masks, ids(0, 255), options=way)
    yield from refused('all ignored', ignored, says='all pixels of its 4 labels')
    for number in (1, 256, 300):
        classes = tuple(f'c{i}' for i in range(number))
        says = 'only class' if number == 1 else f'{number} classes'
        yield from refused(f'{number} classes', nothing, says, listed=False, classes=classes)
    many = tuple(f'c{i}' for i in range(255))
    write = lambda f: place(f, 'labels', '1.png', files.encode(label(0, 254), 'PNG'))  # noqa: E731
    yield from right('255 classes', write, ids(0, 1, 254), classes=many)

    def warned(folder: Path, content: dict) -> None:
        assert "'ghost'" in content['warnings'][0], content['warnings']

    yield from right('class without a pixel', nothing, warned, classes=('a', 'b', 'ghost'))
    for options, says in {
        'ignore_index=0,': "ignore_index=0 is the class 'rest'",
        'ignore_index=-1,': 'ignore_index',
        'ignore_index=300,': 'ignore_index',
        'label_map={},': 'label_map',
        'label_map={-1: 0},': 'label_map',
        'label_map={5_000_000_000: 0},': 'label_map',
        "label_map={'a': 0},": 'label_map',
        'label_map={0: 0, 1: 2},': 'label_map',
        'label_map={0: 0, 1: 1.5},': 'label_map',
        'max_value=0,': 'max_value',
        "max_value='white',": 'max_value',
        "orientation='up',": 'orientation',
        'label_colours=[[0, 0, 0], [0, 0, 0]],': 'label_colours',
        'label_colours=[[0, 0]],': 'label_colours',
        'label_colours=[[9, 9, 9], [8, 8, 8]],': 'label_colours',
    }.items():
        listed = options.startswith('label_colours=[[9')
        yield from refused(options.strip(','), nothing, says, listed=listed, options=options)
    for metainfo, says in {
        "dict(classes='rest')": 'classes',
        "dict(classes=('a', 'a'))": 'twice',
        "dict(classes=('a', 'b'), palette=[[0, 0, 0]])": 'palette',
        "dict(classes=('a', 'b'), palette=[[0, 0, 0], [0, 0, 256]])": 'palette',
        "dict(classes=('a', 'b'), palette=['red', 'blue'])": 'palette',
        'dict(classes=(1, 2))': 'classes',
        'dict()': 'classes',
    }.items():
        loop = 'for part in (train_dataloader, val_dataloader):\n'
        extra = f"{loop}    part['dataset']['metainfo'] = {metainfo}\n"
        yield from refused(metainfo, nothing, says, listed=False, extra=extra)


def sizes() -> Iterator[Case]:
    """Yields images of several sizes."""

    def odd(folder: Path, kind: str = '', size: tuple[int, int] = (32, 60)) -> None:
        for what, array in (('images', image(1, size)), ('labels', label(0, 1, size=size))):
            (folder / 'town' / f'{kind}{what}').mkdir(exist_ok=True)
            path = folder / 'town' / f'{kind}{what}/1.png'
            path.write_bytes(files.encode(array, 'PNG'))
            first = (folder / f'town/{what}/0.png').read_bytes()
            path.with_name('0.png').write_bytes(first)

    prefix = "dict(img_path='val_images', seg_map_path='val_labels')"
    val = f"val_dataloader['dataset']['data_prefix'] = {prefix}\n"
    batch = f"{val}val_dataloader['batch_size'] = 2\n"
    for name, write, says, extra in [
        ('one odd size in training', odd, r'1\.png', ''),
        ('one larger image in training', lambda f: odd(f, size=(48, 96)), r'2 sizes.*1\.png', ''),
        ('an image of one pixel', lambda f: odd(f, size=(1, 1)), r'1\.png|1, 1|2 sizes', ''),
        ('one odd size in validation', lambda f: odd(f, 'val_'), r'1\.png.*multiples', val),
        ('two sizes in validation, batch 2', lambda f: odd(f, 'val_', (48, 96)), '2 sizes', batch),
    ]:
        # sizes are no fault of the data: check-data finds none
        config = {'extra': extra} if extra else {}
        if name == 'an image of one pixel':
            config = {'extra': "train_dataloader['batch_size'] = 1\n"}
        yield Case(f'train: {name}', ready(write, 'train', **config), says=says)


def cases() -> Iterator[Case]:
    """Yields the cases."""
    for group in (labels, masks_of_one_thing, label_spaces, sizes):
        yield from group()
