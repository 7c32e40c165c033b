"""Weights that mmengine loads for a part of a model are read without running code."""

import os

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError

RESNET = dict(type='mmseg.ResNetV1c', depth=18, stem_channels=8, base_channels=8)


class Evil:
    def __reduce__(self):
        return os.system, ('touch EXECUTED',)


def model(path):
    built = MODELS.build(dict(**RESNET, init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    built.init_weights()
    return built


def test_weights_are_loaded(tmp_path):
    weights = MODELS.build(RESNET).state_dict()
    weights['layer1.0.conv1.weight'].fill_(0.5)
    torch.save(dict(state_dict=weights), tmp_path / 'w.pth')
    assert bool((model(tmp_path / 'w.pth').layer1[0].conv1.weight == 0.5).all())


def test_pickled_code_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=Evil()), 'w.pth')
    with pytest.raises(UserError, match=r'w\.pth.* is refused: .*system'):
        model('w.pth')
    assert not (tmp_path / 'EXECUTED').exists()


@pytest.mark.parametrize('scheme', ['https', 'http', 's3', 'open-mmlab', 'torchvision'])
def test_addresses_are_refused(scheme):
    with pytest.raises(UserError, match='an address, expected a file: download it'):
        model(f'{scheme}://somewhere/w.pth')
