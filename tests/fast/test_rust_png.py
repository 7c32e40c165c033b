"""PNG files by the Rust decoder: the pixels and the refusals of the plain readers."""

import io
import struct
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from rein_seg.datasets.files.label_files import BinaryMask, read_label
from rein_seg.datasets.files.pictures import decode_image
from rein_seg.errors import UserError
from rein_seg.fast import rust_png
from rein_seg.fast.dispatch import without

pytestmark = pytest.mark.skipif(rust_png.decoder() is None, reason='needs kornia-rs')

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (37, 53, 3)).astype(np.uint8)
SMOOTH = np.uint8(np.add.outer(np.arange(64), np.arange(80))[..., None] + [3, 60, 100])
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
FORMS = ('rust_png', 'rust_png_labels')


def chunk(kind, data):
    body = kind + data
    return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))


def png(colours, *, size=(20, 30), depth=8, interlaced=0, before=b'', pixels=None, after=b''):
    """Writes a PNG by hand: a random filter for each row."""
    height, width = size
    row = width * CHANNELS[colours] * depth // 8
    rows = [bytes([RNG.integers(5)]) + RNG.bytes(row) for _ in range(height)]
    header = struct.pack('>2I5B', width, height, depth, colours, 0, 0, interlaced)
    data = zlib.compress(b''.join(rows)) if pixels is None else pixels
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + before + chunk(b'IDAT', data)
        + after + chunk(b'IEND', b'')
    )  # fmt: skip


def saved(image, **options):
    out = io.BytesIO()
    image.save(out, 'PNG', **options)
    return out.getvalue()


def outcome(read, data):
    """Returns the pixels, or the message of the refusal."""
    try:
        return read(data, 'a.png')
    except UserError as error:
        return str(error)


def labels_of(data, path, tmp_path, decode=None):
    (tmp_path / path).write_bytes(data)
    return read_label(str(tmp_path / path), decode)


def same(read, data):
    """Tells whether both forms agree; returns the outcome."""
    fast = outcome(read, data)
    with without(*FORMS):
        plain = outcome(read, data)
    assert type(fast) is type(plain), (fast, plain)
    if isinstance(fast, str):
        assert fast == plain
    else:
        assert fast.dtype == plain.dtype
        assert fast.flags.writeable
        np.testing.assert_array_equal(fast, plain)
    return fast


@pytest.fixture
def used(monkeypatch):
    """The modes that the Rust decoder decoded."""
    modes, decode = [], rust_png.decoder()

    def record(data, size, mode):
        pixels = decode(data, size, mode)
        modes.append(mode)
        return pixels

    monkeypatch.setattr(rust_png, 'decoder', lambda: record)
    return modes


@pytest.mark.parametrize(
    ('mode', 'decoded'),
    [('RGB', ['rgb']), ('L', ['mono']), ('RGBA', ['rgba']), ('P', []), ('LA', []), ('1', [])],
)
def test_images_have_equal_pixels(used, mode, decoded):
    for values in (COLOURS, SMOOTH):
        used.clear()
        image = Image.fromarray(values).convert(mode)
        assert same(decode_image, saved(image)).shape == values.shape
        assert used == decoded


@pytest.mark.parametrize('level', [0, 1, 9])
def test_any_compression_is_read(used, level):
    data = saved(Image.fromarray(SMOOTH), compress_level=level)
    np.testing.assert_array_equal(same(decode_image, data), SMOOTH[..., ::-1])
    assert used == ['rgb']


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        ('palette', dict(colours=PALETTE, before=chunk(b'PLTE', bytes(range(48)) * 16))),
        ('16 bits', dict(colours=RGB, depth=16)),
        ('grey of 16 bits', dict(colours=GREY, depth=16)),
        ('interlaced', dict(colours=RGB, size=(8, 1), interlaced=1)),
        ('grey with alpha', dict(colours=GREY_ALPHA)),
    ],
)
def test_other_formats_are_left_to_the_plain_form(used, kind, options):
    assert isinstance(same(decode_image, png(**options)), np.ndarray)
    assert used == []


def test_an_animation_of_one_frame_is_left_to_the_plain_form(used):
    actl = chunk(b'acTL', struct.pack('>2I', 1, 0))
    fctl = chunk(b'fcTL', struct.pack('>5I2H2B', 0, 30, 20, 0, 0, 1, 10, 0, 0))
    same(decode_image, png(RGB, before=actl + fctl))
    assert used == []


def text():
    about = PngImagePlugin.PngInfo()
    about.add_text('Comment', 'a street')
    return about


@pytest.mark.parametrize(
    ('kind', 'before', 'after'),
    [
        ('gamma', chunk(b'gAMA', struct.pack('>I', 100_000)), b''),
        ('sRGB', chunk(b'sRGB', b'\0'), b''),
        ('profile', chunk(b'iCCP', b'x\0\0' + zlib.compress(b'no profile')), b''),
        ('bits', chunk(b'sBIT', b'\5\6\5'), b''),
        ('transparent colour', chunk(b'tRNS', bytes(6)), b''),
        ('background', chunk(b'bKGD', bytes(6)), b''),
        ('palette of colours', chunk(b'PLTE', bytes(range(48))), b''),
        ('time', b'', chunk(b'tIME', b'\7\xea\1\1\0\0\0')),
        ('unknown', chunk(b'zzZz', b'private'), chunk(b'zzZz', b'private')),
        ('no pixels yet', chunk(b'IDAT', b''), b''),
    ],
)
def test_chunks_that_say_more_do_not_change_pixels(used, kind, before, after):
    assert isinstance(same(decode_image, png(RGB, before=before, after=after)), np.ndarray)
    assert used == ['rgb']


def test_exif_turns_and_text_is_passed_over(used):
    exif = Image.Exif()
    exif[274] = 6
    data = saved(Image.fromarray(COLOURS), exif=exif, pnginfo=text())
    assert same(decode_image, data).shape == (53, 37, 3)
    assert same(partial(decode_image, orientation='stored'), data).shape == (37, 53, 3)
    assert used == ['rgb', 'rgb']


@pytest.mark.parametrize(
    ('kind', 'pixels'),
    [
        ('rows are missing', zlib.compress(bytes(91 * 10))),
        ('rows too many', zlib.compress(bytes(91 * 25))),
        ('a filter that is none', zlib.compress(b'\7' + bytes(91 * 20 - 1))),
        ('no stream', b'abcdef'),
        ('a stream that is cut', zlib.compress(RNG.bytes(91 * 20))[:-500]),
        ('bytes behind the stream', zlib.compress(bytes(91 * 20)) + b'abcd'),
    ],
)
def test_broken_streams_end_as_they_do_in_the_plain_form(kind, pixels, tmp_path):
    same(decode_image, png(RGB, pixels=pixels))
    grey = pixels if len(pixels) < 10 else zlib.compress(bytes(31 * 20))[:-3]
    same(partial(labels_of, tmp_path=tmp_path), png(GREY, pixels=grey))


@pytest.mark.parametrize('checksum', [b'', b'abcd'])
def test_whole_pixels_under_a_wrong_checksum_of_their_encoder_are_read(checksum):
    # no damage: the checksum of the chunk is right; the one known difference
    data = png(RGB, pixels=zlib.compress(bytes(91 * 20))[:-4] + checksum)
    assert not decode_image(data, 'a.png').any()
    with without(*FORMS), pytest.raises(UserError, match='cannot be decoded'):
        decode_image(data, 'a.png')


@pytest.mark.parametrize('colours', [GREY, RGB, RGBA])
def test_damaged_images_end_as_they_do_in_the_plain_form(colours):
    whole = png(colours, before=chunk(b'gAMA', struct.pack('>I', 45455)))
    for data in damaged(whole):
        same(decode_image, data)


@pytest.mark.parametrize('colours', [GREY, PALETTE])
def test_damaged_labels_end_as_they_do_in_the_plain_form(colours, tmp_path):
    before = chunk(b'PLTE', bytes(range(48)) * 16) if colours == PALETTE else b''
    for data in damaged(png(colours, before=before), number=20):
        same(partial(labels_of, tmp_path=tmp_path), data)


def damaged(data, number=250):
    """Yields cut files, files with a flipped bit, and files without some bytes."""
    ends = [*range(8, 60), *range(len(data) - 30, len(data))]
    for i in [*ends, *RNG.integers(8, len(data), number).tolist()]:
        yield data[:i]
        yield data[:i] + data[i + 1 :]
        yield data[:i] + bytes([data[i] ^ 1 << int(RNG.integers(8))]) + data[i + 1 :]
    yield data + b'more'


@pytest.mark.parametrize('mode', ['L', 'P'])
def test_labels_have_equal_ids(used, mode, tmp_path):
    ids = RNG.integers(0, 34, (40, 50)).astype(np.uint8)
    label = Image.fromarray(ids)
    if mode == 'P':
        label.putpalette([value for i in range(256) for value in (i, 255 - i, 9)])
    read = partial(labels_of, tmp_path=tmp_path)
    for options in ({}, {'transparency': 3}, {'bits': 8}):
        used.clear()
        found = same(read, saved(label, **options))
        np.testing.assert_array_equal(found, ids)
        assert used == ['mono']


def test_labels_of_few_bits_colours_and_masks_are_read_by_the_plain_form(used, tmp_path):
    few = Image.fromarray(np.uint8([[0, 1, 2, 3]]))
    few.putpalette(bytes(range(12)))
    read = partial(labels_of, tmp_path=tmp_path)
    assert same(read, saved(few, bits=2)).tolist() == [[0, 1, 2, 3]]
    assert 'not colours' in same(read, saved(Image.fromarray(COLOURS)))
    mask = saved(Image.fromarray(np.uint8([[0, 255]])))
    same(partial(labels_of, tmp_path=tmp_path, decode=BinaryMask()), mask)
    assert used == []


def test_another_version_of_the_decoder_is_left_alone(monkeypatch):
    import kornia_rs

    monkeypatch.setattr(kornia_rs, '__version__', '0.3.0')
    assert rust_png.decoder.__wrapped__() is None
