"""What a label picture's values mean: masks of every kind, labels drawn in colours."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from rein_seg.datasets.files.label_files import BinaryMask, ColourLabels, read_label
from rein_seg.errors import UserError

# two columns of background, two of the thing
HALF = np.repeat(np.array([[0, 0, 1, 1]], np.uint8), 3, axis=0)


def saved(folder, image, name='m.png', **options):
    image.save(folder / name, **options)
    return str(folder / name)


def grey(values):
    return Image.fromarray(np.asarray(values, np.uint8))


def palette(indexes, colours):
    image = Image.fromarray(np.asarray(indexes, np.uint8)).convert('P')
    image.frombytes(np.asarray(indexes, np.uint8).tobytes())
    image.putpalette([value for colour in colours for value in colour])
    return image


PICTURES = {
    'grey 0 and 255': (lambda: grey(HALF * 255), 255),
    'grey 0 and 1': (lambda: grey(HALF), 1),
    'bilevel': (lambda: grey(HALF * 255).convert('1'), 1),
    'sixteen bit': (lambda: Image.fromarray((HALF * 255).astype(np.uint16)), 255),
    'three equal channels': (lambda: grey(HALF * 255).convert('RGB'), 255),
    'opaque alpha': (lambda: grey(HALF * 255).convert('RGBA'), 255),
    'grey with opaque alpha': (lambda: grey(HALF * 255).convert('LA'), 255),
    'palette of colours': (lambda: palette(HALF, [[0, 0, 0], [128, 0, 0]]), 1),
    'palette of greys': (lambda: palette(1 - HALF, [[255] * 3, [0] * 3]), 255),
}


@pytest.mark.parametrize('kind', PICTURES)
def test_masks_of_every_kind(tmp_path, kind):
    make, thing = PICTURES[kind]
    raw = read_label(saved(tmp_path, make()), BinaryMask())
    np.testing.assert_array_equal(raw, HALF * thing)


@pytest.mark.parametrize('suffix', ['.gif', '.tif', '.bmp'])
def test_mask_formats(tmp_path, suffix):
    path = saved(tmp_path, grey(HALF * 255), f'm{suffix}')
    np.testing.assert_array_equal(read_label(path, BinaryMask()), HALF * 255)


@pytest.mark.parametrize('mode', ['L', 'RGB'])
def test_jpeg_masks_need_the_threshold(tmp_path, mode):
    mask = np.zeros((32, 32), np.uint8)
    mask[8:25, 5:20] = 255
    path = saved(tmp_path, grey(mask).convert(mode), 'm.jpg', quality=60)
    assert len(np.unique(read_label(path, BinaryMask(threshold=1)))) == 2
    np.testing.assert_array_equal(read_label(path, BinaryMask(threshold=128)), mask // 255)


def test_threshold_is_inclusive(tmp_path):
    path = saved(tmp_path, grey([[0, 127, 128, 255]]))
    assert read_label(path, BinaryMask(threshold=128)).tolist() == [[0, 0, 1, 1]]


FAULTS = {
    'both foregrounds': (lambda: grey([[0, 1, 255]]), None, 'holds both 1 and 255: if 255'),
    'colours': (
        lambda: palette(HALF, [[0, 0, 0], [255, 0, 0]]).convert('RGB'),
        None,
        'is a colour picture .*label_colours',
    ),
    'colours under a threshold': (
        lambda: palette(HALF, [[0, 0, 0], [255, 0, 0]]).convert('RGB'),
        128,
        'is a colour picture',
    ),
    'ids under a threshold': (
        lambda: grey(HALF),
        128,
        r'values up to 1: threshold=128 is for grey',
    ),
    'sixteen bit under a threshold': (
        lambda: Image.fromarray(HALF.astype(np.uint16) * 65535),
        128,
        'values up to 65535',
    ),
    'transparent': (
        lambda: Image.merge('LA', [grey(HALF), grey(HALF * 255)]),
        None,
        'transparent pixels: save it without',
    ),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_masks_that_could_mean_two_things_are_refused(tmp_path, fault):
    make, threshold, message = FAULTS[fault]
    with pytest.raises(UserError, match=message):
        read_label(saved(tmp_path, make()), BinaryMask(threshold))


def test_float_labels_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(HALF.astype(np.float32)), 'm.tif')
    with pytest.raises(UserError, match='float32 values: expected whole numbers'):
        read_label(path, BinaryMask())


COLOURS = ((0, 0, 0), (128, 0, 0), (0, 0, 128))


@pytest.mark.parametrize('mode', ['P', 'RGB', 'RGBA'])
def test_labels_drawn_in_colours(tmp_path, mode):
    ids = np.array([[2, 0], [1, 2]])
    path = saved(tmp_path, palette(ids, COLOURS).convert(mode))
    np.testing.assert_array_equal(read_label(path, ColourLabels(COLOURS)), ids)


def test_strange_colours_are_named(tmp_path):
    path = saved(tmp_path, palette([[0, 1], [2, 2]], [*COLOURS[:2], [7, 8, 9]]).convert('RGB'))
    with pytest.raises(UserError, match=r'such as \[\[7, 8, 9\]\] \(2 of 4 pixels\)'):
        read_label(path, ColourLabels(COLOURS))
    for wrong in (((0, 0, 0), (0, 0, 0)), ((0, 0),), ((0, 0, 256),), ()):
        with pytest.raises(UserError, match='expected different colours'):
            ColourLabels(wrong)


STORED = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.uint8)


def four_bits(values):
    """A grey PNG of 4 bits: Pillow writes none, and stretches 0..15 to 0..255 when it reads."""

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    height, width = values.shape
    rows = b''.join(b'\0' + bytes(row[0::2] << 4 | row[1::2]) for row in values)
    head = struct.pack('>2I5B', width, height, 4, 0, 0, 0, 0)
    parts = (b'IHDR', head), (b'IDAT', zlib.compress(rows)), (b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*part) for part in parts)


def test_greys_of_few_bits_are_the_stored_numbers(tmp_path):
    (tmp_path / 'm.png').write_bytes(four_bits(STORED * 5))
    assert Image.open(tmp_path / 'm.png').mode == 'L'
    np.testing.assert_array_equal(read_label(str(tmp_path / 'm.png')), STORED * 5)


def test_palettes_are_read_by_index_even_of_greys(tmp_path):
    path = saved(tmp_path, palette(STORED, [[g, g, g] for g in (200, 100, 50, 0)]))
    np.testing.assert_array_equal(read_label(path), STORED)


def test_sixteen_bits_keep_their_numbers(tmp_path):
    path = saved(tmp_path, Image.fromarray(STORED.astype(np.uint16) * 20000))
    np.testing.assert_array_equal(read_label(path), STORED.astype(int) * 20000)


CHANGED = {
    'jpeg': (lambda: grey(STORED), 'm.jpg', {}, r'compressed with loss \(JPEG\)'),
    'lossy webp': (lambda: grey(STORED), 'm.webp', {}, r'compressed with loss \(WEBP\)'),
    'jpeg in a tiff': (
        lambda: grey(STORED),
        'm.tif',
        {'compression': 'jpeg'},
        r'compressed with loss \(TIFF\)',
    ),
    'white is zero': (lambda: grey(STORED), 'm.tif', {'tiffinfo': {262: 0}}, 'white is zero'),
    'colours': (lambda: grey(STORED).convert('RGB'), 'm.png', {}, 'not colours .*label_colours'),
    'frames': (
        lambda: grey(STORED),
        'm.gif',
        {'save_all': True, 'append_images': [grey(3 - STORED)]},
        'holds 2 pictures',
    ),
    'pages': (
        lambda: grey(STORED),
        'm.tif',
        {'save_all': True, 'append_images': [grey(STORED)] * 2},
        'holds 3 pictures',
    ),
}


@pytest.mark.parametrize('kind', CHANGED)
def test_forms_that_change_ids_are_refused(tmp_path, kind):
    make, name, options, message = CHANGED[kind]
    with pytest.raises(UserError, match=message):
        read_label(saved(tmp_path, make(), name, **options))


@pytest.mark.parametrize('dtype', [np.int8, np.int16, np.int32])
def test_negative_ids_are_refused(tmp_path, dtype):
    path = str(tmp_path / 'm.tif')
    cv2.imwrite(path, STORED.astype(dtype) - 1)
    with pytest.raises(UserError, match='negative|expected whole numbers >= 0'):
        read_label(path)
    cv2.imwrite(path, STORED.astype(dtype))
    np.testing.assert_array_equal(read_label(path), STORED)


def test_colours_of_sixteen_bits_are_refused(tmp_path):
    path = str(tmp_path / 'm.png')
    cv2.imwrite(path, np.zeros((2, 4, 3), np.uint16))
    with pytest.raises(UserError, match='has 16 bits in each of several channels'):
        read_label(path, ColourLabels(COLOURS))
