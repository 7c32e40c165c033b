"""The base of metrics of label maps by domain."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import dist

from rein_seg.checkpoint import write_png
from rein_seg.errors import UserError
from rein_seg.evaluation.by_domain import ScoresByDomain
from rein_seg.evaluation.confusion import confusion_matrix
from rein_seg.evaluation.details import Details, DomainDetails, image_iou


class DomainMetric(ScoresByDomain):
    """Computes scores of label maps for each domain, then their mean over the target domains.

    A subclass measures each image (`measure`), summarises the measurements of a domain in scores
    (`summarise`), and names the scores that are averaged and printed (``columns``).

    Args:
        ignore_index: Label of pixels that are not counted.
        output_dir: Folder for predictions, ``DOMAIN/NAME.png`` with class indexes; None writes no
            files.
        **kwargs: As `ScoresByDomain`: source, targets, protocol, changed.

    Attributes:
        image_score_name: Name of `image_score`, for readers.
        details: Facts about each domain beside its scores, after `evaluate` (main process); empty
            where the data set names no classes.

    Raises:
        UserError: If a sample has no domain, a named target got no sample, or a map and its label
            differ in size.

    Example:
        >>> import torch
        >>> from rein_seg.evaluation import DomainMetric
        >>> class Accuracy(DomainMetric):
        ...     columns = ('accuracy',)
        ...     def measure(self, sample, label):
        ...         return float((sample['pred_sem_seg']['data'][0].numpy() == label).mean())
        ...     def summarise(self, measured):
        ...         return {'accuracy': 100 * sum(measured) / len(measured)}
        >>> metric, label = Accuracy(source='gta'), torch.tensor([[[0, 1]]])
        >>> for domain, predicted in [('gta', [0, 1]), ('acdc', [0, 0])]:
        ...     maps = dict(pred_sem_seg=dict(data=torch.tensor([[predicted]])))
        ...     metric.process(None, [dict(domain=domain, gt_sem_seg=dict(data=label), **maps)])
        >>> metric.results
        [('gta', 1.0), ('acdc', 0.5)]
        >>> metric.summarise([0.5])
        {'accuracy': 50.0}
    """

    task = 'pixels'
    image_score_name = 'mIoU of the labelled classes'

    def __init__(
        self,
        *,
        ignore_index: int = 255,
        output_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ignore_index = ignore_index
        self.output_dir = output_dir
        self._written: dict[str, str] = {}
        self.details: dict[str, DomainDetails] = {}
        self._collected = Details()
        self._counted: tuple[Any, np.ndarray] = (None, np.empty(0))

    @abstractmethod
    def measure(self, sample: Mapping[str, Any], label: np.ndarray) -> Any:
        """Returns the statistics of an image. Keep them small: they are gathered from all ranks.

        Args:
            sample: With ``pred_sem_seg`` and the other maps that the model keeps; see `read_map`.
            label: (H, W) class indexes and ignore_index.
        """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Measures a batch. Its samples may belong to different domains."""
        for sample in data_samples:
            if self.of_task is not None and sample.get('task') != self.of_task:
                self.results.append(None)  # keeps the order of all ranks' samples
                self._collected.leave_out()
                continue
            if 'domain' not in sample:
                raise UserError(
                    f'sample {sample.get("img_path")!r} carries no domain: end the test pipeline '
                    'with PackDomainInputs and use a DomainDataset'
                )
            label = sample['gt_sem_seg']['data'].squeeze(0).cpu().numpy()
            self.results.append((sample['domain'], self.measure(sample, label)))
            self._collect(sample, label)
            if self.output_dir is not None:
                pred = self.class_map(sample, label.shape).astype(np.uint8)
                write_png(self._output_path(sample), pred)

    def _collect(self, sample: Mapping[str, Any], label: np.ndarray) -> None:
        if self._classes() and 'pred_sem_seg' in sample:
            matrix = self.confusion(sample, label)
            pred = self.predicted(sample, label.shape)
            score = self.image_score(matrix)
            self._collected.add(sample, label, pred, matrix, score, self.ignore_index)
        self._counted = (None, np.empty(0))  # the maps of the sample are large

    def predicted(self, sample: Mapping[str, Any], size: tuple[int, ...]) -> np.ndarray:
        """Returns the (H, W) predicted class indexes of an image.

        Args:
            sample: With ``pred_sem_seg``.
            size: (H, W) of the label.
        """
        return self.class_map(sample, size)

    def class_map(self, sample: Mapping[str, Any], size: tuple[int, ...]) -> np.ndarray:
        """Returns the (H, W) class indexes of the model, as ``output_dir`` gets them.

        Args:
            sample: With ``pred_sem_seg``.
            size: (H, W) of the label.
        """
        return read_map(sample, 'pred_sem_seg', size)

    def confusion(self, sample: Mapping[str, Any], label: np.ndarray) -> np.ndarray:
        """Returns the `confusion_matrix` of an image; counted once for all that read it."""
        if self._counted[0] is not sample:
            pred = self.predicted(sample, label.shape)
            matrix = confusion_matrix(pred, label, len(self._classes()), self.ignore_index)
            self._counted = (sample, matrix)
        return self._counted[1]

    def image_score(self, matrix: np.ndarray) -> float | None:
        """Returns the score in % by which the worst and the best images of a domain are chosen.

        Args:
            matrix: Confusion matrix of an image.
        """
        return image_iou(matrix, len(self._classes()))

    def _output_path(self, sample: dict) -> Path:
        """Returns DOMAIN/NAME.png; names that are taken get the image's folders in front."""
        image = Path(sample['img_path'])
        folder = Path(self.output_dir or '.') / sample['domain']
        for name in output_names(image):
            path = folder / f'{name}.png'
            if self._written.setdefault(str(path), str(image)) == str(image):
                return path
        raise UserError(
            f'{str(image)!r} and {self._written[str(path)]!r} would both be written as '
            f'{str(path)!r}: rename one of them'
        )

    def evaluate(self, size: int) -> dict:
        """Returns the metrics of all ranks; see mmengine's `BaseMetric.evaluate`."""
        known: dict[str, str] = {}
        for written in dist.all_gather_object(self._written):
            for path, image in written.items():
                if known.setdefault(path, image) != image:
                    raise UserError(
                        f'two processes wrote the predictions of {known[path]!r} and {image!r} as '
                        f'{path!r}: test in one process, which gives each a name, or rename one'
                    )
        self.details = self._collected.gather(size, len(self._classes()), self.collect_device)
        return super().evaluate(size)


def output_names(image: Path) -> Iterator[str]:
    """Yields names for the prediction of an image: its own, then with more and more of its folders.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.evaluation.domain_metric import output_names
        >>> list(output_names(Path('data/day/a.png')))
        ['a', 'day_a', 'data_day_a']
    """
    parts = [part for part in image.parts[:-1] if part != image.anchor]
    for start in range(len(parts), -1, -1):
        yield '_'.join([*parts[start:], image.stem])


def read_map(sample: Mapping[str, Any], key: str, size: tuple[int, ...]) -> np.ndarray:
    """Returns the (H, W) map that a sample carries as (1, H, W).

    Args:
        sample: A data sample as a dict.
        key: Name of the map, such as ``pred_sem_seg``.
        size: (H, W) of the label.

    Raises:
        UserError: If the map has another size than the label.

    Example:
        >>> import torch
        >>> from rein_seg.evaluation.domain_metric import read_map
        >>> read_map(dict(pred_sem_seg=dict(data=torch.ones(1, 2, 2))), 'pred_sem_seg', (2, 2))
        array([[1., 1.],
               [1., 1.]], dtype=float32)
    """
    values = sample[key]['data'].squeeze(0)
    if tuple(values.shape) != size:
        what = 'prediction' if key == 'pred_sem_seg' else key
        raise UserError(
            f'sample {sample.get("img_path")!r}: the {what} is {tuple(values.shape)}, its label '
            f'{size} (height, width): load labels after the resize'
        )
    # NumPy has no bfloat16
    return (values.float() if values.is_floating_point() else values).cpu().numpy()
