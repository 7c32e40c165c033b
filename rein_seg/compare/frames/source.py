"""The frames to predict: of a domain of a benchmark with their labels, or image files without.

H x W image.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from rein_seg.config.config_paths import datasets_of
from rein_seg.datasets.files.pictures import read_image
from rein_seg.datasets.transforms.labels import load_classes
from rein_seg.datasets.transforms.load_image import LoadDomainImage
from rein_seg.errors import UserError, near_misses


@dataclass(frozen=True)
class Frame:
    """An image, with its label if it is of a domain.

    Attributes:
        name: File name without its end; with folders where names are equal.
        info: Fields of the sample; of an image file ``img_path`` alone.
    """

    name: str
    info: dict[str, Any]

    def image(self) -> np.ndarray:
        """Returns the (H, W, 3) uint8 RGB image, corrupted if its domain is.

        Raises:
            UserError: If it cannot be read, or has other bands.
        """
        if self.info.get('seg_map_path') is None:
            image = read_image(self.info['img_path'])
        else:
            image = LoadDomainImage()(dict(self.info))['img']
        if image.shape[2:] != (3,) or image.dtype != np.uint8:
            raise UserError(
                f'image {self.info["img_path"]!r} is {image.dtype} of shape {image.shape}: '
                'expected three channels of 8 bits; frames of other bands are not drawn'
            )
        return np.ascontiguousarray(image[..., ::-1])

    def label(self, size: tuple[int, int]) -> np.ndarray | None:
        """Returns the (H, W) class indexes, or None of an image file.

        Args:
            size: (H, W) of the image.

        Raises:
            UserError: If the label has another size.
        """
        if self.info.get('seg_map_path') is None:
            return None
        label = load_classes({**self.info, 'ori_shape': size})
        if label.shape != size:
            raise UserError(
                f'label {self.info["seg_map_path"]!r} has {label.shape} pixels, its image {size} '
                "(height, width): expected one size; give the data set wrong_size='resize'"
            )
        return label


@dataclass(frozen=True)
class Domain:
    """Frames of one name and their classes.

    Attributes:
        name: Of the domain; '' for image files.
        frames: In the order of the data set, or as given.
        classes: K names.
        palette: (K, 3) uint8 RGB.
        ignore_index: Label of pixels that are not counted.
    """

    name: str
    frames: tuple[Frame, ...]
    classes: tuple[str, ...]
    palette: np.ndarray
    ignore_index: int = 255


def frames_of_domain(cfg: Config, name: str, *, data_root: str | None = None) -> Domain:
    """Lists the frames of a domain that a config tests or validates on.

    Args:
        cfg: Resolved config.
        name: The domain.
        data_root: Folder of the data; None takes the config's.

    Raises:
        UserError: If the config has no such domain, its data are missing or have no labels.
    """
    parts: dict[str, Any] = {}
    for part in datasets_of(cfg, ('test_dataloader', 'val_dataloader')):
        parts.setdefault(part.get('domain'), part)
    parts.pop(None, None)
    if name not in parts:
        raise UserError(f'--domain {name!r} is no domain of the runs; {near_misses(name, parts)}')
    part = copy.deepcopy(parts[name])
    if data_root is not None:
        part['data_root'] = data_root
    init_default_scope('mmseg')
    dataset = DATASETS.build(part)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    if not infos or infos[0].get('seg_map_path') is None:
        raise UserError(
            f'--domain {name!r} has no labels, so nothing tells which frames to show: give its '
            'frames as --images FILE ..., which are shown without truth'
        )
    return Domain(
        name,
        _named(infos),
        tuple(dataset.metainfo['classes']),
        np.array(dataset.metainfo['palette'], np.uint8),
        dataset.ignore_index,
    )


def frames_of_files(paths: Sequence[str], classes: Sequence[str], palette: Any) -> Domain:
    """Takes image files as frames without labels.

    Args:
        paths: Of the files.
        classes: K names of the runs' classes.
        palette: (K, 3) RGB.

    Raises:
        UserError: If a file is missing.
    """
    for path in paths:
        if not Path(path).is_file():
            raise UserError(f'--images {path!r} does not exist: expected image files')
    frames = _named([{'img_path': path} for path in paths])
    return Domain('', frames, tuple(classes), np.array(palette, np.uint8))


def small(picture: np.ndarray, width: int, *, is_map: bool) -> np.ndarray:
    """Returns a picture at the width of its cell.

    Args:
        picture: (H, W, 3) colours or (H, W) class indexes.
        width: In pixels.
        is_map: Whether a pixel is a class: nearest, since a mean of two would be a third.

    Example:
        >>> import numpy as np
        >>> from rein_seg.compare.frames.source import small
        >>> small(np.zeros((10, 20), np.uint8), 8, is_map=True).shape
        (4, 8)
    """
    size = (width, max(1, round(picture.shape[0] * width / picture.shape[1])))
    mode = cv2.INTER_NEAREST if is_map else cv2.INTER_AREA
    return cv2.resize(picture, size, interpolation=mode)


def _named(infos: Sequence[dict[str, Any]]) -> tuple[Frame, ...]:
    paths = [Path(info['img_path']) for info in infos]
    depth = 1
    while depth < 6 and len({p.parts[-depth:] for p in paths}) < len(paths):
        depth += 1
    return tuple(
        Frame('/'.join((*path.parts[-depth:-1], path.stem)), info)
        for path, info in zip(paths, infos, strict=True)
    )
