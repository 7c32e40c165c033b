"""Files of every kind are predicted as a viewer displays them."""

import numpy as np
import pytest
from PIL import Image

from rein_seg.apis import Predictor
from rein_seg.errors import UserError
from rein_seg.inference.images import to_rgb
from tests.inference.pixels import picture
from tests.inference.tiny_models import tiny_model

RGB = picture(24, 40)
GREY = RGB[..., 0]
ALPHA = np.dstack([RGB, np.full(GREY.shape, 7, np.uint8)])
WIDE = np.uint16(GREY) << 8
TURNED = Image.Exif()
TURNED[274] = 6  # to be turned clockwise

KINDS = {
    'rgb.png': (Image.fromarray(RGB), {}, RGB),
    'rgb.bmp': (Image.fromarray(RGB), {}, RGB),
    'rgb.tif': (Image.fromarray(RGB), {}, RGB),
    'rgb.ppm': (Image.fromarray(RGB), {}, RGB),
    'lossless.webp': (Image.fromarray(RGB), dict(lossless=True), RGB),
    'rgba.png': (Image.fromarray(ALPHA), {}, RGB),
    'rgba.webp': (Image.fromarray(ALPHA), dict(lossless=True, exact=True), RGB),
    'grey.png': (Image.fromarray(GREY), {}, np.dstack([GREY] * 3)),
    'grey_alpha.png': (Image.fromarray(ALPHA).convert('LA'), {}, None),
    '16bit.png': (Image.fromarray(WIDE), {}, np.dstack([GREY] * 3)),
    '16bit.tif': (Image.fromarray(WIDE), {}, np.dstack([GREY] * 3)),
    'one_bit.png': (Image.fromarray(GREY > 99), {}, None),
    'palette.png': (Image.fromarray(RGB).quantize(16), {}, None),
    'palette.gif': (Image.fromarray(RGB).quantize(16), {}, None),
    'turned.png': (Image.fromarray(RGB), dict(exif=TURNED), np.rot90(RGB, -1)),
    'turned.webp': (Image.fromarray(RGB), dict(exif=TURNED, lossless=True), np.rot90(RGB, -1)),
    'photo.jpg': (Image.fromarray(RGB), dict(quality=95), None),
    'turned.jpg': (Image.fromarray(RGB), dict(exif=TURNED, quality=95), None),
}


@pytest.mark.parametrize('name', KINDS)
def test_a_file_and_its_pil_image_are_the_same(tmp_path, name):
    image, options, expected = KINDS[name]
    path = tmp_path / name
    image.save(path, **options)
    pixels, shown = to_rgb(path)
    assert shown == str(path)
    with Image.open(path) as opened:
        seen, from_name = to_rgb(opened)
    assert from_name == str(path)
    assert pixels.shape == seen.shape
    # decoders of JPEG round differently
    assert np.abs(pixels.astype(int) - seen).max() <= (4 if name.endswith('jpg') else 0)
    if expected is not None:
        np.testing.assert_array_equal(pixels, expected)
    if name.startswith('turned'):
        assert pixels.shape == (40, 24, 3)
    result = Predictor(tiny_model()).predict(path, overlay=True)
    assert result.map.shape == pixels.shape[:2]
    np.testing.assert_array_equal(result.image, pixels)


def test_cmyk_is_near(tmp_path):
    Image.fromarray(RGB).convert('CMYK').save(tmp_path / 'print.tif')
    Image.fromarray(RGB).convert('CMYK').save(tmp_path / 'print.jpg', quality=95)
    for name in ('print.tif', 'print.jpg'):
        assert np.abs(to_rgb(tmp_path / name)[0].astype(int) - RGB).mean() < 12


def test_files_that_are_no_image(tmp_path):
    (tmp_path / 'text.png').write_text('no picture')
    (tmp_path / 'empty.jpg').touch()
    whole = tmp_path / 'whole.png'
    Image.fromarray(RGB).save(whole)
    (tmp_path / 'half.png').write_bytes(whole.read_bytes()[:200])
    predictor = Predictor(tiny_model())
    for name in ('text.png', 'empty.jpg', 'half.png'):
        with pytest.raises(UserError, match=name) as caught:
            predictor.predict(tmp_path / name)
        assert '\n' not in str(caught.value)


def test_pil_images_of_floats_need_a_range():
    with pytest.raises(UserError, match='the PIL image holds float32 values.*max_value=NUMBER$'):
        to_rgb(Image.fromarray(np.float32(GREY)))


def test_a_sensor_of_12_bits_needs_its_white(tmp_path):
    path = tmp_path / 'sensor.png'
    Image.fromarray(np.uint16(GREY) << 4).save(path)
    predictor = Predictor(tiny_model())
    words = r'say which value is white with max_value=NUMBER$'
    with pytest.raises(UserError, match=words):
        predictor.predict(path)
    for source in (path, Image.open(path)):
        result = predictor.predict(source, max_value=4095, overlay=True)
        np.testing.assert_array_equal(result.image, np.dstack([GREY] * 3))
