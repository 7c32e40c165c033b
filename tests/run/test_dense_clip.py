"""A run of DenseCLIP: its files, its merge, an adapter alone, and what it refuses."""

import pytest

import rein_seg
from rein_seg.apis import init_model, predict, train
from rein_seg.checkpoint import read_adapter
from rein_seg.errors import UserError
from rein_seg.export.merge import merge
from tests.inference.tiny_adapter import pixels
from tests.run.tiny_run import tiny_config
from tests.run.words import extra, write_towers

pytestmark = pytest.mark.usefixtures('quick')
PARTS = """
model['neck'] = dict(
    type='PixelTextNeck', factors=(2, 1), out_channels=8,
    embed_dims=8, num_heads=2, num_layers=1)
model['decode_head'] = dict(_delete_=True, type='FPNHead', feature_strides=[4, 8], channels=8)
model['auxiliary_head'] = dict(type='IdentityHead')
"""
CONTEXT = dict(type='SharedContext', num_context=2)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('dense_clip')
    towers = write_towers(folder / 'towers.safetensors')
    cfg = tiny_config(folder, extra=extra(towers, CONTEXT) + PARTS)
    train(cfg)
    return cfg, folder / 'run/adapter.safetensors'


def test_the_file_holds_contexts_neck_and_head_and_no_tower(finished):
    _, file = finished
    tensors = read_adapter(file).tensors
    assert {name.split('.')[0] for name in tensors} == {'backbone', 'text', 'neck', 'decode_head'}
    assert [name for name in tensors if name.startswith('text.')] == ['text.contexts']
    assert all(n.startswith('backbone.peft.') for n in tensors if n.startswith('backbone.'))
    assert {'neck.gamma', 'neck.pyramid.levels.0.1.weight'} <= tensors.keys()
    assert (tensors['neck.gamma'] != 1e-4).any()  # trained


def test_an_adapter_predicts_the_classes_of_its_training_alone(finished):
    cfg, file = finished
    towers = cfg.model.backbone.encoder.checkpoint
    predictor = rein_seg.load(file, device='cpu', encoder_weights=towers)
    assert predictor.predict(pixels()).map.shape == pixels().shape[:2]
    with pytest.raises(UserError, match='the maps of PixelTextNeck have a channel for each class'):
        predictor.with_classes(['road', 'pond'])


def test_a_merged_file_makes_the_same_model(finished, tmp_path):
    cfg, file = finished
    before = predict(init_model(cfg, str(file), device='cpu'), pixels(64, 128))
    made = merge(cfg, str(file), str(tmp_path / 'merged.safetensors'))
    assert made.difference < 1e-5
    again = init_model(str(made.config), str(made.adapter), device='cpu')
    assert (predict(again, pixels(64, 128)) == before).mean() > 0.999
    assert not [name for name in read_adapter(made.adapter).tensors if 'peft' in name]
