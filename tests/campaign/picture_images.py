"""Images: damaged, too large, of every pixel format, of several frames, turned."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rein_seg.datasets.files.pictures import turn
from tests.campaign import picture_files as files
from tests.campaign.case import Case
from tests.campaign.town import (
    GREY,
    IDS,
    RGB,
    WIDE,
    cut,
    ids,
    mode,
    pixels,
    place,
    ready,
    refused,
    right,
)
from tests.run.town import SIZE, draw_town, image, label


def damaged_images() -> Iterator[Case]:
    """Yields files that are no whole picture."""
    forms = {
        'png': files.encode(RGB, 'PNG'),
        'jpg': files.encode(RGB, 'JPEG'),
        'tif': files.encode(RGB, 'TIFF'),
        'bmp': files.encode(RGB, 'BMP'),
        'webp': files.encode(RGB, 'WEBP', lossless=True),
    }
    contents = {f'cut {end}': (end, cut(data)) for end, data in forms.items()}
    whole = forms['png']
    flipped = whole[:80] + bytes([whole[80] ^ 255]) + whole[81:]
    contents |= {
        'empty png': ('png', b''),
        'empty jpg': ('jpg', b''),
        'text': ('png', b'not a picture\n'),
        'web page': ('jpg', b'<!DOCTYPE html><html><title>403 Forbidden</title></html>'),
        'vector picture': (
            'png',
            b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>',
        ),
        'pdf': ('jpg', b'%PDF-1.7\n1 0 obj<<>>endobj'),
        'git lfs pointer': ('png', b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
        'heic': ('jpg', b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(64)),
        'zip': ('png', b'PK\3\4' + bytes(100)),
        'array of numpy': ('png', b'\x93NUMPY\1\0' + bytes(120)),
        'zeros': ('png', bytes(5000)),
        'png of a flipped bit': ('png', flipped),
        'header alone': ('png', whole[:33]),
        'no pixels': ('png', files.PNG + whole[8:33] + files.chunk(b'IEND', b'')),
        'no width': ('png', files.png(0, 8, bytes(8))),
        'png of 16 colours of no palette': (
            'png',
            files.png(64, 32, bytes(33 * 32), bits=4, colour=3),
        ),
        'tiff without a directory': ('tif', b'II*\0\xff\xff\xff\x7f'),
        'tiff of no strips': ('tif', files.tiff_of_tags([(256, 4, 8), (257, 4, 8)])),
    }
    for name, (end, data) in contents.items():
        yield from refused(
            f'image, {name}',
            lambda f, end=end, data=data: place(f, 'images', f'1.{end}', data),
            says=rf'1\.{end}',
        )


def bombs() -> Iterator[Case]:
    """Yields small files that would take all memory."""
    for file, data in files.bombs().items():
        end = file.rpartition('.')[2]
        extra = (
            {'options': f"img_suffix=['.png', '.{end}'],"} if end in ('jp2', 'ppm', 'gif') else {}
        )
        yield from refused(
            f'image, {file}',
            lambda f, end=end, data=data: place(f, 'images', f'1.{end}', data),
            says=rf'1\.{end}',
            **extra,
        )
    for file in ('bomb.png', 'bomb.tif', 'bomb.gif', 'bomb.bmp'):
        end = file.rpartition('.')[2]
        yield from refused(
            f'label, {file}',
            lambda f, file=file, end=end: place(f, 'labels', f'1.{end}', files.bombs()[file]),
            says=rf'1\.{end}',
        )
    for kind in (b'zTXt', b'iCCP', b'iTXt'):
        yield Case(
            f'train: image whose {kind.decode()} inflates',
            ready(lambda f, k=kind: place(f, 'images', '1.png', files.inflating(k)), 'train'),
            says=r'1\.png',
            memory=2 << 30,
        )


def pixel_formats() -> Iterator[Case]:
    """Yields images whose numbers have a stated meaning."""
    eight: dict[str, tuple[str, bytes, np.ndarray, int]] = {}
    for name, form, end, most in [
        ('1', 'PNG', 'png', 0), ('L', 'PNG', 'png', 0), ('LA', 'PNG', 'png', 0),
        ('P', 'PNG', 'png', 0), ('RGBA', 'PNG', 'png', 0), ('1', 'TIFF', 'tif', 0),
        ('LA', 'TIFF', 'tif', 0), ('P', 'TIFF', 'tif', 0), ('RGBA', 'TIFF', 'tif', 0),
        ('CMYK', 'TIFF', 'tif', 0), ('CMYK', 'JPEG', 'jpg', 40), ('YCbCr', 'TIFF', 'tif', 2),
        ('RGB', 'BMP', 'bmp', 0), ('L', 'BMP', 'bmp', 0),
        ('P', 'BMP', 'bmp', 0),
    ]:  # fmt: skip
        picture = mode(name)
        shown = np.array(picture.convert('RGB'))
        eight[f'{name} in {form}'] = (end, files.encode(picture, form), shown, most)
    transparent = mode('RGB').quantize(8)
    eight |= {
        'palette with transparency': (
            'png',
            files.encode(transparent, 'PNG', transparency=2),
            np.array(transparent.convert('RGB')),
            0,
        ),
        'transparent pixels': ('png', files.encode(np.dstack([RGB, GREY]), 'PNG'), RGB, 0),
        'deflated TIFF': (
            'tif',
            files.encode(RGB, 'TIFF', compression='tiff_adobe_deflate'),
            RGB,
            0,
        ),
        'LZW TIFF': ('tif', files.encode(RGB, 'TIFF', compression='tiff_lzw'), RGB, 0),
        'BigTIFF': ('tif', files.encode(RGB, 'TIFF', big_tiff=True), RGB, 0),
        'tiled TIFF': ('tif', files.tiled(GREY), GREY, 0),
        'white is zero': ('tif', files.encode(GREY, 'TIFF', tiffinfo={262: 0}), GREY, 0),
        'progressive JPEG': (
            'jpg',
            files.encode(RGB, 'JPEG', quality=95, progressive=True),
            RGB,
            90,
        ),
        'camera JPEG with a preview': (
            'jpg',
            files.encode(
                RGB, 'MPO', quality=95, save_all=True, append_images=[mode('RGB').resize((8, 4))]
            ),
            RGB,
            90,
        ),
        'full range of 16 bits': ('png', files.encode(WIDE, 'PNG'), WIDE >> 8, 0),
        'full range of 16 bits, TIFF': ('tif', files.tiff(WIDE), WIDE >> 8, 0),
        'full range of 16 bits, RGB': (
            'png',
            cv2.imencode('.png', np.dstack([WIDE] * 3))[1].tobytes(),
            WIDE >> 8,
            0,
        ),
        'lossless webp, upper suffix': ('WEBP', files.encode(RGB, 'WEBP', lossless=True), RGB, 0),
        'upper suffix': ('PNG', files.encode(RGB, 'PNG'), RGB, 0),
        'mixed suffix': ('JpEg', files.encode(RGB, 'JPEG', quality=95), RGB, 90),
        'a PNG named jpg': ('jpg', files.encode(RGB, 'PNG'), RGB, 0),
        'four bits': ('png', files.four_bits(GREY // 16), GREY // 16 * 17, 0),
        'animation of one frame': ('png', files.encode(RGB, 'PNG', save_all=True), RGB, 0),
    }
    for name, (end, data, shown, most) in eight.items():
        if end.lower() in ('jpg', 'jpeg') and 'named' not in name:  # with loss
            shown, most = np.array(Image.open(io.BytesIO(data)).convert('RGB')), 3
        yield from right(
            f'image, {name}',
            lambda f, end=end, data=data: place(f, 'images', f'1.{end}', data),
            pixels(f'1.{end}', shown, most=most),
            train=name in ('LA in PNG', 'four bits', 'full range of 16 bits', 'CMYK in JPEG'),
        )
    yield from numbers()


def numbers() -> Iterator[Case]:
    """Yields images of numbers beyond 8 bits, without and with the value of white."""
    twelve, small = (WIDE >> 4).astype(np.uint16), (GREY.astype(np.float32) / 255)
    wide = {
        '12 bits': ('png', files.encode(twelve, 'PNG'), 4095, WIDE >> 8),
        '12 bits, TIFF': ('tif', files.tiff(twelve), 4095, WIDE >> 8),
        '12 bits, RGB': ('tif', files.tiff(np.dstack([twelve] * 3)), 4095, WIDE >> 8),
        'float32 of 0 to 1': ('tif', files.tiff(small), 1, GREY),
        'float32 of 0 to 255': ('tif', files.tiff(GREY.astype(np.float32)), 255, GREY),
        'int32': ('tif', files.tiff(GREY.astype(np.int32)), 255, GREY),
        'int16': ('tif', files.tiff(GREY.astype(np.int16)), 255, GREY),
        '8 bits in 16': ('png', files.encode(GREY.astype(np.uint16), 'PNG'), 255, GREY),
    }
    for name, (end, data, white, shown) in wide.items():

        def write(folder: Path, end=end, data=data) -> None:
            place(folder, 'images', f'1.{end}', data)

        yield from refused(f'image, {name}', write, says=rf'1\.{end}.*max_value')
        options = f'max_value={white},'
        check = pixels(f'1.{end}', shown, max_value=white)
        yield from right(
            f'image, {name} and max_value', write, check, options=options, train=name == 'int32'
        )
        yield from refused(
            f'image, {name} above max_value',
            write,
            rf'1\.{end}.*max_value',
            options='max_value=0.5,',
        )
    odd = {
        'NaN': files.tiff(np.where(small > 0.5, np.nan, small)),
        'infinite': files.tiff(np.where(small > 0.5, np.inf, small)),
        'negative float32': files.tiff(small - 1),
        'negative int8': files.tiff(GREY.astype(np.int8)),
        'float64': files.tiff(small.astype(np.float64)),
        'RGB of float32': files.tiff(np.dstack([small] * 3)),
        'Lab': files.encode(mode('RGB').convert('LAB'), 'TIFF'),
    }
    for name, data in odd.items():
        yield from refused(
            f'image, {name}',
            lambda f, data=data: place(f, 'images', '1.tif', data),
            says=r'1\.tif',
            options='max_value=1,',
        )


def several_pictures() -> Iterator[Case]:
    """Yields files of several frames or pages."""
    other = [Image.fromarray(255 - RGB)]
    for form, end in (('PNG', 'png'), ('GIF', 'gif'), ('WEBP', 'webp'), ('TIFF', 'tif')):
        data = files.encode(RGB, form, save_all=True, append_images=other)
        yield from refused(
            f'image of two frames, {form}',
            lambda f, end=end, data=data: place(f, 'images', f'1.{end}', data),
            says=rf'1\.{end}.*2 pictures',
            options="img_suffix=['.png', '.gif', '.webp', '.tif'],",
        )
    for form, end in (('PNG', 'png'), ('GIF', 'gif'), ('TIFF', 'tif')):
        pages = [Image.fromarray(1 - IDS)]
        data = files.encode(IDS, form, save_all=True, append_images=pages)
        yield from refused(
            f'label of two frames, {form}',
            lambda f, end=end, data=data: place(f, 'labels', f'1.{end}', data),
            says=rf'1\.{end}.*2 pictures',
        )


def turned() -> Iterator[Case]:
    """Yields images and labels that EXIF data turn."""
    for k in range(1, 9):
        # stored so that it is shown in the size of the others
        shown = turn(RGB, k) if k < 5 else turn(image(1, SIZE[::-1]), k)
        stored = RGB if k < 5 else image(1, SIZE[::-1])
        picture = files.encode(stored, 'PNG', exif=files.exif(k))
        own = label(0, 1) if k < 5 else label(0, 1, size=SIZE[::-1])
        same = files.encode(own, 'PNG', exif=files.exif(k))

        def alone(folder: Path, picture=picture) -> None:
            place(folder, 'images', '1.png', picture)

        def both(folder: Path, picture=picture, same=same) -> None:
            place(folder, 'images', '1.png', picture)
            place(folder, 'labels', '1.png', same)

        if k in (2, 3, 4):
            yield from refused(f'EXIF {k}, label without', alone, says=rf'1\.png.*orientation {k}')
            for word in ('displayed', 'stored'):
                check = pixels('1.png', shown if word == 'displayed' else RGB, orientation=word)
                options = f'orientation={word!r},'
                yield from right(f'EXIF {k}, {word}', alone, check, train=False, options=options)
        else:
            yield from right(f'EXIF {k}, size tells', alone, pixels('1.png', shown), train=k == 6)
        yield from right(f'EXIF {k} of image and label', both, pixels('1.png', shown), train=False)
    size = (32, 32)
    square = files.encode(image(1, size), 'PNG', exif=files.exif(6))

    def write_square(folder: Path) -> None:
        draw_town(folder, size=size)
        place(folder, 'images', '1.png', square)

    yield from refused('EXIF 6 of a square', write_square, says=r'1\.png.*orientation 6')
    lies = files.encode(label(0, 1, size=SIZE[::-1]), 'PNG', exif=files.exif(6))
    yield from right(
        'EXIF 6 of a label alone', lambda f: place(f, 'labels', '1.png', lies), ids(0, 1)
    )


def cases() -> Iterator[Case]:
    """Yields the cases."""
    for group in (damaged_images, bombs, pixel_formats, several_pictures, turned):
        yield from group()
