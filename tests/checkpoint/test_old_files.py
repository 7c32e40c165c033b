"""Files that version 0.1.0 wrote before encoders had registered names load for ever.

Each adapter was trained for two iterations; its ``.logits`` are what the model gave then for one
image. Nothing here is written anew when the format changes: a new format adds files.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from safetensors import safe_open
from safetensors.torch import load_file

from rein_seg.checkpoint import load_adapter, load_checkpoint, read_adapter, read_checkpoint
from rein_seg.checkpoint.load import check_identity
from rein_seg.checkpoint.old_files import fill_new_arguments, translate_identity
from rein_seg.errors import UserError
from rein_seg.registry import describe_method, registered_class, registered_name, with_defaults
from tests.encoders.tiny import ENCODERS

FOLDER = Path(__file__).parent / 'files_0_1'
IMAGE = torch.from_numpy(np.random.RandomState(0).randn(1, 3, 32, 64).astype(np.float32))
# name of the file: the encoder and the method it was trained with
FILES = {
    'own_tiny_vit': ('vit_tiny', dict(type='LoRA', rank=2, targets=['q', 'v'])),
    'own_dinov2_registers': ('dinov2_registers', dict(type='VPT', num_tokens=2)),
    'own_swin': ('swin', dict(type='ConvLoRA', rank=2)),
    'own_clip': ('clip_tower', dict(type='Rein', num_tokens=4, rank=2, link_to_queries=False)),
    'sam': ('sam', dict(type='ConvLoRA', rank=2)),
    'mmpretrain_vit': ('dinov2', [dict(type='SSF'), dict(type='BitFit', targets=['norm'])]),
    'mmpretrain_convnext': ('convnext', dict(type='DoRA', rank=2, targets=['fc1'])),
    'mmseg_resnet': ('resnet', dict(type='BitFit', targets=['bias', 'norm_bias'])),
    'timm_eva02': ('eva02', dict(type='VeRA', rank=4)),
}


def model_for(name, **changed):
    encoder, peft = FILES[name]
    backbone = dict(type='PEFTBackbone', encoder={**ENCODERS[encoder], **changed}, peft=peft)
    head = dict(type='LinearHead')
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=backbone,
            decode_head=head,
            num_classes=19,
            test_cfg=dict(mode='whole'),
        )
    ).eval()


def without_none(value):
    """Returns an identity without arguments that are None: they say nothing of the behaviour."""
    if isinstance(value, dict):
        return {key: without_none(part) for key, part in value.items() if part is not None}
    return value


@pytest.mark.parametrize('name', FILES)
def test_an_old_adapter_loads_and_gives_the_same_logits(name):
    path, model = FOLDER / f'{name}.safetensors', model_for(name)
    load_adapter(path, model, model.identity)
    with torch.no_grad():
        logits = model(IMAGE, mode='tensor')
    expected = load_file(FOLDER / f'{name}.logits.safetensors')['logits']
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', FILES)
def test_its_identity_reads_as_that_of_today(name):
    model = model_for(name)
    read = fill_new_arguments(read_adapter(FOLDER / f'{name}.safetensors').metadata)
    today = model.identity
    assert {key: without_none(read[key]) for key in today} == without_none(today)
    with safe_open(FOLDER / f'{name}.safetensors', 'pt') as file:
        assert '/1' in file.metadata()['format']
    scope, _, registered = read['encoder']['config']['type'].partition('.')
    assert scope in ('rein_seg', 'mmpretrain', 'mmseg')
    assert '.' not in registered


@pytest.mark.parametrize('name', ['own_tiny_vit', 'mmseg_resnet'])
def test_an_old_checkpoint_loads(name):
    model = model_for(name)
    path = FOLDER / f'{name}.checkpoint'
    load_checkpoint(read_checkpoint(path), model, source=path.name)
    saved = load_file(FOLDER / f'{name}.safetensors')
    assert all(torch.equal(t, saved[key]) for key, t in model.state_dict().items())


def test_another_encoder_is_still_refused():
    model = model_for('own_tiny_vit', init_seed=1)
    with pytest.raises(UserError, match="another encoder.*'random:seed=0'.*'random:seed=1'"):
        load_adapter(FOLDER / 'own_tiny_vit.safetensors', model, model.identity)


def test_a_class_of_a_user_in_another_registry_has_the_same_name_in_old_files(monkeypatch):
    mine = type('MyEncoder', (torch.nn.Module,), {'__module__': 'my_project.encoders.mine'})
    old = {'encoder': {'config': {'type': 'my_project.encoders.old_place.MyEncoder'}}}
    assert translate_identity(old)['encoder']['config']['type'] == 'my_project.MyEncoder'
    monkeypatch.setitem(MODELS.module_dict, 'MyEncoder', mine)
    assert translate_identity(old)['encoder']['config']['type'] == registered_name(mine)
    assert registered_name(mine) == 'mmseg.MyEncoder'


def test_packages_that_share_a_class_name_stay_apart():
    paths = [f'{package}.models.backbones.resnet.ResNet' for package in ('mmseg', 'mmpretrain')]
    made = [translate_identity({'encoder': {'config': {'type': path}}}) for path in paths]
    assert [one['encoder']['config']['type'] for one in made] == [
        'mmseg.ResNet',
        'mmpretrain.ResNet',
    ]


def without_defaults(config, defaults):
    return {k: v for k, v in config.items() if k == 'type' or defaults.get(k) != v}


def methods_without_defaults(method):
    if isinstance(method, list):
        return [methods_without_defaults(each) for each in method]
    return without_defaults(method, describe_method({'type': method['type']}))


@pytest.mark.parametrize('name', FILES)
def test_arguments_younger_than_the_file_have_their_defaults(name):
    today = model_for(name).identity
    config = today['encoder']['config']
    old = without_defaults(config, with_defaults(registered_class(config['type']), {}))
    encoder = {**today['encoder'], 'config': old}
    method = methods_without_defaults(today['method'])
    check_identity({**today, 'encoder': encoder, 'method': method}, today, source='adapter')


def test_the_default_of_a_younger_argument_is_compared():
    model = model_for('own_tiny_vit')
    today = model.identity
    without = {k: v for k, v in today['encoder']['config'].items() if k != 'patch_size'}
    made = {**today, 'encoder': {**today['encoder'], 'config': without}}
    check_identity(made, today, source='adapter')
    other = {**today['encoder'], 'config': {**today['encoder']['config'], 'patch_size': 4}}
    with pytest.raises(UserError, match='patch_size=8, the config gives 4'):
        check_identity(made, {**today, 'encoder': other}, source='adapter')


def test_names_in_a_file_import_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    code = "import pathlib\npathlib.Path(__file__).with_name('EXECUTED').touch()\n"
    (tmp_path / 'evil.py').write_text(code)
    made = {'method': {'type': 'evil.X'}, 'encoder': {'config': {'type': 'evil.X'}}}
    assert fill_new_arguments(made) == made
    assert not (tmp_path / 'EXECUTED').exists()
