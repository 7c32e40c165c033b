"""Predictions painted over the images of a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import torch
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.registry import HOOKS

from rein_seg.datasets.files.band_pictures import picture_of
from rein_seg.datasets.unseen import channel_classes


@HOOKS.register_module()
class ShowPredictionsHook(SegVisualizationHook):
    """mmseg's hook for a test, but it reads images as the data set does.

    So it paints over images in zips, of more than 8 bits, and turned by EXIF data, too; an image
    that is scored in another size is resized to that.

    Args:
        **kwargs: As mmseg's `SegVisualizationHook`.
    """

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any, outputs: Sequence[Any]
    ) -> None:
        """Paints the predictions of a batch."""
        for sample in outputs if self.draw else ():
            self._test_index += 1
            about = sample.metainfo
            image = picture_of(sample.img_path, about)
            with self._of_task(about.get('task')) as meta:
                channels = channel_classes(meta['classes'], runner.cfg.get('benchmark'))
                height, width = sample.pred_sem_seg.shape[-2:]
                if image.shape[:2] != (height, width):
                    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
                same = len(channels) == len(meta['classes'])
                name = '_'.join(
                    filter(None, ('test', about.get('task'), Path(sample.img_path).name))
                )
                self._visualizer.add_datasample(
                    name,
                    image,
                    data_sample=sample if same else _mapped(sample, channels),
                    show=self.show,
                    wait_time=self.wait_time,
                    step=self._test_index,
                )

    @contextmanager
    def _of_task(self, task: str | None) -> Iterator[dict[str, Any]]:
        """Gives the visualizer classes and colours of a task, where there are several."""
        whole = self._visualizer.dataset_meta
        self._visualizer.dataset_meta = (whole.get('tasks') or {}).get(task, whole)
        try:
            yield self._visualizer.dataset_meta
        finally:
            self._visualizer.dataset_meta = whole


def _mapped(sample: Any, channels: Sequence[int]) -> Any:
    """Returns a copy of a sample whose prediction has the class indexes of the data set."""
    pred, copy = sample.pred_sem_seg, sample.clone()
    copy.pred_sem_seg = type(pred)(data=torch.tensor(channels, device=pred.data.device)[pred.data])
    return copy
