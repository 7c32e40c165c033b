"""Two domains in one batch, images split over two processes: the report of a single process."""

import json
import subprocess
import sys

from tests.evaluation.two_processes import (
    evaluate,
    evaluate_recall,
    evaluate_unseen,
    evaluate_volumes,
)
from tests.paths import REPO

SCRIPT = """
import json, sys, torch
sys.path.insert(0, {repo!r})
torch.distributed.init_process_group(
    'gloo', init_method='file://{folder}/meet', rank={rank}, world_size=2)
from rein_seg.engine.ranks import leave
from tests.evaluation import two_processes
report = two_processes.{name}()
if {rank} == 0:
    with open('{folder}/report.json', 'w') as file:
        json.dump(report, file)
torch.distributed.barrier()  # a rank that left early would end the other's last exchange
leave(0)
"""


def report_of_two(tmp_path, name):
    scripts = [
        SCRIPT.format(repo=str(REPO), folder=tmp_path, rank=rank, name=name) for rank in (0, 1)
    ]
    runs = [
        subprocess.Popen([sys.executable, '-c', script], stderr=subprocess.PIPE, text=True)
        for script in scripts
    ]
    errors = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    return json.loads((tmp_path / 'report.json').read_text())


def test_report_of_two_processes_is_that_of_one(tmp_path):
    single = evaluate()
    assert [domain['images'] for domain in single['domains'].values()] == [3, 2, 2]
    assert single['details']['clear']['first'] == '0.png'
    assert sum(map(sum, single['details']['fog']['confusion'])) > 0
    assert report_of_two(tmp_path, 'evaluate') == single


def test_volumes_are_put_together_from_two_processes(tmp_path):
    single = evaluate_volumes()
    assert [domain['volumes'] for domain in single['domains'].values()] == [1, 2]
    assert report_of_two(tmp_path, 'evaluate_volumes') == json.loads(json.dumps(single))


def test_seen_and_unseen_classes_of_two_processes(tmp_path):
    single = json.loads(json.dumps(evaluate_unseen()))
    assert single['mean_over_targets']['hIoU'] > 0
    assert 0 < single['domains']['clear']['U'] < 100
    assert report_of_two(tmp_path, 'evaluate_unseen') == single


def test_recall_of_two_processes(tmp_path):
    single = json.loads(json.dumps(evaluate_recall()))
    assert 0 < single['domains']['fog']['R@1'] < single['domains']['fog']['R@4'] < 100
    assert report_of_two(tmp_path, 'evaluate_recall') == single
