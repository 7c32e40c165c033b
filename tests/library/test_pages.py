"""The code of the README and of the guide runs as it stands."""

import re

import pytest

from tests.docs.tutorial import FENCE
from tests.paths import REPO

GUIDE = REPO / 'docs/guides/library.md'


def python_blocks(text):
    return [code for _, language, _, code in FENCE.findall(text) if language == 'python']


def readme_loop():
    text = (REPO / 'README.md').read_text()
    section = text.partition('## On your own module')[2].partition('\n## ')[0]
    (loop,) = python_blocks(section)
    return loop


OTHERS = {
    'timm ViT': ('', ''),
    'torchvision ResNet': (
        'import torchvision\nmodel = torchvision.models.resnet18(num_classes=10)',
        'fc',
    ),
    'timm ResNet': ("model = timm.create_model('resnet18', num_classes=10)", 'fc'),
    'transformers DINOv2': (
        'from transformers import Dinov2Config, Dinov2Model\n'
        'sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2)\n'
        'model = torch.nn.Sequential(\n'
        '    Dinov2Model(Dinov2Config(**sizes)), Pooled(), torch.nn.Linear(32, 10))',
        '2',
    ),
}
POOLED = """
import torch

class Pooled(torch.nn.Module):
    def forward(self, output):
        return output.pooler_output

"""


@pytest.mark.parametrize('name', OTHERS)
def test_the_loop_of_the_readme_trains(name, tmp_path, monkeypatch, capsys):
    loop = readme_loop()
    assert len([line for line in loop.splitlines() if line.strip()]) == 15
    model, head = OTHERS[name]
    if model:
        loop = re.sub(r'^model = .*$', lambda _: model, loop, flags=re.M)
        loop = POOLED + loop.replace("trainable='head'", f'trainable={head!r}')
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(loop, names)
    assert 'trainable params: ' in capsys.readouterr().out
    assert names['loss'].isfinite()
    assert all(p.grad.isfinite().all() for p in names['attached'].trainable_parameters())
    assert (tmp_path / 'lora.safetensors').stat().st_size > 10_000


def test_the_blocks_of_the_guide_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {'__name__': 'guide'}
    for block in python_blocks(GUIDE.read_text()):
        exec(block, names)
    printed = capsys.readouterr().out
    assert 'torch.Size([1, 3, 64, 64])' in printed
    assert 'torch.Size([2, 60, 100])' in printed
    assert "('road', 'sky', 'other')" in printed
