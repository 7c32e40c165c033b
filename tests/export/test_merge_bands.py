"""Adapters of encoders with bands, merged: the file has the first layer of these bands."""

import json

import pytest
import torch
from mmpretrain.models.backbones import VisionTransformer
from mmseg.registry import MODELS
from safetensors import safe_open

from rein_seg.apis import load_config
from rein_seg.checkpoint import read_adapter, read_state_dict, save_adapter
from rein_seg.encoders import build_encoder
from rein_seg.encoders.bands import input_parameters
from rein_seg.errors import UserError
from rein_seg.export.merge import merge
from rein_seg.run.results import adapter_metadata
from tests.encoders.plain_vit.official import PLAIN, published
from tests.peft.build import move, relative

PACKAGE = dict(type='TinyViT', checkpoint='package:tiny_vit.safetensors')
SEEDED = dict(type='TinyViT', init_seed=0)


@pytest.fixture(autouse=True)
def _unformatted(monkeypatch):
    """Leaves out the formatting of configs, which takes seconds each."""
    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, False))


def image():
    return torch.randn(1, 5, 32, 64, generator=torch.Generator().manual_seed(5))


def prepare(folder, encoder, peft, **bands):
    """A config of five bands, its model and an adapter with trained-looking values."""
    if encoder == 'resampled':
        torch.save(published(PLAIN), folder / 'official.pth')
        encoder = dict(
            type='DINOv2', arch=PLAIN['arch'], img_size=(32, 64), patch_size=8,
            checkpoint=str(folder / 'official.pth'),
        )  # fmt: skip
    options = {
        'model.backbone.encoder': {'_delete_': True, 'bands': bands, **encoder},
        'model.backbone.peft': {'_delete_': True, **peft},
    }
    cfg = load_config('frozen_tiny_minibands', cfg_options=options, work_dir=str(folder / 'run'))
    model = MODELS.build(cfg.model).eval()
    move(model.backbone)
    if bands.get('train_input'):
        with torch.no_grad():
            for param in input_parameters(model.backbone.anatomy, model.data_preprocessor.names):
                param.add_(0.1 * torch.randn(param.shape))
    metadata = adapter_metadata(cfg, model, scores={}, config='')
    save_adapter(folder / 'adapter.safetensors', model, metadata)
    return cfg, model


@pytest.mark.parametrize(
    ('encoder', 'peft', 'layout', 'bands'),
    [
        (PACKAGE, dict(type='LoRA', rank=2), 'official', dict()),
        (PACKAGE, dict(type='BitFit'), 'official', dict(train_input=True)),
        ('resampled', dict(type='SSF'), 'official', dict(first_layer='average')),
        (PACKAGE, dict(type='Full'), 'mmpretrain', dict()),
        (SEEDED, dict(type='LoRA', rank=2), 'mmpretrain', dict(train_input=True)),
    ],
)
@torch.no_grad()
def test_the_merged_file_reloads_as_the_same_model(encoder, peft, layout, bands, tmp_path):
    cfg, model = prepare(tmp_path, encoder, peft, **bands)
    features = model.backbone(image()).maps
    merged = merge(cfg, str(tmp_path / 'adapter.safetensors'), layout=layout)
    assert merged.layout == layout and merged.difference < 1e-5
    frozen = load_config(str(merged.config))
    said = frozen.model.backbone.encoder.bands
    assert (said.first_layer, said.train_input) == ('stored', False)
    again = MODELS.build(frozen.model).eval()
    adapter = read_adapter(merged.adapter)
    assert adapter.metadata['encoder'] == again.identity['encoder']
    assert all(name.startswith('decode_head.') for name in adapter.tensors)
    again.load_state_dict(adapter.tensors, strict=True)
    assert relative(again.backbone(image()).maps, features) < 1e-5


@torch.no_grad()
def test_mmpretrain_itself_takes_the_file_with_its_bands(tmp_path):
    cfg, model = prepare(tmp_path, SEEDED, dict(type='Full'))
    features = model.backbone(image()).maps
    merged = merge(cfg, str(tmp_path / 'adapter.safetensors'))
    with safe_open(merged.encoder, framework='pt') as file:
        config = json.loads(file.metadata()['mmpretrain'])
    config.pop('type')
    assert config['in_channels'] == 5
    plain = VisionTransformer(**config)
    plain.eval()  # returns None
    plain.load_state_dict(read_state_dict(merged.encoder), strict=True)
    assert relative(plain(image()), features) < 1e-5


def test_stored_needs_a_file_with_these_bands():
    bands = dict(names=list('abcde'), first_layer='stored')
    cfg = dict(mean=[0] * 5, std=[1] * 5, bands=bands)
    with pytest.raises(UserError, match="first_layer='stored' reads .* give checkpoint=FILE"):
        build_encoder({**SEEDED, **cfg})
    with pytest.raises(UserError, match=r'patch_embed.*3'):
        build_encoder({**PACKAGE, **cfg})
