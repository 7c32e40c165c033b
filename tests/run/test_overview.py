"""The picture of a run: colours of a model of the seen classes alone."""

from types import SimpleNamespace

import cv2
import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from rein_seg.run.overview import draw_overview

PALETTE = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


class Data:
    """One image of 64 x 64 pixels, all of the third class."""

    metainfo = dict(classes=('road', 'sea', 'sky'), palette=PALETTE)

    def __init__(self, path):
        cv2.imwrite(path, np.zeros((64, 64, 3), np.uint8))
        self.path = path

    def get_data_info(self, index):
        return dict(img_path=self.path)

    def __getitem__(self, index):
        return dict(inputs=None, data_samples=None)


def predicted(batch):
    sample = SegDataSample(metainfo=dict(domain='day'))
    sample.gt_sem_seg = PixelData(data=torch.full((1, 64, 64), 2))
    sample.pred_sem_seg = PixelData(data=torch.ones(1, 64, 64, dtype=torch.long))
    return [sample]


def test_channels_have_the_colours_of_their_classes(tmp_path):
    model = SimpleNamespace(eval=lambda: None, test_step=predicted)
    data = Data(str(tmp_path / 'image.png'))
    draw_overview(tmp_path / 'run.png', model, data, {}, channels=(0, 2))
    found = cv2.imread(str(tmp_path / 'run.png'))[..., ::-1].reshape(-1, 3)
    blue, green = ((found == colour).all(1).sum() for colour in (PALETTE[2], PALETTE[1]))
    # truth and prediction are blue; green is in the legend alone
    assert blue > 50 * green > 0
