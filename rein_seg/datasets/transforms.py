"""Transforms that mmseg lacks: strict label ids, and samples that keep their domain."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS

from rein_seg.errors import UserError

_UNKNOWN = -1


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Loads a label image and maps its raw ids to class indexes with one look-up.

    Required keys: seg_map_path, num_classes, ignore_index, id_map, seg_fields. Added keys:
    gt_seg_map, (H, W) uint8 with class indexes and the ignore index.

    Raises:
        UserError: If the file cannot be read, has several channels, or holds an id that is neither
            a class, nor in the data set's id map, nor ignored.
    """

    def transform(self, results: dict) -> dict:
        """Adds ``gt_seg_map``."""
        raw = read_label(results['seg_map_path'])
        results['gt_seg_map'] = map_ids(
            raw,
            results['id_map'],
            num_classes=results['num_classes'],
            ignore_index=results['ignore_index'],
            path=results['seg_map_path'],
        )
        results['seg_fields'].append('gt_seg_map')
        return results


def read_label(path: str) -> np.ndarray:
    """Returns the (H, W) raw ids of a label image.

    Raises:
        UserError: If the file is missing or damaged, or has several channels.
    """
    # Pillow keeps the indexes of a palette image, which OpenCV would turn into colours
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            raw = np.array(image)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise UserError(f'label {path!r} cannot be read: {error}') from error
    if raw.ndim != 2:
        raise UserError(
            f'label {path!r} has shape {raw.shape}: expected one channel of ids, not colours'
        )
    return raw


def map_ids(
    raw: np.ndarray,
    id_map: Mapping[int, int] | None,
    *,
    num_classes: int,
    ignore_index: int = 255,
    path: str = '',
) -> np.ndarray:
    """Returns (H, W) uint8 class indexes of raw ids.

    Args:
        raw: (H, W) unsigned ids.
        id_map: Raw id -> class index or ignore_index; None for the identity.
        num_classes: K; the identity allows 0 to K - 1 and ignore_index.
        ignore_index: What to leave out.
        path: For messages.

    Raises:
        UserError: If an id is in neither.
    """
    items = None if id_map is None else tuple(sorted(id_map.items()))
    table = _table(items, num_classes, ignore_index)
    present = np.flatnonzero(np.bincount(raw.ravel())) if raw.size else np.empty(0, int)
    unknown = [int(i) for i in present if i >= len(table) or table[i] == _UNKNOWN]
    if unknown:
        space = f'0 to {num_classes - 1}' if id_map is None else f'{sorted(id_map)}'
        raise UserError(
            f'label {path!r} holds the ids {unknown[:8]}, outside its label space ({space}, '
            f'ignored: {ignore_index}); map them with label_map in the data set, or mend the file'
        )
    if items is None:
        return raw.astype(np.uint8, copy=False)
    return table.astype(np.uint8)[raw]


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
class PackDomainInputs(PackSegInputs):
    """mmseg's `PackSegInputs` that keeps the sample's domain.

    Args:
        meta_keys: As in mmseg, with ``domain`` among the defaults.
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
        ),
    ) -> None:
        super().__init__(meta_keys)
