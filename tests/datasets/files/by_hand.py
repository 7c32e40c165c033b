"""A prediction whose scores on the trees of files are computed by hand."""

import torch
from mmengine.structures import PixelData
from torch.utils.data import DataLoader

from rein_seg.datasets import CityscapesSpaceDataset
from rein_seg.evaluation import DomainIoUMetric

CLASSES = CityscapesSpaceDataset.METAINFO['classes']
ROAD, CAR = CLASSES.index('road'), CLASSES.index('car')
# of 6 columns the labels have 3 road, 2 car, 1 void
PREDICTED = torch.tensor([ROAD, ROAD, ROAD, ROAD, CAR, CAR]).expand(1, 4, 6)


def score(dataset, num_workers=0, predicted=PREDICTED):
    metric = DomainIoUMetric(targets=['d'], protocol='by hand')
    metric.dataset_meta = dataset.metainfo
    for batch in DataLoader(dataset, num_workers=num_workers, collate_fn=list):
        for item in batch:
            sample = item['data_samples']
            sample.pred_sem_seg = PixelData(data=predicted)
            metric.process(None, [sample.to_dict()])
    metric.compute_metrics(metric.results)
    return metric.report['domains']['d']


def check_by_hand(scores, images):
    # road: 3 columns right, 1 of car; car: 1 right of 2; void counts nowhere
    found = {name: value for name, value in scores['IoU'].items() if value is not None}
    assert found == {'road': 75.0, 'car': 50.0}
    assert (scores['images'], scores['mIoU'], scores['aAcc']) == (images, 62.5, 80.0)
