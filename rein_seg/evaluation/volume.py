"""Scores of whole volumes, put together from their slices, for each domain.

K classes, D slices of H x W pixels.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import METRICS

from rein_seg.errors import UserError
from rein_seg.evaluation.confusion import areas_of
from rein_seg.evaluation.domain_iou import area_scores
from rein_seg.evaluation.domain_metric import DomainMetric
from rein_seg.evaluation.tables import score_text, table
from rein_seg.evaluation.volume_scores import DISTANCES, OVERLAPS, Score, volume_score


@dataclass(frozen=True)
class MeasuredSlice:
    """A slice of a volume, small: classes are compressed.

    Args:
        case: Name of the volume.
        place: Number of the slice, from 0.
        slices: Slices of the volume, D.
        size: (H, W).
        pred: Compressed uint8 classes.
        label: Compressed uint8 classes.
        areas: Of `areas_of`.
    """

    case: str
    place: int
    slices: int
    size: tuple[int, int]
    pred: bytes
    label: bytes
    areas: np.ndarray


@METRICS.register_module()
class VolumeSegMetric(DomainMetric):
    """Computes overlap and surface distances of the classes in whole volumes.

    A sample is a slice: it carries ``case``, ``slice`` (from 0) and ``slices``, the number of
    slices of its volume. The slices of a volume may come in any order and to different processes.

    The table has these columns; class 0 is the background and has no score:

    - ``Dice``, ``Jaccard``, in %; ``HD95``, ``ASD``, ``ASSD``, in voxels, or in the unit of
      ``spacing``: of a class in a volume (`volume_score`), the mean over the domain's volumes, then
      over classes. A class without a score in any volume is left out.
    - ``mIoU``, ``aAcc``: of all classes, of the pixels of all slices, as `DomainIoUMetric`.

    Voxels with ``ignore_index`` count as background in label and prediction.

    Args:
        spacing: Distance of slices, of rows and of columns. None counts voxels.
        missing: Of a class without predicted or true voxels in a volume: ``skip`` or
            ``transunet``, as `volume_score`. How often it happens is printed.
        **kwargs: As `DomainMetric`.

    Raises:
        UserError: As `DomainMetric`; if a sample carries no place in a volume, or slices of a
            volume are missing, doubled or of two sizes.

    Source: TransUNet (Chen et al., 2021) and CASTformer (You et al., 2022). Differs from it:
        missing classes, see `volume_score`.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from rein_seg.evaluation import VolumeSegMetric
        >>> metric = VolumeSegMetric()
        >>> metric.dataset_meta = dict(classes=('background', 'liver'))
        >>> sample = dict(case='a', slice=0, slices=1,
        ...               pred_sem_seg=dict(data=torch.tensor([[[0, 1, 1, 0]]])))
        >>> scores = metric.summarise([metric.measure(sample, np.array([[0, 0, 1, 1]]))])
        >>> scores['volumes'], scores['Dice'], scores['HD95']
        (1, 50.0, 1.0)
    """

    columns = (*OVERLAPS, *DISTANCES, 'mIoU', 'aAcc')

    def __init__(
        self,
        *,
        spacing: Sequence[float] | None = None,
        missing: Literal['skip', 'transunet'] = 'skip',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if missing not in ('skip', 'transunet'):
            raise UserError(f"VolumeSegMetric missing={missing!r}: expected 'skip' or 'transunet'")
        if spacing is not None and (len(spacing) != 3 or not all(side > 0 for side in spacing)):
            raise UserError(
                f'VolumeSegMetric spacing={tuple(spacing)}: expected three numbers above 0, the '
                'distances of slices, rows and columns; leave it out to count voxels'
            )
        self.missing = missing
        self.spacing = None if spacing is None else tuple(spacing)
        self.units = dict.fromkeys(DISTANCES, 'voxels' if spacing is None else 'units of spacing')

    def measure(self, sample: Mapping[str, Any], label: np.ndarray) -> MeasuredSlice:
        """Returns the classes of a slice and its place."""
        if any(sample.get(key) is None for key in ('case', 'slice', 'slices')):
            raise UserError(
                f'sample {sample.get("img_path")!r} carries no case, slice and slices, which '
                'VolumeSegMetric puts volumes together by: use a data set of volumes, such as '
                'VolumeDataset, and PackDomainInputs, or another metric'
            )
        pred = np.where(label == self.ignore_index, 0, self.predicted(sample, label.shape))
        true = np.where(label == self.ignore_index, 0, label)
        return MeasuredSlice(
            case=str(sample['case']),
            place=int(sample['slice']),
            slices=int(sample['slices']),
            size=label.shape,
            pred=_packed(pred),
            label=_packed(true),
            areas=areas_of(self.confusion(sample, label), len(self.dataset_meta['classes'])),
        )

    def summarise(self, measured: Sequence[MeasuredSlice]) -> dict[str, Any]:
        """Returns the scores of one domain."""
        classes = self.dataset_meta['classes']
        cases: dict[str, list[MeasuredSlice]] = {}
        for one in measured:
            cases.setdefault(one.case, []).append(one)
        found: dict[str, list[Score | None]] = {name: [] for name in classes[1:]}
        missing: Counter[str] = Counter()
        for slices in cases.values():
            pred, label = _volume(slices)
            for index, name in enumerate(classes[1:], start=1):
                there = pred == index, label == index
                found[name].append(volume_score(*there, spacing=self.spacing, missing=self.missing))
                missing[_presence(*there)] += 1
        by_class = {
            key: {name: _mean(getattr(one, key) for one in scores if one is not None)
                  for name, scores in found.items()}
            for key in (*OVERLAPS, *DISTANCES)
        }  # fmt: skip
        for key in OVERLAPS:
            by_class[key] = {n: None if v is None else 100 * v for n, v in by_class[key].items()}
        return {
            'volumes': len(cases),
            **{key: _mean(values.values()) for key, values in by_class.items()},
            **area_scores(sum(one.areas for one in measured), classes),
            'of_classes': by_class,
            'presence': {key: missing[key] for key in PRESENCE},
        }

    def compute_metrics(self, results: list[tuple[str, Any]]) -> dict[str, float]:
        """Returns the scores as `DomainMetric`; prints scores of classes, and missing classes."""
        scores, domains = super().compute_metrics(results), self.report['domains']
        rows = [
            (name, *(_text(one['of_classes'], name) for one in domains.values()))
            for name in self.dataset_meta['classes'][1:]
        ]
        counts = [
            (
                f'{key} ({_RULES[self.missing][key]})',
                *(str(one['presence'][key]) for one in domains.values()),
            )
            for key in PRESENCE
        ]
        tables = (('Dice %, HD95', rows), ('class in a volume', counts))
        text = '\n\n'.join(table((title, *domains), cells) for title, cells in tables)
        print_log(f'\n{text}', logger='current')
        return scores


PRESENCE = ('in both', 'in neither', 'predicted alone', 'labelled alone')
_RULES = {
    'skip': dict(zip(PRESENCE, ('scored', 'skipped', 'Dice 0', 'Dice 0'), strict=True)),
    'transunet': dict(zip(PRESENCE, ('scored', 'Dice 0', 'Dice 1', 'Dice 0'), strict=True)),
}


def _text(by_class: Mapping[str, Mapping[str, float | None]], name: str) -> str:
    return ' '.join(score_text({}, key, by_class[key][name]) for key in ('Dice', 'HD95'))


def _presence(pred: np.ndarray, label: np.ndarray) -> str:
    predicted, labelled = bool(pred.any()), bool(label.any())
    if predicted == labelled:
        return 'in both' if predicted else 'in neither'
    return 'predicted alone' if predicted else 'labelled alone'


def _packed(classes: np.ndarray) -> bytes:
    # organs are smooth: a hundredth of the size, while slices wait for the rest of their volume
    return zlib.compress(np.ascontiguousarray(classes, dtype=np.uint8).tobytes(), 1)


def _volume(slices: Sequence[MeasuredSlice]) -> tuple[np.ndarray, np.ndarray]:
    """Returns prediction and label of a volume, (D, H, W) uint8 each."""
    first, seen = slices[0], Counter(one.place for one in slices)
    lost = sorted(set(range(first.slices)) - set(seen))
    twice = sorted(place for place, times in seen.items() if times > 1)
    if lost or twice or len(seen) != first.slices:
        what = f'slices {lost[:8]} are missing' if lost else f'slices {twice[:8]} came twice'
        raise UserError(
            f'volume {first.case!r}: {what} of {first.slices}: its scores need each slice once; '
            'test all images of the data set, each volume in one domain'
        )
    sizes = sorted({one.size for one in slices})
    if len(sizes) > 1:
        raise UserError(
            f'volume {first.case!r}: slices of {sizes[0]} and of {sizes[1]} (height, width): '
            'expected one size; load labels as they are stored'
        )
    ordered = sorted(slices, key=lambda one: one.place)
    volumes = [
        np.stack([
            np.frombuffer(zlib.decompress(getattr(one, key)), np.uint8).reshape(one.size)
            for one in ordered
        ])
        for key in ('pred', 'label')
    ]  # fmt: skip
    return volumes[0], volumes[1]


def _mean(values: Any) -> float | None:
    """Returns the mean of the values that are there, None without any."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
