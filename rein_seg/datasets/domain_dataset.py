"""A folder of images and a folder of labels, as one domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from rein_seg.bands import Bands
from rein_seg.datasets.files.label_files import Decode
from rein_seg.datasets.files.listing import is_there
from rein_seg.datasets.files.pairing import (
    Pair,
    leave_out,
    list_images,
    pair_folders,
    read_text,
    suffixes,
)
from rein_seg.datasets.files.pictures import DISPLAYED, STORED
from rein_seg.datasets.files.reference_pool import ReferencePool
from rein_seg.datasets.files.sizes import of_one_size
from rein_seg.datasets.label_space import check_label_map, check_label_space
from rein_seg.datasets.transforms.corruptions import check_corruption
from rein_seg.errors import UserError, near_misses

WRONG_SIZE = ('error', 'skip', 'resize', 'keep')
ORIENTATIONS = (None, DISPLAYED, STORED)
# steps of mmcv and mmseg -> the steps here, so that images and labels have one reader each
_OUR_STEPS = {
    f'{scope}{theirs}': ours
    for scope in ('', 'mmcv.', 'mmseg.')
    for theirs, ours in (
        ('LoadImageFromFile', 'LoadDomainImage'),
        ('LoadAnnotations', 'LoadLabels'),
    )
}


@DATASETS.register_module()
class DomainDataset(BaseSegDataset):
    """Images and labels of one domain, paired by name, found recursively.

    Args:
        domain: Name that every sample carries into the metric.
        data_root: Folder that ``data_prefix`` is relative to. If a config leaves it out,
            `load_config` fills in the top-level ``data_root``.
        data_prefix: ``img_path`` and ``seg_map_path`` folders, or zips (``DIR/*_images.zip``, or a
            folder in them, ``DIR/NAME.zip/images``).
        elsewhere: For ``img_path`` and ``seg_map_path`` a list of other places, tried in order
            if the folder of ``data_prefix`` does not exist.
        img_suffix: End of an image's file name, or several.
        seg_map_suffix: End of the label's file name, in place of the image's; or several.
        starts: Beginnings of the file names of images and of labels, if they differ.
        ann_file: File that lists the names of the split, one a line; '' takes all images.
        label_map: Raw label id -> class index or ``ignore_index``; None if labels hold class
            indexes. Reading any other id is an error.
        trust_ids: Whether ids of street labels are right although their shares of pixels look like
            another convention, see `other_kind`.
        wrong_size: Treatment of a label whose size is not the image's: ``error`` when it is read,
            ``skip`` leaves the pair out (every header is read at the start), ``resize`` resizes
            the label to the image (nearest), ``keep`` does not check.
        max_value: White, in images whose values have more than 8 bits: 4095 for 12 bits stored in
            16. None takes 16 bits as a full range, and refuses images with values below 4096 alone
            or with other numbers.
        orientation: Images and labels with EXIF data that turn them are both read as
            ``displayed`` or both as ``stored``. None reads them as displayed, and refuses a turned
            image with a label that may have been drawn on either.
        bands: Description of images of other bands than RGB, see `Bands`: names, use, mean, std,
            axes, nodata, value_range. None reads RGB.
        skip: Names of images to leave out (damaged labels, for example), or a file that lists
            them, one a line.
        task: Name of the task whose labels these are, in a run of several tasks.
        labelled: Whether there are labels. Without labels a sample is an image alone.
        corruption: (name, severity 1 to 5) of `CORRUPTIONS`. LoadDomainImage applies it to images
            at the size of their files. None applies nothing.
        cache_dir: Folder for decoded copies of images (read by LoadDomainImage) and mapped labels.
            Copies are equal bit for bit and load several times faster than PNG; the folder grows
            to about the size of the data. None keeps no copies.
        cache_raw: Whether to keep copies uncompressed: faster still, 3 bytes a pixel.
        hint: Where to get the data, for error messages.
        **kwargs: As mmseg's `BaseSegDataset` (pipeline, metainfo, test_mode, ...). A pipeline's
            ``LoadImageFromFile`` becomes ``LoadDomainImage``, its ``LoadAnnotations`` becomes
            ``LoadLabels``.

    Attributes:
        of_task: The task of its labels, None in a run of one task.
        left_out: Reason -> number of files and folders of the listing that are no samples.

    Raises:
        UserError: If a folder is missing or holds no images, an image has no label, a name to skip
            is not there, ``wrong_size``, ``orientation``, ``max_value`` or ``corruption`` is not
            known, there are not 2 to 255 classes, ``label_map`` maps outside the classes, or
            ``bands`` are described wrongly.

    Example:
        >>> from pathlib import Path
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.datasets import DomainDataset
        >>> for folder in ('images', 'labels'):
        ...     Path('town', folder).mkdir(parents=True)
        ...     _ = cv2.imwrite(f'town/{folder}/a.png', np.full((4, 6), 7, np.uint8))
        >>> dataset = DomainDataset(
        ...     'town', data_root='town', metainfo=dict(classes=('road', 'sky')), label_map={7: 1},
        ...     pipeline=[dict(type='LoadDomainImage'), dict(type='LoadLabels')],
        ... )
        >>> sample = dataset[0]
        >>> sample['domain'], sample['img'].shape, sample['gt_seg_map'].max()
        ('town', (4, 6, 3), np.uint8(1))
    """

    task = 'pixels'
    last_step = 'PackDomainInputs'  # of a pipeline
    # turns a label picture into raw ids; None takes its values
    decode: Decode | None = None
    # whether labels without an image are allowed
    extra_labels = True

    def __init__(
        self,
        domain: str,
        *,
        data_root: str | None = None,
        data_prefix: Mapping[str, str] | None = None,
        elsewhere: Mapping[str, Sequence[str]] | None = None,
        img_suffix: str | Sequence[str] = '.png',
        seg_map_suffix: str | Sequence[str] = '.png',
        starts: Sequence[str] = ('', ''),
        label_map: Mapping[int, int] | None = None,
        trust_ids: bool = False,
        wrong_size: str = 'error',
        max_value: float | None = None,
        bands: Mapping[str, Any] | None = None,
        orientation: str | None = None,
        skip: str | Sequence[str] = (),
        task: str | None = None,
        labelled: bool = True,
        corruption: Sequence | None = None,
        cache_dir: str | None = None,
        cache_raw: bool = False,
        hint: str = 'layout: docs/reference/datasets.md',
        **kwargs: Any,
    ) -> None:
        if wrong_size not in WRONG_SIZE:
            raise UserError(
                f'domain {domain!r}: wrong_size={wrong_size!r}; '
                f'{near_misses(wrong_size, WRONG_SIZE)}'
            )
        if orientation not in ORIENTATIONS:
            raise UserError(
                f'domain {domain!r}: orientation={orientation!r}: expected one of {ORIENTATIONS}'
            )
        if max_value is not None and not (isinstance(max_value, (int, float)) and max_value > 0):
            raise UserError(
                f'domain {domain!r}: max_value={max_value!r}: expected a number above 0, the value '
                'of white, such as 4095; leave it out for images of 8 bits'
            )
        unknown = sorted(set(data_prefix or ()) - {'img_path', 'seg_map_path'})
        if unknown:
            raise UserError(
                f'domain {domain!r}: data_prefix has {unknown}: expected img_path and seg_map_path'
            )
        self.bands = Bands.of(bands)
        if self.bands is not None:
            beside = dict(
                max_value=max_value, orientation=orientation, corruption=corruption,
                cache_dir=cache_dir,
            )  # fmt: skip
            given = [name for name, value in beside.items() if value is not None]
            if given:
                raise UserError(
                    f'domain {domain!r}: {", ".join(given)} has no effect on images with bands: '
                    'expected it without; leave it out'
                )
        self.domain, self.of_task = domain, task
        self.max_value, self.orientation = max_value, orientation
        self.left_out: Counter[str] = Counter()
        self.elsewhere, self.starts = dict(elsewhere or {}), tuple(starts)
        self.wrong_size, self.skip, self.labelled = wrong_size, skip, labelled
        self.corruption, self.cache_dir, self.cache_raw = corruption, cache_dir, cache_raw
        if corruption is not None:
            self.corruption = check_corruption(corruption)
        self.trust_ids = trust_ids
        self.id_map = check_label_map(label_map, f'domain {domain!r}')
        self.hint = hint
        self.pool = ReferencePool(self._image_paths)
        metainfo = {**self.METAINFO, **(kwargs.get('metainfo') or {})}
        check_label_space(metainfo, kwargs.get('ignore_index', 255), f'domain {domain!r}')
        self._names = tuple(metainfo['classes'])
        super().__init__(
            data_root=data_root,
            data_prefix=dict(data_prefix or dict(img_path='images', seg_map_path='labels')),
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **{**kwargs, 'pipeline': [our_step(step) for step in kwargs.get('pipeline', ())]},
        )
        self._check_ids()

    def _check_ids(self) -> None:
        if self.reduce_zero_label or self.label_map is not None:
            raise UserError(
                f'domain {self.domain!r}: reduce_zero_label and a reordered class list have no '
                'effect here; say what becomes of each raw id with label_map={raw: index or 255}'
            )
        classes = len(self.metainfo['classes'])
        allowed = {*range(classes), self.ignore_index}
        wrong = {k: v for k, v in (self.id_map or {}).items() if v not in allowed or k < 0}
        if wrong:
            raise UserError(
                f'domain {self.domain!r}: label_map {wrong} maps outside its {classes} classes '
                f'(0 to {classes - 1}, ignored: {self.ignore_index})'
            )

    def load_data_list(self) -> list[dict]:
        """Returns image and label path of every sample, in the order of `pairs`."""
        self.left_out.clear()
        try:
            if not self.labelled:
                return [dict(img_path=image, seg_fields=[]) for image in self._images()]
            pairs = self._chosen(self.pairs())
        except UserError as error:
            raise UserError(f'domain {self.domain!r}: {error}') from error
        return [
            dict(
                img_path=str(image),
                seg_map_path=str(label),
                reduce_zero_label=False,
                seg_fields=[],
            )
            for image, label in pairs
        ]

    def pairs(self) -> list[Pair]:
        """Returns image and label of every sample, sorted by the image's name."""
        return pair_folders(
            self._folder('img_path', 'images'),
            self._folder('seg_map_path', 'labels'),
            img_suffixes=suffixes(self.img_suffix),
            seg_suffixes=suffixes(self.seg_map_suffix),
            starts=self.starts,
            split_file=self.ann_file,
            hint=self.hint,
            extra_labels=self.extra_labels,
            left_out=self.left_out,
        )

    def take_part(self, pairs: list[Pair]) -> list[Pair]:
        """Returns the pairs of the part of the data that this is: here all."""
        return pairs

    def _images(self) -> list[str]:
        folder = self._folder('img_path', 'images')
        found = suffixes(self.img_suffix)
        return list_images(
            folder, found, start=self.starts[0], hint=self.hint, left_out=self.left_out
        )

    def _chosen(self, pairs: list[Pair]) -> list[Pair]:
        """Leaves out the pairs to skip and, with wrong_size='skip', the pairs of two sizes."""
        kept = leave_out(pairs, self._names_to_skip())
        self.left_out['pairs named by skip'] += len(pairs) - len(kept)
        kept = self.take_part(kept)
        if self.wrong_size == 'skip':
            fitting = of_one_size(kept, self.orientation, bands=self.bands)
            self.left_out["pairs of two sizes (wrong_size='skip')"] += len(kept) - len(fitting)
            kept = fitting
        self.left_out = +self.left_out  # without zeros
        if not kept:
            raise UserError(f'all {len(pairs)} images are left out')
        return kept

    def _names_to_skip(self) -> list[str]:
        if not isinstance(self.skip, str):
            return list(self.skip)
        path = Path(self.data_root or '.', self.skip)
        if not path.is_file():
            raise UserError(f'skip={str(path)!r} is no file; give one, or a list of names')
        return [line.strip() for line in read_text(path).splitlines() if line.strip()]

    def get_data_info(self, idx: int) -> dict:
        """Returns the paths of a sample, with its domain and how to read its label."""
        info = super().get_data_info(idx)
        return {
            **info,
            'domain': self.domain,
            **({} if self.of_task is None else {'task': self.of_task}),
            'id_map': self.id_map,
            'trust_ids': self.trust_ids,
            'classes': self._names,
            'num_classes': len(self._names),
            'ignore_index': self.ignore_index,
            'decode': self.decode,
            'wrong_size': self.wrong_size,
            'max_value': self.max_value,
            'bands': self.bands,
            'orientation': self.orientation,
            'corruption': self.corruption,
            'cache_dir': self.cache_dir,
            'cache_raw': self.cache_raw,
            'pool': self.pool,
        }

    def _image_paths(self) -> list[str]:
        """Returns the image of every sample."""
        return [super(DomainDataset, self).get_data_info(i)['img_path'] for i in range(len(self))]

    def places(self, key: str) -> list[str]:
        """Lists the folders or zips to look in; the first that exists is taken.

        Args:
            key: ``img_path`` or ``seg_map_path``.
        """
        others = [str(Path(self.data_root or '.', p)) for p in self.elsewhere.get(key, ())]
        return [str(self.data_prefix.get(key, '')), *others]

    def _folder(self, key: str, what: str) -> str:
        first, *others = self.places(key)
        place = next((p for p in (first, *others) if is_there(p)), None)
        if place is None:
            also = f' (nor {" nor ".join(map(repr, others))})' if others else ''
            raise UserError(
                f'folder of {what} {first!r} does not exist{also}: put or '
                'link the data there, or point data_root elsewhere (--cfg-options data_root=DIR, '
                f"or in the data set's own config); {self.hint}"
            )
        return place


def images_of_split(
    domain: str, split: str, splits: Mapping[str, int], options: Mapping[str, Any]
) -> int | None:
    """Returns the number of images in a split as downloaded; None for a part of it.

    Args:
        domain: Name of the domain, for the message.
        split: Name of the split.
        splits: Images of each split.
        options: Arguments of `DomainDataset`, of which ``ann_file`` and ``skip`` take a part.

    Raises:
        UserError: If there is no such split.

    Example:
        >>> from rein_seg.datasets.domain_dataset import images_of_split
        >>> images_of_split('voc', 'val', {'val': 1449}, {})
        1449
        >>> images_of_split('voc', 'val', {'val': 1449}, dict(skip=['a']))
    """
    if split not in splits:
        raise UserError(f'domain {domain!r}: split={split!r}; {near_misses(split, splits)}')
    return None if options.get('ann_file') or options.get('skip') else splits[split]


def our_step(step: dict | Callable) -> dict | Callable:
    """Returns the step of a pipeline that reads as everything here reads.

    Args:
        step: Config of a transform, or the transform.

    Example:
        >>> from rein_seg.datasets.domain_dataset import our_step
        >>> our_step(dict(type='mmcv.LoadImageFromFile'))
        {'type': 'LoadDomainImage'}
    """
    ours = _OUR_STEPS.get(str(step.get('type'))) if isinstance(step, Mapping) else None
    return step if ours is None else {**step, 'type': ours}


def leaf_datasets(dataset: Any) -> list[Any]:
    """Unwraps ConcatDataset, RepeatDataset and the like; any other data set is its only leaf.

    Example:
        >>> from types import SimpleNamespace
        >>> from rein_seg.datasets import leaf_datasets
        >>> first, second = object(), object()
        >>> both = SimpleNamespace(datasets=[SimpleNamespace(dataset=first), second])
        >>> leaf_datasets(both) == [first, second]
        True
    """
    parts = getattr(dataset, 'datasets', None)
    if parts is None and hasattr(dataset, 'dataset'):
        parts = [dataset.dataset]
    return [dataset] if parts is None else [leaf for part in parts for leaf in leaf_datasets(part)]
