"""Two domains in one batch, images split over two processes: the report of a single process."""

import json
import subprocess
import sys

from tests.evaluation.two_processes import evaluate
from tests.paths import REPO

SCRIPT = """
import json, sys, torch
sys.path.insert(0, {repo!r})
torch.distributed.init_process_group(
    'gloo', init_method='file://{folder}/meet', rank={rank}, world_size=2)
from tests.evaluation.two_processes import evaluate
report = evaluate()
if {rank} == 0:
    open('{folder}/report.json', 'w').write(json.dumps(report))
"""


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
    assert single['details']['clear']['first'] == '0.png'
    assert sum(map(sum, single['details']['fog']['confusion'])) > 0
    assert json.loads((tmp_path / 'report.json').read_text()) == single
