"""What a label picture's values mean: masks of every kind, labels drawn in colours."""

import numpy as np
import pytest
from PIL import Image

from rein_seg.datasets.files.label_files import BinaryMask, ColourLabels, image_sizes, read_label
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


def test_sizes_from_the_header_heed_a_turned_image(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path, Image.new('RGB', (30, 20)), 'turned.jpg', exif=exif)
    assert image_sizes(path) == {(20, 30), (30, 20)}
    assert image_sizes(saved(tmp_path, Image.new('RGB', (30, 20)))) == {(20, 30)}
    (tmp_path / 'no.jpg').write_bytes(b'no picture')
    with pytest.raises(UserError, match=r"no.jpg' cannot be read"):
        image_sizes(str(tmp_path / 'no.jpg'))
