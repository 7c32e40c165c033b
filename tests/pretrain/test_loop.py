import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from rein_seg.encoders import build_encoder
from rein_seg.errors import UserError
from rein_seg.pretrain.run import pretrain
from tests.paths import REPO

RUN = dict(budget='smoke', device='cpu', workers=0, size=(64, 32))


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return pretrain(tmp_path_factory.mktemp('whole'), **RUN)


def test_the_weights_file_is_small_half_precision_and_loads(whole):
    tensors = load_file(whole['weights'])
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    assert Path(whole['weights']).stat().st_size < 8e6
    encoder, info = build_encoder(
        dict(type='TinyViT', img_size=(32, 64), checkpoint=whole['weights'])
    )
    assert info.weights.startswith('sha256:') and not encoder.training
    assert sum(p.numel() for p in encoder.parameters()) < 4e6
    with safe_open(whole['weights'], 'pt') as file:
        assert '"steps": 6' in file.metadata()['pretraining']


def test_a_run_is_the_same_again(whole, tmp_path):
    assert pretrain(tmp_path, **RUN)['sha256'] == whole['sha256']


def test_a_killed_run_goes_on_to_the_same_weights(whole, tmp_path):
    """SIGKILL after the first checkpoint; then --resume gives what one run gives."""
    code = (
        'import rein_seg.pretrain.loop as loop, time\n'
        'from rein_seg.pretrain.run import pretrain\n'
        'step = loop.Pretraining.step\n'
        'def slow(self, batch):\n'
        '    time.sleep(1.0 if self.done > 2 else 0)\n'
        '    return step(self, batch)\n'
        'loop.Pretraining.step = slow\n'
        f'pretrain({str(tmp_path)!r}, **{RUN!r})\n'
    )
    env = {**os.environ, 'PYTHONPATH': str(REPO)}
    process = subprocess.Popen([sys.executable, '-c', code], env=env, cwd=REPO)
    while not (tmp_path / 'last.pth').exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / 'tiny_vit.safetensors').exists()
    with pytest.raises(UserError, match='--resume'):
        pretrain(tmp_path, **RUN)
    with pytest.raises(UserError, match='lr was 0.004 and is 0.1'):
        pretrain(tmp_path, **RUN, resume=True, lr=0.1)
    made = pretrain(tmp_path, **RUN, resume=True)
    assert made['sha256'] == whole['sha256'] and made['loss'] == whole['loss']
    # once more changes nothing
    assert pretrain(tmp_path, **RUN, resume=True)['sha256'] == whole['sha256']
