"""Transforms that mmseg lacks: strict label ids, and samples that keep their domain."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS

from rein_seg.datasets.files.decoded import cached
from rein_seg.datasets.files.label_files import read_label
from rein_seg.datasets.files.sizes import image_size
from rein_seg.errors import UserError

HINT = 'map them with label_map in the data set, or mend the file'
_UNKNOWN = -1
_FEW = 2**16


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Loads a label image and maps its raw ids to class indexes with one look-up.

    Required keys: seg_map_path, num_classes, ignore_index, id_map, seg_fields; optional: decode,
    wrong_size, orientation, ori_shape, file_shape, cache_dir (folder of mapped copies), cache_raw.
    Added keys: gt_seg_map, (H, W) uint8 with class indexes and the ignore index.

    Raises:
        UserError: If the file cannot be read or has another form than the data set declares,
            another size than its image, or an id that is neither a class, nor in the data set's
            id map, nor ignored.

    Example:
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.datasets import LoadLabels
        >>> _ = cv2.imwrite('label.png', np.uint8([[7, 7, 26]]))
        >>> result = LoadLabels()(dict(seg_map_path='label.png', id_map={7: 0, 26: 1},
        ...                            num_classes=2, ignore_index=255, seg_fields=[]))
        >>> result['gt_seg_map']
        array([[0, 0, 1]], dtype=uint8)
    """

    def transform(self, results: dict) -> dict:
        """Adds ``gt_seg_map``."""
        folder = results.get('cache_dir')
        if folder is None:
            results['gt_seg_map'] = load_classes(results)
        else:
            # a copy is valid for these values only, so they are part of its name
            keys = ('id_map', 'num_classes', 'ignore_index', 'decode', 'wrong_size', 'orientation')
            about = [results.get(key) for key in (*keys, 'file_shape', 'ori_shape')]
            results['gt_seg_map'] = cached(
                folder,
                results['seg_map_path'],
                f'label {about}',
                lambda: load_classes(results),
                raw=results.get('cache_raw', False),
            )
        results['seg_fields'].append('gt_seg_map')
        return results


def load_classes(info: Mapping[str, Any]) -> np.ndarray:
    """Returns (H, W) uint8 class indexes of a sample's label.

    Args:
        info: Fields of a sample of a `DomainDataset`; with the size of the image once it is loaded.

    Raises:
        UserError: As `read_label` and `map_ids`, or if the label has another size than its image
            and ``wrong_size`` allows neither.
    """
    path, decode, policy = info['seg_map_path'], info.get('decode'), info.get('wrong_size', 'keep')
    raw = read_label(path, decode, orientation=info.get('orientation'))
    size = None if policy == 'keep' else other_size(info, raw.shape)
    if size is not None and policy != 'resize':
        raise UserError(size_message(info, raw.shape, size))
    classes = map_ids(
        raw,
        info['id_map'],
        num_classes=info['num_classes'],
        ignore_index=info['ignore_index'],
        path=path,
        hint=getattr(decode, 'hint', HINT),
    )
    if size is None:
        return classes
    return cv2.resize(classes, size[::-1], interpolation=cv2.INTER_NEAREST)


def size_message(info: Mapping[str, Any], shape: tuple[int, ...], size: tuple[int, int]) -> str:
    """Returns the error text for a label and an image of two sizes."""
    return (
        f'label {info["seg_map_path"]!r} is {shape}, its image {info["img_path"]!r} {size} '
        '(height, width): expected one size; mend the pair, or give the data set '
        "wrong_size='resize' (the label, nearest) or 'skip' (an image turned by its EXIF data "
        "is read as stored with orientation='stored' in the data set)"
    )


def other_size(info: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Returns the (height, width) of a sample's image, None if the label has the same size."""
    loaded = info.get('file_shape') or info.get('ori_shape')
    size = tuple(loaded) if loaded else image_size(info)
    return None if shape == size else size


def map_ids(
    raw: np.ndarray,
    id_map: Mapping[int, int] | None,
    *,
    num_classes: int,
    ignore_index: int = 255,
    path: str = '',
    hint: str = HINT,
) -> np.ndarray:
    """Returns (H, W) uint8 class indexes of raw ids.

    Args:
        raw: (H, W) unsigned ids.
        id_map: Raw id -> class index or ignore_index; None for the identity.
        num_classes: K; the identity allows 0 to K - 1 and ignore_index.
        ignore_index: Index of pixels without a class.
        path: File of the label, for error messages.
        hint: Advice about an unknown id, for error messages.

    Raises:
        UserError: If an id is unknown.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets.transforms.labels import map_ids
        >>> map_ids(np.uint8([[7, 26, 0]]), {7: 0, 26: 1, 0: 255}, num_classes=2)
        array([[  0,   1, 255]], dtype=uint8)
    """
    items = None if id_map is None else tuple(sorted(id_map.items()))
    if raw.dtype == np.uint8 and raw.size:
        mapped = _look_up(raw, items, num_classes, ignore_index)
        if mapped is not None:
            return mapped
    table = _table(items, num_classes, ignore_index)
    # counting by value is faster, but values of 32 bits would need a table of gigabytes
    counted = raw.size and int(raw.max()) < _FEW
    present = np.flatnonzero(np.bincount(raw.ravel())) if counted else np.unique(raw)
    unknown = [int(i) for i in present if i >= len(table) or table[i] == _UNKNOWN]
    if unknown:
        space = f'0 to {num_classes - 1}' if id_map is None else f'{sorted(id_map)}'
        raise UserError(
            f'label {path!r} holds the ids {unknown[:8]}, outside its label space ({space}, '
            f'ignored: {ignore_index}); {hint}'
        )
    if items is None:
        return raw.astype(np.uint8, copy=False)
    return table.astype(np.uint8)[raw]


def _look_up(
    raw: np.ndarray, items: tuple[tuple[int, int], ...] | None, num_classes: int, ignore_index: int
) -> np.ndarray | None:
    """Returns the class indexes of (H, W) uint8 ids, None if an id is unknown.

    Unknown ids become a value that no class has, so a single look-up maps and checks.
    """
    stranger = next((v for v in range(255, -1, -1) if v >= num_classes and v != ignore_index), None)
    if stranger is None:
        return None
    table = _table(items, num_classes, ignore_index)[:256]
    full = np.full(256, stranger, np.uint8)
    full[: len(table)] = np.where(table == _UNKNOWN, stranger, table)
    mapped = cv2.LUT(raw, full)
    return None if (mapped == stranger).any() else mapped


@lru_cache(maxsize=64)
def _table(
    items: tuple[tuple[int, int], ...] | None, num_classes: int, ignore_index: int
) -> np.ndarray:
    pairs = items or tuple((i, i) for i in (*range(num_classes), ignore_index))
    table = np.full(max(raw for raw, _ in pairs) + 1, _UNKNOWN, dtype=np.int16)
    for raw, index in pairs:
        table[raw] = index
    return table


@TRANSFORMS.register_module()
class ScoreAtInputSize(BaseTransform):
    """Takes scores at the size of the resized image, not of the file.

    Load the label before the resize, so that it is resized, too. Required keys: img, gt_seg_map.
    Modified keys: ori_shape, img_shape.

    Raises:
        UserError: If the label has another size than the image.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import ScoreAtInputSize
        >>> image, label = np.zeros((4, 8, 3), np.uint8), np.zeros((4, 8), np.uint8)
        >>> ScoreAtInputSize()(dict(img=image, gt_seg_map=label, ori_shape=(64, 128)))['ori_shape']
        (4, 8)
    """

    def transform(self, results: dict) -> dict:
        """Replaces ``ori_shape`` by the image's (H, W)."""
        shape, label = results['img'].shape[:2], results['gt_seg_map'].shape
        if shape != label:
            raise UserError(
                f'ScoreAtInputSize: image {results.get("img_path")!r} is {shape} after its resize, '
                f'its label {label} (height, width): put LoadLabels before the resize'
            )
        results['ori_shape'] = results['img_shape'] = shape
        return results


@TRANSFORMS.register_module()
class PackDomainInputs(PackSegInputs):
    """Packs a sample as mmseg's `PackSegInputs` does, and keeps its domain.

    Args:
        meta_keys: As in mmseg, with ``domain``, ``task`` (of a run of several), ``max_value``,
            ``bands`` and ``orientation`` among the defaults, and for slices of volumes ``case``,
            ``slice`` and ``slices``.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import PackDomainInputs
        >>> packed = PackDomainInputs()(dict(img=np.zeros((4, 8, 3), np.uint8), domain='night'))
        >>> packed['inputs'].shape, packed['data_samples'].domain
        (torch.Size([3, 4, 8]), 'night')
    """

    def __init__(
        self,
        meta_keys: tuple[str, ...] = (
            'img_path',
            'seg_map_path',
            'ori_shape',
            'img_shape',
            'pad_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'reduce_zero_label',
            'domain',
            'task',
            'max_value',
            'bands',
            'orientation',
            'case',
            'slice',
            'slices',
        ),
    ) -> None:
        super().__init__(meta_keys)
