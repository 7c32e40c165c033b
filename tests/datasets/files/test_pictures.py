"""Pixels of images in every way a file stores them; files that would take all memory."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from rein_seg.datasets.files.pictures import MOST_PIXELS, read_header, read_image, turn
from rein_seg.errors import UserError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
GREY = RGB[..., 0]


def saved(folder, image, name, **options):
    path = folder / name
    image.save(path, **options)
    return str(path)


def exif(orientation):
    data = Image.Exif()
    data[274] = orientation
    return data.tobytes()


EIGHT_BITS = [
    (mode, suffix)
    for mode in ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'YCbCr')
    for suffix in ('png', 'jpg', 'tif', 'bmp', 'gif', 'webp')
    if (mode, suffix)
    not in {('LA', 'jpg'), ('P', 'jpg'), ('RGBA', 'jpg'), ('CMYK', 'png'), ('YCbCr', 'png')}
    and not (suffix == 'bmp' and mode in ('LA', 'CMYK', 'YCbCr'))
    and not (suffix == 'gif' and mode in ('CMYK', 'YCbCr'))
]


@pytest.mark.parametrize(('mode', 'suffix'), EIGHT_BITS)
def test_eight_bits_are_read_as_opencv_reads_them(tmp_path, mode, suffix):
    path = saved(tmp_path, Image.fromarray(RGB).convert(mode), f'a.{suffix}')
    np.testing.assert_array_equal(read_image(path), cv2.imread(path, cv2.IMREAD_COLOR))


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['png', 'jpg', 'webp', 'tif'])
def test_exif_turns_an_image_unless_it_is_read_as_stored(tmp_path, suffix, orientation):
    about = {'tiffinfo': {274: orientation}} if suffix == 'tif' else {'exif': exif(orientation)}
    path = saved(tmp_path, Image.fromarray(RGB), f'a.{suffix}', **about)
    shown, stored = read_image(path), read_image(path, orientation='stored')
    as_before = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(shown, as_before)
    np.testing.assert_array_equal(shown, turn(stored, orientation))
    header = read_header(path)
    assert (header.size(), header.size('stored')) == (shown.shape[:2], stored.shape[:2])
    if suffix in ('png', 'tif'):
        np.testing.assert_array_equal(stored, RGB[..., ::-1])


def test_exif_data_behind_the_pixels_of_a_png_count(tmp_path):
    plain = tmp_path / 'a.png'
    Image.fromarray(RGB).save(plain)
    kind_and_data = b'eXIf' + exif(6)[6:]
    chunk = struct.pack('>I', len(kind_and_data) - 4) + kind_and_data
    data = plain.read_bytes()
    plain.write_bytes(
        data[:-12] + chunk + struct.pack('>I', zlib.crc32(kind_and_data)) + data[-12:]
    )
    np.testing.assert_array_equal(read_image(str(plain)), turn(RGB[..., ::-1], 6))


def write(folder, values, name='a.tif'):
    path = str(folder / name)
    cv2.imwrite(path, values)
    return path


@pytest.mark.parametrize('name', ['a.png', 'a.tif'])
def test_sixteen_bits_are_a_full_range(tmp_path, name):
    values = np.random.default_rng(1).integers(0, 65536, (6, 8, 3)).astype(np.uint16)
    np.testing.assert_array_equal(read_image(write(tmp_path, values, name)), values >> 8)
    grey = read_image(write(tmp_path, values[..., 0], name))
    np.testing.assert_array_equal(grey, np.repeat(values[..., :1] >> 8, 3, 2))


def test_sixteen_bits_of_small_values_need_max_value(tmp_path):
    values = np.array([[0, 16, 4095]], np.uint16)
    path = write(tmp_path, values)
    with pytest.raises(UserError, match=r'uint16 values of 0 to 4095: .*max_value=NUMBER'):
        read_image(path)
    assert read_image(path, max_value=4095)[..., 0].tolist() == [[0, 1, 255]]
    assert read_image(path, max_value=65535)[..., 0].tolist() == [[0, 0, 15]]
    with pytest.raises(UserError, match='expected 0 to max_value=1023'):
        read_image(path, max_value=1023)
    # a single bright pixel shows the full range
    assert read_image(write(tmp_path, np.array([[0, 4096]], np.uint16)))[0, 1, 0] == 16


@pytest.mark.parametrize('dtype', [np.float32, np.int32, np.int16, np.int8])
def test_other_numbers_need_max_value(tmp_path, dtype):
    path = write(tmp_path, np.array([[0, 50, 100]], dtype))
    with pytest.raises(UserError, match=f'{np.dtype(dtype)} values of 0 to 100: .*max_value'):
        read_image(path)
    low, middle, high = read_image(path, max_value=100)[0, :, 0]
    assert (low, high) == (0, 255 if dtype == np.float32 else 253)
    assert middle in (126, 127, 128)


@pytest.mark.parametrize('value', [-1.0, np.nan, np.inf])
def test_numbers_outside_the_range_are_refused(tmp_path, value):
    path = write(tmp_path, np.array([[0, value]], np.float32))
    with pytest.raises(UserError, match='expected 0 to max_value=1;'):
        read_image(path, max_value=1)


def test_pictures_of_several_pages_are_refused_but_not_smaller_copies(tmp_path):
    image = Image.fromarray(RGB)
    for name in ('a.tif', 'a.gif', 'a.png', 'a.webp'):
        path = saved(
            tmp_path, image, name, save_all=True, append_images=[Image.fromarray(255 - RGB)]
        )
        with pytest.raises(UserError, match='holds 2 pictures'):
            read_image(path)
    small = image.resize((4, 3))
    small.encoderinfo = {'tiffinfo': {254: 1}}
    path = saved(tmp_path, image, 'pyramid.tif', save_all=True, append_images=[small])
    np.testing.assert_array_equal(read_image(path), RGB[..., ::-1])


def png_header(width, height):
    ihdr = b'IHDR' + struct.pack('>2I5B', width, height, 8, 2, 0, 0, 0)
    head = b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + ihdr + struct.pack('>I', zlib.crc32(ihdr))
    idat = b'IDAT' + zlib.compress(bytes(1000))
    return head + struct.pack('>I', len(idat) - 4) + idat + struct.pack('>I', zlib.crc32(idat))


def test_sizes_are_measured_before_anything_is_decoded(tmp_path):
    path = tmp_path / 'a.png'
    for width, height in ((100_000, 100_000), (MOST_PIXELS + 1, 1)):
        path.write_bytes(png_header(width, height))
        with pytest.raises(UserError, match=r"a.png' is too large .*at most 178956970 pixels"):
            read_image(str(path))
        with pytest.raises(UserError, match='is too large'):
            read_header(str(path))


def damaged():
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, 'PNG')
    png = out.getvalue()
    yield 'empty', b''
    yield 'text', b'hello'
    yield 'cut header', png[:20]
    yield 'header alone', png[:33]


@pytest.mark.parametrize(('kind', 'data'), damaged(), ids=lambda value: str(value)[:12])
def test_damaged_files_are_named(tmp_path, kind, data):
    (tmp_path / 'a.png').write_bytes(data)
    with pytest.raises(UserError, match=r"a.png' cannot be (read|decoded)"):
        read_image(str(tmp_path / 'a.png'))


def test_pipes_devices_and_folders_are_no_images(tmp_path):
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'folder.png').mkdir()
    for path in (tmp_path / 'pipe.png', tmp_path / 'folder.png', '/dev/zero'):
        with pytest.raises(UserError, match='is a folder, a pipe or a device'):
            read_image(str(path))
    with (tmp_path / 'sparse.png').open('wb') as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match='has 1099511627776 bytes: expected at most'):
        read_image(str(tmp_path / 'sparse.png'))
