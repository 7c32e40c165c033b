"""Results and report of a small run, made by hand."""

import base64

PICTURE = 'data:image/png;base64,' + base64.b64encode(b'not a picture').decode()


def results(**changes):
    domains = {
        'day': dict(images=4, mIoU=60.0, aAcc=80.0, IoU={'road': 80.0, 'car': 40.0, 'sky': None}),
        'fog': dict(images=2, mIoU=50.0, aAcc=70.0, IoU={'road': 60.0, 'car': 40.0, 'sky': None}),
        'rain': dict(images=2, mIoU=30.0, aAcc=60.0, IoU={'road': 40.0, 'car': 20.0, 'sky': None}),
    }
    return {
        'config': 'mine.py',
        'command': 'rein-seg train mine.py',
        'benchmark': 'toy',
        'protocol': 'toy-1',
        'changed': [],
        'source': 'day',
        'targets': ['fog', 'rain'],
        'domains': domains,
        'mean_over_targets': {'mIoU': 40.0, 'aAcc': 65.0},
        'method': {'type': 'LoRA'},
        'encoder': {'name': 'TinyViT'},
        'parameters': dict(method=100, neck_and_head=20, trainable=120, frozen=5000),
        'seconds': {'total': 90.0, 'per_iteration': 0.25},
        'peak_memory_mib': 812.3,
        'adapter': {'bytes': 4000},
        'environment': {'processor': 'x', 'threads': 2, 'gpu': None, 'packages': {'torch': '2'}},
        'seed': 1,
        'iterations': 40,
        **changes,
    }


def report(names=('day', 'fog', 'rain'), classes=('road', 'car', 'sky'), **changes):
    size = len(classes)
    matrix = [[90 if i == j else 5 for j in range(size)] for i in range(size)]
    top = [dict(label=1, pred=0, pixels=5, share=0.05)]
    bins = [0] * 15
    picture = dict(kind='worst', name='a.png', score=10.0, size=[8, 4])
    domain = {
        'confusion': matrix,
        'top_confusions': top,
        'calibration': {
            'pixels': [*bins[:14], 100],
            'right': [*bins[:14], 90],
            'confidence': [*bins[:14], 97.0],
            'error': 7.0,
        },
        'image_scores': [10.0, 20.0, 30.0, 40.0, 50.0],
        'pictures': [picture | dict.fromkeys(('image', 'truth', 'prediction', 'errors'), PICTURE)],
    }
    return {
        'format': 'rein_seg-report/1',
        'image_score': 'mIoU of the labelled classes',
        'classes': list(classes),
        'palette': [[i, 2 * i, 3 * i] for i in range(size)],
        'domains': dict.fromkeys(names, domain),
        'over_targets': dict(confusion=matrix, top_confusions=top),
        'curves': {
            'train': {
                'lr': [(10, 0.1), (20, 0.05)],
                'loss': [(10, 2.0), (20, 1.0)],
                'decode.loss_ce': [(10, 2.0), (20, 1.0)],
                'grad_norm': [(10, 4.0), (20, 3.0)],
            },
            'validation': {'day/mIoU': [(20, 60.0)], 'mean/mIoU': [(20, 40.0)]},
        },
        **changes,
    }
