"""Scores of binary tasks (polyps, camouflage, shadows, leaves, roads) for each domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmseg.registry import METRICS

from rein_seg.errors import UserError
from rein_seg.evaluation.binary_scores import SCORES, image_scores, overlap
from rein_seg.evaluation.confusion import areas_of
from rein_seg.evaluation.domain_iou import area_scores
from rein_seg.evaluation.domain_metric import DomainMetric, read_map

_FRACTIONS = ('MAE',)


@METRICS.register_module()
class BinarySegMetric(DomainMetric):
    """Computes scores of a foreground probability for each domain, and their mean over targets.

    The table has these columns, in %, except MAE (0..1):

    - ``S``: S-measure. ``E``, ``E_max``: mean and maximum over 256 thresholds of the E-measure,
      averaged over images before; ``E_adaptive``: E-measure at twice the map's mean. ``wF``:
      weighted F. ``MAE``: mean absolute error. All are means over images, computed from maps that
      are stretched to 0..1 image by image.
    - ``BER``: 100 minus the mean accuracy of the two classes at threshold 125 / 255; mean over
      images.
    - ``IoU_image``, ``Dice_image``: of the foreground, mean over images; ``IoU_set``, ``Dice_set``:
      of the pixels of all images; all at ``threshold``.
    - ``Dice_curve``, ``IoU_curve``: mean over images, then over 256 grey values as thresholds, of
      the stretched map in 8 bits; ``Dice_max``, ``IoU_max``: the maximum over these thresholds of
      the mean over images. A threshold without a right pixel scores 0, also for an image without
      foreground. The literature of polyps calls the first pair mDice and mIoU.
    - ``mIoU``, ``aAcc``: of both classes, of the pixels of all images, as `DomainIoUMetric`.

    Pixels with ``ignore_index`` count as outside the image, also for stretching. An image without
    foreground has S = 1 - mean, wF = 0, the accuracy of the background in BER, and IoU and Dice of
    1 if nothing is predicted, else 0. An image without a valid pixel has no score.

    ``save_best`` takes the name of a column, such as ``mean/S`` or ``kvasir/IoU_image``, with the
    ``rule`` ``greater``, or ``less`` for MAE and BER.

    Args:
        metrics: Scores to compute, in the order of the table: S, E, wF, MAE, BER, IoU, Dice,
            Dice_curve, IoU_curve. mIoU and aAcc always follow. None computes all; wF takes most of
            the time.
        beta2: Weight of recall in wF: 0.3 as in Conv-LoRA's code; the default of the measure is 1.
        threshold: Probability above which a pixel is foreground.
        **kwargs: As `DomainMetric`.

    Raises:
        UserError: As `DomainMetric`; if a name in ``metrics`` is unknown, the number of classes is
            not two, or samples carry no ``pred_scores``, or scores outside 0..1.

    Source: the code of Conv-LoRA, ICLR 2024; the curves from the evaluation of PraNet, MICCAI 2020.
    Differs from it: none in the scores that it has. It has no Dice at a threshold, no scores of a
    whole set and no ignored pixels. Where it leaves a score undefined:
    docs/background/decisions/0009-binary-metrics.md.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from rein_seg.evaluation import BinarySegMetric
        >>> metric = BinarySegMetric(metrics=['MAE', 'IoU'])
        >>> metric.dataset_meta = dict(classes=('background', 'polyp'))
        >>> sample = dict(pred_scores=dict(data=torch.tensor([[[0.0, 1.0, 0.25]]])))
        >>> measured = metric.measure(sample, np.array([[0, 1, 1]]))
        >>> scores = metric.summarise([measured])
        >>> scores['MAE'], scores['IoU_image']
        (0.25, 50.0)
    """

    needs_scores = True
    image_score_name = 'IoU of the foreground'

    def __init__(
        self,
        *,
        metrics: Sequence[str] | None = None,
        beta2: float = 0.3,
        threshold: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.metrics = tuple(SCORES if metrics is None else dict.fromkeys(metrics))
        unknown = [name for name in self.metrics if name not in SCORES]
        if unknown:
            raise UserError(
                f'BinarySegMetric metrics={list(self.metrics)}: {unknown[0]!r} is unknown; '
                f'choose from {list(SCORES)}'
            )
        self.columns = (*(c for name in self.metrics for c in SCORES[name]), 'mIoU', 'aAcc')
        self.fractions = tuple(name for name in self.columns if name in _FRACTIONS)
        self.beta2, self.threshold = beta2, threshold

    def measure(self, sample: Mapping[str, Any], label: np.ndarray) -> dict[str, Any]:
        """Returns the ``areas`` of an image, from `areas_of`, and its `image_scores`."""
        scores = self._read_scores(sample, label.shape)
        valid = label != self.ignore_index
        areas = {'areas': areas_of(self.confusion(sample, label), 2)}
        if not valid.any():
            return areas
        return areas | image_scores(
            scores,
            label == 1,
            None if valid.all() else valid,
            metrics=self.metrics,
            beta2=self.beta2,
            threshold=self.threshold,
        )

    def predicted(self, sample: Mapping[str, Any], size: tuple[int, ...]) -> np.ndarray:
        """Returns the (H, W) class indexes at ``threshold``."""
        return (read_map(sample, 'pred_scores', size) > self.threshold).astype(np.int64)

    def image_score(self, matrix: np.ndarray) -> float | None:
        """Returns the IoU of the foreground in %, or None without a labelled pixel."""
        return 100 * overlap('IoU', *areas_of(matrix, 2)[:, 1]) if matrix.any() else None

    def _read_scores(self, sample: Mapping[str, Any], size: tuple[int, ...]) -> np.ndarray:
        classes = self.dataset_meta['classes']
        if len(classes) != 2:
            raise UserError(
                'BinarySegMetric is for two classes, the background first; the data set has '
                f'{len(classes)}: {list(classes)}; use DomainIoUMetric'
            )
        if 'pred_scores' not in sample:
            raise UserError(
                f'sample {sample.get("img_path")!r} carries no pred_scores, which BinarySegMetric '
                'reads: set model.test_cfg.keep_scores=True'
            )
        scores = read_map(sample, 'pred_scores', size)
        if not (scores.min() >= 0 and scores.max() <= 1):  # so written, nan does not pass
            raise UserError(
                f'sample {sample.get("img_path")!r}: pred_scores go from {scores.min()} to '
                f'{scores.max()}, expected probabilities 0..1: logits need a sigmoid or softmax'
            )
        return scores

    def summarise(self, measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Returns the scores of one domain."""
        areas = sum(one['areas'] for one in measured)
        scored = [one for one in measured if len(one) > 1]
        names = [key for key in scored[0] if key != 'areas'] if scored else []
        scores = {
            name: np.mean([one[name] for one in scored], axis=0, dtype=np.float64)
            for name in names
            if name != 'dice_levels'
        }
        if 'E_curve' in scores:
            # the mean curve first, then its maximum: the order of the published code
            curve = scores['E_curve']
            scores |= {'E': curve.mean(), 'E_max': curve.max()}
        if 'dice_levels' in names:
            scores |= _overlap_curves([one['dice_levels'] for one in scored])
        for name in ('IoU', 'Dice'):
            if f'{name}_image' in scores:
                scores[f'{name}_set'] = overlap(name, *areas[:, 1])
        columns = {
            key: float(scores[key] * (1 if key in _FRACTIONS else 100)) if key in scores else None
            for key in self.columns[:-2]
        }
        return columns | area_scores(areas, self.dataset_meta['classes'])


def _overlap_curves(levels: Sequence[np.ndarray]) -> dict[str, float]:
    """Returns mean and maximum of the mean curves, of the (256,) Dice scores of each image."""
    dice = np.stack(levels).astype(np.float64)
    curves = {'Dice': dice.mean(0), 'IoU': (dice / (2 - dice)).mean(0)}
    return {
        f'{name}_{kind}': score
        for name, curve in curves.items()
        for kind, score in (('curve', curve.mean()), ('max', curve.max()))
    }
