"""A comparison that trains: two methods, two seeds, one of the runs interrupted before."""

import json

import pytest

from rein_seg.apis import load_config, train
from rein_seg.compare import compare
from rein_seg.compare.plan import plan_variants
from rein_seg.compare.state import begin_session, code_fingerprint, run_request
from tests.compare.made import data_of
from tests.run.tiny_run import CACHE_KEY, write_config

PEFT = ['LoRA', 'Frozen']


def train_here(folder, work_dir, **train_cfg):
    """Trains LoRA with seed 1 in this process."""
    cfg = load_config(
        str(folder / 'work/LoRA/LoRA.py'),
        work_dir=str(work_dir),
        cfg_options={'randomness.seed': 1, **train_cfg},
    )
    cfg.experiment_name = f'compare{next(CACHE_KEY)}'
    return train(cfg)


@pytest.mark.slow
def test_two_methods_two_seeds(tmp_path):
    config, work = write_config(tmp_path), tmp_path / 'work'
    lora = plan_variants([config], peft=PEFT)[0]
    lora.write(work)
    straight = train_here(tmp_path, tmp_path / 'straight')
    # what a killed run leaves: checkpoints, no results
    run = work / 'LoRA/seed_1'
    begin_session(run, run_request(lora.with_seed(1)), code_fingerprint(), resumed=False, jobs=1)
    train_here(tmp_path, run, **{'train_cfg.max_iters': 4, 'train_cfg.val_interval': 4})
    (run / 'results.json').unlink()

    said = []
    options = dict(peft=PEFT, seeds=[0, 1], work_dir=str(work), say=said.append)
    found = compare([config], **options)
    assert '0 of 4 runs are finished, 1 go on' in said[0]
    assert [entry['state'] for entry in found['runs']] == ['finished'] * 4
    lora, frozen = found['variants']
    assert lora['finished'] == frozen['finished'] == 2
    assert lora['parameters']['method'] > frozen['parameters']['method'] == 0
    assert lora['scores']['mIoU']['mean_over_targets']['n'] == 2
    assert lora['scores']['mIoU']['mean_over_targets']['std'] > 0
    assert all(v['costs'][key]['mean'] > 0 for v in (lora, frozen) for key in v['costs'])
    assert lora['inference_size'] == [32, 64]
    assert data_of((work / 'comparison.html').read_text()) == json.loads(json.dumps(found))
    assert found['command'].endswith('--peft LoRA Frozen --seeds 0 1')
    entry = found['runs'][1]
    assert (entry['variant'], entry['seed'], entry['sessions']) == ('LoRA', 1, 2)
    results = json.loads((work / entry['results']).read_text())
    assert results['seed'] == 1
    assert results['method']['type'] == 'LoRA'
    assert entry['scores']['mIoU']['source'] == results['domains']['clear']['mIoU']
    assert results['parameters_sha256'] == straight['parameters_sha256']
    # the same again: nothing runs, nothing changes
    again = compare([config], **options, train=['none'])
    assert again == found
