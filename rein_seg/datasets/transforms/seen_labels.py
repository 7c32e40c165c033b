"""Labels of training without the classes that it must not see.

H x W label, K classes, S of them seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from rein_seg.datasets.unseen import class_indexes, seen_classes
from rein_seg.errors import UserError


@TRANSFORMS.register_module()
class KeepSeenLabels(BaseTransform):
    """Ignores the pixels of unseen classes; seen classes keep their indexes.

    It stands directly behind the step that loads labels, so that no later step, such as a crop
    that looks for mixed classes, knows of the unseen classes. A benchmark with ``unseen`` puts it
    into every training pipeline.

    Required keys: gt_seg_map, classes. Modified key: gt_seg_map.

    Args:
        unseen: Names or indexes of the unseen classes.
        compact: Whether seen classes become 0 to S - 1 in their order, for a model of S channels.
        unseen_as: Label of the pixels of unseen classes, for a head that gives them pseudo labels:
            they stay apart from padding and other ignored pixels, and a crop with
            ``cat_max_ratio`` takes them for one class. None ignores them.
        ignore_index: Label of ignored pixels.

    Raises:
        UserError: If ``unseen`` names no class, a class twice, or all classes; if ``ignore_index``
            or ``unseen_as`` is a class or no byte; if both are the same; if ``unseen_as`` comes
            with ``compact``.

    Source: the labels of Zhou et al., "ZegCLIP" (CVPR 2023): ``compact`` in the inductive setting,
    ``unseen_as`` in the transductive. Differs from it: the marker is a byte, not -1; padding has
    the ignored label, not 200.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import KeepSeenLabels
        >>> sample = dict(gt_seg_map=np.uint8([[0, 1, 2, 255]]), classes=('road', 'sea', 'sky'))
        >>> KeepSeenLabels(['sea'])(dict(sample))['gt_seg_map']
        array([[  0, 255,   2, 255]], dtype=uint8)
        >>> KeepSeenLabels(['sea'], compact=True)(dict(sample))['gt_seg_map']
        array([[  0, 255,   1, 255]], dtype=uint8)
        >>> KeepSeenLabels(['sea'], unseen_as=254)(dict(sample))['gt_seg_map']
        array([[  0, 254,   2, 255]], dtype=uint8)
    """

    def __init__(
        self,
        unseen: Sequence[str | int],
        *,
        compact: bool = False,
        unseen_as: int | None = None,
        ignore_index: int = 255,
    ) -> None:
        if compact and unseen_as is not None:
            raise UserError(
                f'KeepSeenLabels compact=True with unseen_as={unseen_as}: expected one of the two, '
                'since a model of the seen classes alone has no pseudo labels; leave one out'
            )
        self.unseen = unseen if isinstance(unseen, str) else tuple(unseen)
        self.compact, self.unseen_as, self.ignore_index = compact, unseen_as, ignore_index

    def transform(self, results: dict) -> dict:
        """Replaces ``gt_seg_map``, (H, W) uint8."""
        for key, way in (
            ('gt_seg_map', 'no label: put it behind LoadLabels'),
            ('classes', 'no names of classes: take a data set of rein_seg, such as FolderDataset'),
        ):
            if key not in results:
                raise UserError(f'KeepSeenLabels: the sample {results.get("img_path")!r} has {way}')
        label = results['gt_seg_map']
        table = self.table(tuple(results['classes']))
        results['gt_seg_map'] = cv2.LUT(label, table) if label.dtype == np.uint8 else table[label]
        return results

    def hidden(self, classes: Sequence[str]) -> tuple[int, ...]:
        """Returns the indexes of the unseen classes among K names."""
        return class_indexes(self.unseen, classes, 'KeepSeenLabels.unseen')

    def table(self, classes: tuple[str, ...]) -> np.ndarray:
        """Returns (256,) uint8: the label that each label becomes.

        Args:
            classes: K names, in the order of the indexes.
        """
        return _table(classes, self.unseen, self.compact, self.unseen_as, self.ignore_index)


@lru_cache(maxsize=64)
def _table(
    classes: tuple[str, ...],
    unseen: Sequence[str | int],
    compact: bool,
    unseen_as: int | None,
    ignore_index: int,
) -> np.ndarray:
    number = len(classes)
    hidden = class_indexes(unseen, classes, 'KeepSeenLabels.unseen')
    if not _is_free(ignore_index, number):
        raise UserError(
            f'KeepSeenLabels ignore_index={ignore_index!r}: expected a byte of {number} to 255, '
            'which is no class; take the ignore_index of the data set'
        )
    if unseen_as is not None and (unseen_as == ignore_index or not _is_free(unseen_as, number)):
        raise UserError(
            f'KeepSeenLabels unseen_as={unseen_as!r}: expected a byte of {number} to 255 other '
            f'than the ignored label {ignore_index}, such as 254'
        )
    seen = seen_classes(hidden, number)
    table = np.full(256, ignore_index if unseen_as is None else unseen_as, np.uint8)
    table[list(seen)] = range(len(seen)) if compact else seen
    table[ignore_index] = ignore_index
    return table


def _is_free(label: int, number: int) -> bool:
    return type(label) is int and number <= label <= 255
