"""A run in two stages with prompts of an earlier run: its files, its test, an adapter alone."""

import numpy as np
import pytest
import torch

import rein_seg
from rein_seg.apis import init_model, predict, train
from rein_seg.apis import test as run_test
from rein_seg.checkpoint import read_adapter
from rein_seg.checkpoint.adapter import write_adapter
from rein_seg.errors import UserError
from rein_seg.export.merge import merge
from rein_seg.text import PrefixDot
from tests.inference.tiny_adapter import pixels
from tests.run.tiny_run import tiny_config
from tests.run.words import extra, write_towers

pytestmark = pytest.mark.usefixtures('quick')
STAGES = """
model['type'] = 'TwoStageSegmentor'
model['decode_head'] = dict(
    _delete_=True, type='MaskFormerHead', embed_dims=16, mask_dims=8, embed_hidden_dims=16,
    num_queries=5, num_layers=1, num_heads=2, feedforward_channels=16, norm_groups=4)
model['regions'] = dict(type='RegionCLIP', size=32, text=dict(
    type='PrefixDot', num_prefix=2, prompts={prompts!r}))
"""
TABLE = dict(type='ClassTable')


def write_prompts(path, towers):
    """Writes an adapter with learned prompts for the text tower of a file."""
    prompt = PrefixDot(['road', 'car'], num_prefix=2, tower=dict(checkpoint=towers))
    tensors = {f'text.{name}': x for name, x in prompt.state_dict().items()}
    about = dict(method={'type': 'Frozen'}, encoder=dict(weights='a', config=dict(type='b')))
    identity = {**prompt.identity, 'open_vocabulary': True}
    write_adapter(path, tensors, {**about, 'num_classes': 2, 'text': identity})
    return str(path)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two_stages')
    towers = write_towers(folder / 'towers.safetensors')
    prompts = write_prompts(folder / 'stage0.safetensors', towers)
    cfg = tiny_config(folder, extra=extra(towers, TABLE) + STAGES.format(prompts=prompts))
    train(cfg)
    return cfg, folder / 'run/adapter.safetensors'


def test_the_adapter_holds_head_method_and_prompts_and_no_tower(finished):
    cfg, file = finished
    adapter = read_adapter(file)
    assert {name.split('.')[0] for name in adapter.tensors} == {
        'backbone',
        'regions',
        'decode_head',
    }
    own = [name for name in adapter.tensors if name.startswith('regions.')]
    assert own == ['regions.words.prefix_prompt']
    about = adapter.metadata['regions']
    assert about['encoder'] == adapter.metadata['encoder']
    assert about['text']['prompts'].startswith('sha256:')


def test_the_weight_is_a_choice_of_the_test(finished, tmp_path):
    cfg, file = finished
    model = init_model(cfg, str(file), device='cpu')
    image = torch.randn(1, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first = model.whole_inference(image)
        model.ensemble_weight = 0.1
        assert not torch.allclose(model.whole_inference(image), first)
    results = run_test(cfg, str(file), out=str(tmp_path / 'results.json'))
    assert 0 <= results['mean_over_targets']['mIoU'] <= 100


def test_an_adapter_alone_predicts_other_classes(finished, tmp_path):
    cfg, file = finished
    expected = predict(init_model(cfg, str(file), device='cpu'), pixels(64, 128))
    towers = cfg.model.backbone.encoder.checkpoint
    alone = write_moved(file, tmp_path / 'adapter.safetensors', str(tmp_path / 'none'))
    predictor = rein_seg.load(alone, device='cpu', encoder_weights=towers)
    image = pixels(64, 128)[..., ::-1]  # RGB
    assert np.array_equal(predictor.predict(image).map, expected)
    other = predictor.with_classes(['road', 'pond', 'sky'])
    assert set(np.unique(other.predict(image).map)) <= {0, 1, 2}
    assert np.array_equal(predictor.predict(image).map, expected)


def write_moved(source, target, stage0):
    """Copies an adapter whose config names a file of stage 0 that is not there."""
    adapter = read_adapter(source)
    skipped = ('format', 'version', 'sha256', 'metadata_sha256')
    about = {name: x for name, x in adapter.metadata.items() if name not in skipped}
    start = about['config'].index('prompts=') + len('prompts=')
    end = about['config'].index("'", start + 1) + 1
    about['config'] = f'{about["config"][:start]}{stage0!r}{about["config"][end:]}'
    write_adapter(target, adapter.tensors, about)
    return target


def test_a_tower_shared_with_the_backbone_is_not_merged(finished, tmp_path):
    cfg, file = finished
    with pytest.raises(UserError, match='model.regions shares'):
        merge(cfg, str(file), str(tmp_path / 'merged.safetensors'))
