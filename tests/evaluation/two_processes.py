"""Metrics over the images of all processes."""

import torch
from mmengine.dataset import DefaultSampler

from rein_seg.evaluation import DomainIoUMetric, RecallAtK, SeenUnseenIoU, VolumeSegMetric

IMAGES, CLASSES = 7, ('road', 'car', 'sky')
DOMAINS = ('clear', 'night', 'fog')


def sample(index):
    """Returns prediction and label of an image, of a size of its own, with ignored pixels."""
    generator = torch.Generator().manual_seed(index)
    size = (1, 5 + index, 6)
    label = torch.randint(0, 4, size, generator=generator)
    # halves are exact, so sums do not depend on their order
    confidence = torch.randint(1, 3, size, generator=generator) / 2
    return dict(
        confidence=dict(data=confidence),
        domain=DOMAINS[index % 3],
        img_path=f'{index}.png',
        gt_sem_seg=dict(data=torch.where(label == 3, 255, label)),
        pred_sem_seg=dict(data=torch.randint(0, 3, size, generator=generator)),
    )


def evaluate():
    """Returns report and details of the images of all processes, in batches of three."""
    metric = DomainIoUMetric(source='clear', targets=['night', 'fog'], protocol='toy')
    metric.dataset_meta = dict(classes=CLASSES)
    mine = list(DefaultSampler(range(IMAGES), shuffle=False))
    for start in range(0, len(mine), 3):
        batch = [sample(index) for index in mine[start : start + 3]]
        assert start or len({one['domain'] for one in batch}) == 3
        metric.process(None, batch)
    metric.evaluate(IMAGES)
    details = {
        name: {
            'confusion': found.confusion.tolist(),
            'bins': found.bins.tolist(),
            'scores': found.scores,
            **{kind: [one.path for one in getattr(found, kind)] for kind in ('worst', 'best')},
            'first': found.first.path,
        }
        for name, found in metric.details.items()
    }
    return {**metric.report, 'details': details}


def evaluate_unseen():
    """Returns the report of seen and unseen classes, of the images of all processes."""
    metric = SeenUnseenIoU(unseen=['sky'], source='clear', targets=['night', 'fog'])
    metric.dataset_meta = dict(classes=CLASSES)
    for index in DefaultSampler(range(IMAGES), shuffle=False):
        metric.process(None, [sample(index)])
    metric.evaluate(IMAGES)
    return metric.report


def volume_slice(index):
    """Returns a slice of one of three volumes of five; the second volume is of another domain."""
    generator = torch.Generator().manual_seed(index)
    label = torch.randint(0, 4, (1, 8, 9), generator=generator)
    noise = torch.rand((1, 8, 9), generator=generator) < 0.3
    case, place = divmod(index, 5)
    return dict(
        domain='clear' if case == 1 else 'night',
        img_path=f'{index}.png',
        case=f'case {case}',
        slice=place,
        slices=5,
        gt_sem_seg=dict(data=torch.where(label == 3, 255, label)),
        pred_sem_seg=dict(data=torch.where(noise, 0, label % 3)),
    )


def evaluate_volumes(order=range(15), **options):
    """Returns the report of the slices of all processes."""
    metric = VolumeSegMetric(source='clear', targets=['night'], protocol='toy', **options)
    metric.dataset_meta = dict(classes=CLASSES)
    for place in DefaultSampler(range(15), shuffle=False):
        metric.process(None, [volume_slice(list(order)[place])])
    metric.evaluate(15)
    return metric.report


def evaluate_recall():
    """Returns the report of embeddings with many ties, of the images of all processes."""
    metric = RecallAtK(ks=(1, 2, 4), source='clear', targets=['night', 'fog'])
    for index in DefaultSampler(range(61), shuffle=False):
        generator = torch.Generator().manual_seed(index)
        embedding = torch.randint(-1, 2, (3,), generator=generator).float()
        label = torch.randint(0, 5, (1,), generator=generator)
        domain = DOMAINS[index % 3]
        metric.process(None, [dict(domain=domain, gt_label=label, embedding=embedding)])
    metric.evaluate(61)
    return metric.report
