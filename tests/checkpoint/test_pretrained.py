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


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: w.fill_(float('nan')), "tensor 'layer1.0.conv1.weight' holds NaN"),
        (lambda w: w[1:], 'Wrong shape: layer1.0.conv1.weight is'),
        (lambda w: w.long(), 'Wrong type: layer1.0.conv1.weight is int64'),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, change, message):
    """mmengine itself only warns, and trains on from random weights."""
    state = {name: t.clone() for name, t in MODELS.build(RESNET).state_dict().items()}
    state['layer1.0.conv1.weight'] = change(state['layer1.0.conv1.weight'])
    torch.save(dict(state_dict=state), tmp_path / 'w.pth')
    with pytest.raises(UserError, match=rf'w\.pth.*{message}'):
        model(tmp_path / 'w.pth')


def test_a_file_of_something_else_is_refused(tmp_path):
    torch.save(dict(state_dict={'a': torch.ones(1)}), tmp_path / 'w.pth')
    with pytest.raises(UserError, match=r"w\.pth' of init_cfg: no tensor has a name of ResNetV1c"):
        model(tmp_path / 'w.pth')
