"""Reads label pictures: from a file to raw ids.

H x W label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from rein_seg.datasets.files.listing import read_bytes
from rein_seg.datasets.files.pictures import check_pages, header_of, open_picture, oriented
from rein_seg.errors import UserError
from rein_seg.fast.dispatch import has_fast_form

_COLOURS = ('RGB', 'RGBA', 'P', 'L', 'LA', '1')
# largest difference between the channels of a grey picture stored as a colour JPEG
_GREY_SPREAD = 40
_LOSSY = ('JPEG', 'MPO', 'JPEG2000')
_LOSSY_TIFF = ('jpeg', 'tiff_jpeg', 'old-jpeg', 'webp')  # Pillow's names of compressions
_PHOTOMETRIC, _SAMPLE_FORMAT, _WHITE_IS_ZERO, _SIGNED = 262, 339, 0, 2  # tags of TIFF
# greys of 2 and 4 bits, which Pillow stretches to 0..255
_STRETCHED = {'L;2': 85, 'L;4': 17}


@dataclass(frozen=True)
class LastChannel:
    """Reads ids from the channel that OpenCV puts last: SYNTHIA's labels, with 16 bits a channel.

    The other channels hold instances. (Pillow would halve the 16 bits.)
    """

    hint = 'map them with label_map in the data set, or leave the image out with skip'

    def from_bytes(self, data: bytes, path: str) -> np.ndarray:
        """Returns (H, W) ids of a picture file's content.

        Raises:
            UserError: If it is damaged, or has one channel.
        """
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
        if values is None:
            raise UserError(
                f'label {path!r} cannot be read: a damaged picture; unpack or download it again, '
                'or leave its image out with skip=[NAME, ...] in the data set'
            )
        if values.ndim != 3:
            raise UserError(
                f'label {path!r} has one channel: expected several, ids in the last; labels in '
                "class indexes are read with label_ids='train'"
            )
        return values[..., -1]


# a function gets the opened picture and its path, returns (H, W) raw ids
Decode = Callable[[Image.Image, str], np.ndarray] | LastChannel


def read_label(
    path: str, decode: Decode | None = None, *, orientation: str | None = None
) -> np.ndarray:
    """Returns the (H, W) raw ids of a label picture: the numbers that the file stores.

    Args:
        path: The file, or a member of a zip, as `read_bytes`.
        decode: Turns the picture into ids; None takes its values, or the indexes of a palette.
        orientation: As `read_image`.

    Raises:
        UserError: If the file is missing or damaged, stores numbers in a form that changes them
            (JPEG, white is zero, signed bytes), or ``decode`` refuses it.

    Example:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from rein_seg.datasets.files.label_files import ColourLabels, read_label
        >>> Image.fromarray(np.uint8([[[255, 0, 0], [0, 0, 255]]])).save('label.png')
        >>> read_label('label.png', ColourLabels(((0, 0, 255), (255, 0, 0))))
        array([[1, 0]])
    """
    data = _content(path)
    with open_picture(data, path, what='label') as image:
        check_pages(image, path, what='label')
        header, is_turned = header_of(image, data), image.format == 'TIFF'
        if isinstance(decode, LastChannel):
            raw = decode.from_bytes(data, path)
        else:
            _check_stored(image, data, path, decode)
            raw = read_ids(image, path, data) if decode is None else decode(image, path)
    if raw.dtype.kind == 'f' or (raw.size and raw.min() < 0):
        raise UserError(
            f'label {path!r} holds {raw.dtype} values: expected whole numbers >= 0; save the ids '
            'as a PNG of 8 or 16 bits'
        )
    raw = raw.astype(np.uint8) if raw.dtype == bool else raw
    return oriented(raw, header, orientation, is_turned=is_turned)


def _content(path: str) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise UserError(
            f'label {path!r} cannot be read: {error.strerror or error}; mend the file, or leave '
            'its image out with skip=[NAME, ...] in the data set'
        ) from error


def _check_stored(image: Image.Image, data: bytes, path: str, decode: Decode | None) -> None:
    """Checks that decoding gives the numbers that were stored."""
    lossy = (
        image.format in _LOSSY
        or (image.format == 'WEBP' and b'VP8 ' in data[12:64])
        or (image.format == 'TIFF' and image.info.get('compression') in _LOSSY_TIFF)
    )
    way = 'save the ids as a PNG'
    if lossy and not isinstance(decode, BinaryMask):
        what = f'is compressed with loss ({image.format}), which changes ids'
        way = 'draw it again as a PNG (masks of one thing: BinaryFolderDataset with threshold=128)'
    elif ';16' in _raw_mode(image) and len(image.getbands()) > 1:
        what = 'has 16 bits in each of several channels, of which 8 would be lost'
    elif image.format == 'TIFF' and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        what = 'is a TIFF whose white is zero: ids as stored or as shown cannot be told apart'
    elif _is_signed_byte(image) and np.array(image).max(initial=0) > 127:
        what = 'is a TIFF of signed bytes with negative values'
    else:
        return
    raise UserError(f'label {path!r} {what}: expected ids of one channel; {way}')


def _raw_mode(image: Image.Image) -> str:
    """Returns Pillow's name of the file's pixel format, such as ``RGB;16B``; '' if unknown."""
    tile = getattr(image, 'tile', ())  # of an image that no file holds: none
    args = tile[0][3] if tile else ''
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ''


def _is_signed_byte(image: Image.Image) -> bool:
    if image.format != 'TIFF' or image.mode != 'L':
        return False
    return _SIGNED in tuple(image.tag_v2.get(_SAMPLE_FORMAT, (1,)))


@has_fast_form('rust_png_labels')
def stored_values(image: Image.Image, data: bytes) -> np.ndarray:
    """Decodes a picture with Pillow: its values, or the indexes of its palette.

    (OpenCV turns indexes into colours.)

    Args:
        image: The opened picture.
        data: The content of its file; b'' if there is none.

    Returns:
        (H, W) or (H, W, channels).

    Example:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from rein_seg.datasets.files.label_files import stored_values
        >>> stored_values(Image.fromarray(np.uint8([[7, 9]])), b'').tolist()
        [[7, 9]]
    """
    return np.array(image)


def read_ids(image: Image.Image, path: str, data: bytes = b'') -> np.ndarray:
    """Returns the values of a single-channel picture, the indexes of a palette picture.

    Args:
        image: The opened picture.
        path: Of its file, for messages.
        data: The content of its file.
    """
    stretched = _STRETCHED.get(_raw_mode(image), 1)
    raw = stored_values(image, data)
    if stretched > 1:
        raw //= stretched
    if raw.ndim != 2:
        raise UserError(
            f'label {path!r} has shape {raw.shape}: expected one channel of ids, not colours '
            '(FolderDataset reads colours with label_colours)'
        )
    return raw


@dataclass(frozen=True)
class BinaryMask:
    """Reads a mask of one thing as the grey picture that it shows.

    A palette of greys is read as these greys, any other palette as its indexes. Three channels are
    read if they are equal.

    Args:
        threshold: Lowest grey value (1 to 255) of the foreground, for soft edges and masks stored
            as JPEG. None takes the values as ids.
        either: Without a threshold, whether 1 and 255 both mean foreground. A file that holds both
            is then refused.

    Example:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from rein_seg.datasets.files.label_files import BinaryMask
        >>> soft = Image.fromarray(np.uint8([[0, 90, 130, 255]]))
        >>> BinaryMask(threshold=128)(soft, 'mask.png')
        array([[0, 0, 1, 1]], dtype=uint8)
    """

    threshold: int | None = None
    either: bool = True

    hint = 'masks with soft edges or stored as JPEG: threshold=128; other ids: label_map'

    def __call__(self, image: Image.Image, path: str) -> np.ndarray:
        """Returns (H, W) ids: 0 and 1 with a threshold, else the values of the file."""
        grey = self._grey(image, path)
        most = int(grey.max(initial=0))
        if self.threshold is None:
            if self.either and most == 255 and (grey == 1).any():
                raise UserError(
                    f'mask {path!r} holds both 1 and 255: if 255 is to be ignored give the data '
                    'set label_map={0: 0, 1: 1, 255: 255}; soft edges: threshold=128'
                )
            return grey
        if most == 1 or most > 255:
            raise UserError(
                f'mask {path!r} holds values up to {most}: threshold={self.threshold} is for grey '
                'values 0 to 255; leave it out, or name the ids with label_map'
            )
        return (grey >= self.threshold).astype(np.uint8)

    def _grey(self, image: Image.Image, path: str) -> np.ndarray:
        if image.mode == 'P' and _is_coloured(image.getpalette() or []):
            return np.array(image)
        if image.mode not in ('P', 'RGB', 'RGBA', 'LA'):
            read_ids(image, path)  # refuses several channels
            return np.array(image)  # bilevel, grey, 16 bit
        rgb = _opaque(image, path)
        spread = int((rgb.max(2).astype(int) - rgb.min(2)).max(initial=0))
        if spread > (0 if self.threshold is None else _GREY_SPREAD):
            raise UserError(
                f'mask {path!r} is a colour picture (mode {image.mode}): expected grey values; '
                'read colours with FolderDataset(label_colours=[[0, 0, 0], [255, 0, 0]])'
            )
        return rgb[..., 1]


@dataclass(frozen=True)
class ColourLabels:
    """Reads a label drawn in colours: the id of a pixel is the index of its colour in a list.

    Args:
        colours: (R, G, B) of each id, 0 to 255.

    Raises:
        UserError: If these are not colours, or a colour is given twice.
    """

    colours: tuple[tuple[int, ...], ...]

    hint = 'say what becomes of each place in label_colours with label_map'

    def __post_init__(self) -> None:
        wrong = [c for c in self.colours if len(c) != 3 or not all(0 <= v <= 255 for v in c)]
        if wrong or not self.colours or len(set(self.colours)) < len(self.colours):
            raise UserError(
                f'label_colours={list(self.colours)}: expected different colours (R, G, B) of 0 '
                'to 255, one for each raw id'
            )

    def __call__(self, image: Image.Image, path: str) -> np.ndarray:
        """Returns (H, W) indexes into the list of colours."""
        if image.mode not in _COLOURS:
            raise UserError(f'label {path!r} has mode {image.mode}: expected colours (RGB)')
        # one integer a colour: a sorted search is faster than comparing with each colour
        codes = _codes(_opaque(image, path).astype(np.int64))
        known = _codes(np.array(self.colours, np.int64))
        order = np.argsort(known)
        at = np.searchsorted(known[order], codes).clip(max=len(known) - 1)
        found = order[at]
        strange = codes[known[found] != codes]
        if strange.size:
            some = [[int(c >> 16), int(c >> 8) & 255, int(c) & 255] for c in np.unique(strange)[:4]]
            raise UserError(
                f'label {path!r} holds colours that are not in label_colours, such as {some} '
                f'({strange.size} of {codes.size} pixels): add them, or mend the file'
            )
        return found


def _is_coloured(palette: list[int]) -> bool:
    colours = np.array(palette, np.uint8).reshape(-1, 3)
    return bool((colours != colours[:, :1]).any())


def _opaque(image: Image.Image, path: str) -> np.ndarray:
    """Returns (H, W, 3) uint8 colours of a picture without transparent pixels."""
    if image.mode in ('RGBA', 'LA') and image.getchannel('A').getextrema() != (255, 255):
        raise UserError(f'label {path!r} has transparent pixels: save it without an alpha channel')
    return np.array(image.convert('RGB'))


def _codes(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
