"""Two domains in one batch, images split over two processes: the report of a single process."""

import json
import subprocess
import sys

import torch
from mmengine.dataset import DefaultSampler

from rein_seg.evaluation import DomainIoUMetric
from tests.paths import REPO

IMAGES, CLASSES = 7, ('road', 'car', 'sky')
DOMAINS = ('clear', 'night', 'fog')

SCRIPT = """
import json, sys, torch
sys.path.insert(0, {repo!r})
torch.distributed.init_process_group(
    'gloo', init_method='file://{folder}/meet', rank={rank}, world_size=2)
from tests.evaluation.test_two_processes import evaluate
report = evaluate()
if {rank} == 0:
    open('{folder}/report.json', 'w').write(json.dumps(report))
"""


def sample(index):
    """Returns prediction and label of an image, of a size of its own, with ignored pixels."""
    generator = torch.Generator().manual_seed(index)
    size = (1, 5 + index, 6)
    label = torch.randint(0, 4, size, generator=generator)
    return dict(
        domain=DOMAINS[index % 3],
        img_path=f'{index}.png',
        gt_sem_seg=dict(data=torch.where(label == 3, 255, label)),
        pred_sem_seg=dict(data=torch.randint(0, 3, size, generator=generator)),
    )


def evaluate():
    """Returns the report of the images of all processes, in batches of three."""
    metric = DomainIoUMetric(source='clear', targets=['night', 'fog'], protocol='toy')
    metric.dataset_meta = dict(classes=CLASSES)
    mine = list(DefaultSampler(range(IMAGES), shuffle=False))
    for start in range(0, len(mine), 3):
        batch = [sample(index) for index in mine[start : start + 3]]
        assert start or len({one['domain'] for one in batch}) == 3
        metric.process(None, batch)
    metric.evaluate(IMAGES)
    return metric.report


def test_report_of_two_processes_is_that_of_one(tmp_path):
    scripts = [SCRIPT.format(repo=str(REPO), folder=tmp_path, rank=rank) for rank in (0, 1)]
    runs = [
        subprocess.Popen([sys.executable, '-c', script], stderr=subprocess.PIPE, text=True)
        for script in scripts
    ]
    errors = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    single = evaluate()
    assert [domain['images'] for domain in single['domains'].values()] == [3, 2, 2]
    assert json.loads((tmp_path / 'report.json').read_text()) == single
