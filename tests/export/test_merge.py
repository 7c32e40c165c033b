"""Adapters merged into ordinary weights files: loaded without this package, scored with a head."""

import json
import os
import subprocess
import sys

import pytest
import torch
from mmseg.registry import MODELS
from safetensors import safe_open

from rein_seg.apis import load_config
from rein_seg.apis import test as run_test
from rein_seg.checkpoint import read_adapter, read_state_dict, save_adapter, tensors_sha256
from rein_seg.encoders.pretrained import package_file
from rein_seg.errors import UserError
from rein_seg.export.merge import merge
from rein_seg.run.places import without_places
from rein_seg.run.results import adapter_metadata
from tests.cli.calls import assert_refused, call
from tests.encoders.plain_vit.official import PLAIN, published
from tests.peft.build import move, relative
from tests.run.tiny_run import tiny_config

ENCODER = """
model['backbone']['encoder'] = dict(
    _delete_=True, name='small DINOv2', type='DINOv2', arch={arch!r}, img_size=(32, 64),
    patch_size=8, checkpoint={file!r})
model['backbone']['peft'] = dict(_delete_=True, **{peft!r})
"""
METHODS = [
    dict(type='LoRA', rank=2),
    dict(type='DoRA', rank=2),
    dict(type='VeRA', rank=4),
    dict(type='PEGO', rank=2, groups=2),
    dict(type='SoMA', rank=2),
    dict(type='SVF'),
    dict(type='SSF'),
]
# plain mmpretrain models in a process that knows nothing of this package
ALONE = """
import json, sys, torch
from safetensors import safe_open
from mmpretrain.models.backbones import VisionTransformer
image, maps = torch.load('image.pt'), {}
for path in sys.argv[1:]:
    with safe_open(path, framework='pt') as file:
        config = json.loads(file.metadata()['mmpretrain'])
        state = {k: file.get_tensor(k) for k in file.keys()}
    assert config.pop('type') == 'VisionTransformer'
    model = VisionTransformer(**config)
    model.load_state_dict(state, strict=True)
    model.eval()
    with torch.no_grad():
        maps[path] = model(image)
torch.save(maps, 'maps.pt')
assert not [name for name in sys.modules if name.startswith('rein_seg')]
"""


@pytest.fixture(autouse=True)
def _unformatted(monkeypatch):
    """Leaves out the formatting of configs, which takes seconds each."""
    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, False))


def prepare(folder, peft):
    """A config on an official file, and an adapter with trained-looking values."""
    torch.save(published(PLAIN), folder / 'official.pth')
    extra = ENCODER.format(arch=PLAIN['arch'], file=str(folder / 'official.pth'), peft=peft)
    cfg = tiny_config(folder, extra=extra)
    model = MODELS.build(cfg.model).eval()
    move(model.backbone)
    scores = dict(mIoU=dict(night=12.5))
    metadata = adapter_metadata(cfg, model, scores=scores, config='')
    save_adapter(folder / 'adapter.safetensors', model, metadata)
    return cfg, model


def image():
    return torch.randn(1, 3, 32, 64, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize('peft', METHODS, ids=lambda peft: peft['type'])
@torch.no_grad()
def test_merged_files_make_the_same_model(peft, tmp_path):
    cfg, model = prepare(tmp_path, peft)
    merged = merge(cfg, str(tmp_path / 'adapter.safetensors'), str(tmp_path / 'out.safetensors'))
    assert merged.layout == 'official'
    assert merged.difference < 1e-5
    original, written = published(PLAIN), read_state_dict(merged.encoder)
    assert {k: v.shape for k, v in written.items()} == {k: v.shape for k, v in original.items()}
    assert any('patch_embed.projection.weight 7x7 -> 8x8' in note for note in merged.notes)
    frozen = load_config(str(merged.config))
    assert dict(frozen.model.backbone.peft) == dict(type='Frozen')
    again = MODELS.build(frozen.model).eval()
    adapter = read_adapter(merged.adapter)
    assert adapter.metadata['encoder'] == again.identity['encoder']
    assert adapter.metadata['method'] == dict(type='Frozen')
    assert all(name.startswith('decode_head.') for name in adapter.tensors)
    again.load_state_dict(adapter.tensors, strict=True)
    assert relative(again.backbone(image()).maps, model.backbone(image()).maps) < 1e-5
    metas = [dict(img_shape=(32, 64))]
    logits = [m.encode_decode(image(), metas) for m in (again, model)]
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-5)


def test_weights_of_the_package_are_merged_in_their_own_layout(tmp_path):
    encoder = dict(_delete_=True, type='TinyViT', checkpoint='package:tiny_vit.safetensors')
    peft = dict(_delete_=True, type='LoRA', rank=2)
    extra = f"model['backbone'].update(encoder={encoder}, peft={peft})"
    cfg = tiny_config(tmp_path, extra=extra)
    model = MODELS.build(cfg.model).eval()
    move(model.backbone)
    save_adapter(
        tmp_path / 'a.safetensors', model, adapter_metadata(cfg, model, scores={}, config='')
    )
    merged = merge(cfg, str(tmp_path / 'a.safetensors'))
    assert merged.layout == 'official'
    shipped = read_state_dict(package_file('package:tiny_vit.safetensors'))
    assert read_state_dict(merged.encoder).keys() == shipped.keys()


def test_files_say_what_they_are(tmp_path):
    cfg, model = prepare(tmp_path, METHODS[0])
    merged = merge(cfg, str(tmp_path / 'adapter.safetensors'))
    assert merged.encoder == tmp_path / 'merged_encoder.safetensors'
    with safe_open(merged.encoder, framework='pt') as file:
        said = {key: json.loads(value) for key, value in file.metadata().items()}
    source = read_adapter(tmp_path / 'adapter.safetensors').metadata
    assert said['adapter'] == dict(file='adapter.safetensors', sha256=source['sha256'])
    assert said['encoder'] == dict(
        name='small DINOv2', weights=f'sha256:{tensors_sha256(published(PLAIN))}'
    )
    assert said['method']['type'] == 'LoRA'
    assert said['resampled'][0] == 'patch_embed.projection.weight 7x7 -> 8x8'
    assert said['sha256'] == tensors_sha256(read_state_dict(merged.encoder))
    beside = read_adapter(merged.adapter).metadata
    assert beside['merged_from']['adapter'] == said['adapter']
    assert beside['encoder']['weights'] == f'sha256:{said["sha256"]}'
    assert beside['encoder_name'] == 'small DINOv2 + LoRA'
    assert beside['scores']['mIoU'] == dict(night=12.5)
    assert beside['config'] == without_places(merged.config.read_text())


def test_pth_is_a_plain_state_dict(tmp_path):
    cfg, _ = prepare(tmp_path, METHODS[0])
    merged = merge(cfg, str(tmp_path / 'adapter.safetensors'), str(tmp_path / 'm.pth'))
    state = torch.load(tmp_path / 'm.pth', weights_only=True)
    assert state.keys() == published(PLAIN).keys()
    said = json.loads((tmp_path / 'm.pth.json').read_text())
    assert said['sha256'] == tensors_sha256(state)
    assert merged.adapter == tmp_path / 'm_adapter.safetensors'


def test_scores_are_those_of_the_adapter(tmp_path):
    cfg, _ = prepare(tmp_path, dict(type='LoRA', rank=2))
    merged = merge(cfg, str(tmp_path / 'adapter.safetensors'))
    before = run_test(cfg, str(tmp_path / 'adapter.safetensors'))
    frozen = load_config(str(merged.config), work_dir=str(tmp_path / 'again'))
    after = run_test(frozen, str(merged.adapter))
    for domain in ('clear', 'night'):
        assert after['domains'][domain]['mIoU'] == pytest.approx(
            before['domains'][domain]['mIoU'], abs=0.01
        )
    assert after['method'] == dict(type='Frozen')


@torch.no_grad()
def test_loads_where_this_package_is_not(tmp_path):
    expected = {}
    for peft in METHODS:
        cfg, model = prepare(tmp_path, peft)
        out = f'{peft["type"]}.safetensors'
        adapter = str(tmp_path / 'adapter.safetensors')
        merged = merge(cfg, adapter, str(tmp_path / out), layout='mmpretrain')
        expected[out] = model.backbone(image()).maps
        again = MODELS.build(load_config(str(merged.config)).model).eval()
        assert relative(again.backbone(image()).maps, expected[out]) < 1e-5
    torch.save(image(), tmp_path / 'image.pt')
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    command = [sys.executable, '-c', ALONE, *expected]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    for out, maps in torch.load(tmp_path / 'maps.pt').items():
        assert relative(maps, expected[out]) < 1e-5


def test_random_weights_have_no_official_layout(tmp_path):
    cfg = tiny_config(tmp_path, 'lora_tiny_miniscapes')
    model = MODELS.build(cfg.model)
    metadata = adapter_metadata(cfg, model, scores={}, config='')
    save_adapter(tmp_path / 'a.safetensors', model, metadata)
    with pytest.raises(UserError, match='random weights .* take --layout mmpretrain'):
        merge(cfg, str(tmp_path / 'a.safetensors'), layout='official')
    merged = merge(cfg, str(tmp_path / 'a.safetensors'))
    assert merged.layout == 'mmpretrain'
    frozen = load_config(str(merged.config)).model
    assert 'init_seed' not in frozen.backbone.encoder
    assert MODELS.build(frozen).identity['encoder']['weights'].startswith('sha256:')


def test_what_cannot_be_merged_says_why_and_writes_nothing(tmp_path):
    cfg, _ = prepare(tmp_path, dict(type='ConvLoRA', num_experts=2))
    config, adapter = str(tmp_path / 'tiny.py'), str(tmp_path / 'adapter.safetensors')
    there = set(tmp_path.iterdir())
    assert_refused(*call('merge', config, adapter), 'cannot be merged: ConvLoRA')
    source = str(tmp_path / 'official.pth')
    assert_refused(*call('merge', config, adapter, '--out', source), 'would overwrite')
    bad = call('merge', config, adapter, '--out', 'a.bin')
    assert_refused(*bad, "--out 'a.bin': expected a name in .safetensors or .pth")
    bad = call('merge', config, adapter, '--layout', 'timm')
    assert_refused(*bad, "--layout 'timm': expected one of")
    assert_refused(*call('merge', config, str(tmp_path / 'no.pth')), 'does not exist')
    assert set(tmp_path.iterdir()) == there


def test_tool_says_what_it_wrote(tmp_path, capsys):
    prepare(tmp_path, METHODS[0])
    assert call('merge', tmp_path / 'tiny.py', tmp_path / 'adapter.safetensors')[0] == 0
    out = capsys.readouterr().out
    assert 'wrote' in out
    assert 'merged_encoder_config.py' in out
    assert 'resampled when it is loaded, as in training: pos_embed 5x5 -> 4x8' in out
