"""Pictures of a test's predictions."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from mmseg.structures import SegDataSample

from rein_seg.engine import ShowPredictionsHook

CLASSES = ('road', 'sea', 'sky')


class Shown:
    """A visualizer that keeps the predictions it is to paint."""

    dataset_meta = dict(classes=CLASSES)

    def __init__(self):
        self.predictions = []

    def add_datasample(self, name, image, *, data_sample, **more):
        self.predictions.append(data_sample.pred_sem_seg.data[0].tolist())


@pytest.mark.parametrize(
    ('compact', 'painted'), [(True, [[0, 2]]), (False, [[0, 1]])], ids=['compact', 'all']
)
def test_channels_are_painted_as_the_classes_of_the_data(tmp_path, compact, painted):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((1, 2, 3), np.uint8))
    sample = SegDataSample(metainfo=dict(img_path=str(tmp_path / 'a.png')))
    sample.pred_sem_seg = PixelData(data=torch.tensor([[[0, 1]]]))
    Visualizer.get_instance('test_show')  # mmseg's hook takes the latest
    hook = ShowPredictionsHook(draw=True, interval=1)
    hook._visualizer = Shown()
    cfg = Config(dict(benchmark=dict(unseen=['sea'], compact=compact)))
    hook.after_test_iter(SimpleNamespace(cfg=cfg), 0, None, [sample])
    assert hook._visualizer.predictions == [painted]
    assert sample.pred_sem_seg.data.tolist() == [[[0, 1]]]  # the metric maps it itself
