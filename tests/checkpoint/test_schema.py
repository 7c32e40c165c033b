"""Entries of checkpoints and adapters beside their tensors: types, limits, one line."""

import pytest
import torch
from torch import nn

from rein_seg.checkpoint import read_adapter, read_checkpoint, save_adapter
from rein_seg.checkpoint.schema import ADAPTER, check_rules
from rein_seg.errors import UserError
from tests.campaign.made_weights import RECORD, change_adapter, change_pth

IDENTITY = dict(
    method={'type': 'LoRA'}, encoder={'weights': 'w', 'config': {'type': 'a.B'}}, num_classes=3
)


@pytest.fixture
def checkpoint(tmp_path):
    hub = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    meta = dict(iter=2, epoch=0, seed=3, identity=IDENTITY, identity_format=2, training=RECORD)
    content = dict(meta=meta, state_dict={'a': torch.ones(2)}, message_hub=hub)
    torch.save(content, tmp_path / 'a.pth')
    return tmp_path / 'a.pth'


def hub(content, **info):
    return {**content, 'message_hub': {**content['message_hub'], 'runtime_info': info}}


def nested(times):
    found = {}
    for _ in range(times):
        found = {'a': found}
    return found


META = [
    (dict(iter='two'), "meta.iter is 'two', expected a whole number, 0 or more"),
    (dict(iter=-4), 'meta.iter is -4, expected'),
    (dict(iter=True), 'meta.iter is True, expected'),
    (dict(iter=float('nan')), 'meta.iter is nan, expected'),
    (dict(iter=10**30), 'meta.iter is 1000'),
    (dict(iter=7), r'meta.iter is 7, expected at most meta.training.max_iters=6'),
    (dict(settings='{'), "meta.settings is '{', expected the JSON of a config"),
    (dict(settings='[' * 10_000), 'meta.settings is .*, expected the JSON of a config'),
    (dict(processes='2'), "meta.processes is '2', expected"),
    (dict(seed=[1]), 'meta.seed is a list of 1, expected'),
    (dict(identity='LoRA'), "meta.identity is 'LoRA', expected a dict by name"),
    (dict(identity={}), 'meta.identity.method is missing'),
    (dict(identity={**IDENTITY, 'method': []}), 'meta.identity.method is a list of 0, expected'),
    (dict(identity={**IDENTITY, 'encoder': 'ViT'}), "meta.identity.encoder is 'ViT', expected"),
    (dict(identity={**IDENTITY, 'num_classes': True}), 'meta.identity.num_classes is True'),
    (dict(identity={**IDENTITY, 'method': nested(70)}), 'meta is nested more than 50 deep'),
    (dict(training={}), 'meta.training.benchmark is missing'),
    (dict(training={**RECORD, 'changed': 3}), 'meta.training.changed is 3, expected a list of'),
]


@pytest.mark.parametrize(('changed', 'message'), META, ids=[str(i) for i in range(len(META))])
def test_wrong_metadata_of_a_checkpoint(checkpoint, changed, message):
    assert read_checkpoint(checkpoint)['meta']['iter'] == 2
    change_pth(checkpoint, lambda content: content['meta'].update(changed))
    with pytest.raises(UserError, match=rf"a\.pth': {message}"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda c: [c], 'holds a list, expected a dict'),
        (lambda c: torch.ones(1), 'holds a Tensor, expected a dict'),
        (lambda c: {**c, 'meta': [1]}, 'meta is a list of 1, expected a dict by name'),
        (lambda c: {**c, 'message_hub': {}}, 'message_hub.log_scalars is missing'),
        (lambda c: hub(c, best_ckpt=[1]), 'message_hub.runtime_info.best_ckpt is a list of 1'),
        (lambda c: hub(c, best_ckpt_mIoU=7), 'message_hub.runtime_info.best_ckpt_mIoU is 7'),
        (
            lambda c: hub(c, keep_ckpt_ids=['../x']),
            'message_hub.runtime_info.keep_ckpt_ids is a list of 1, expected a list of iter',
        ),
        (lambda c: hub(c, patience={}), 'message_hub.runtime_info.patience is a dict of 0'),
        (lambda c: hub(c, best_score='high'), "message_hub.runtime_info.best_score is 'high'"),
        (lambda c: {**c, 'optimizer': [1]}, 'optimizer is a list of 1, expected'),
        (lambda c: {**c, 'more': nested(150)}, 'is nested more than 100 deep'),
    ],
)
def test_wrong_content_of_a_checkpoint(checkpoint, make, message):
    change_pth(checkpoint, make)
    with pytest.raises(UserError, match=rf"a\.pth'.* {message}"):
        read_checkpoint(checkpoint)


def test_other_programs_may_hold_other_things(tmp_path):
    content = dict(model={'a': torch.ones(1)}, optimizer=[1], meta=dict(iter=None, config='x'))
    torch.save(content, tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth')['optimizer'] == [1]


@pytest.mark.parametrize(
    ('key', 'text', 'message'),
    [
        ('method', 'LoRA', "metadata 'method' is no JSON"),
        ('scores', '{"mIoU": NaN}', "metadata 'scores' is no JSON .NaN"),
        ('method', '{"type": "LoRA", "type": "Rein"}', "the name 'type' is there twice"),
        ('scores', '[' * 100_000 + ']' * 100_000, 'nested too deep'),
        ('method', '[1]', 'metadata.method is a list of 1'),
        ('encoder', '"ViT"', "metadata.encoder is 'ViT'"),
        ('num_classes', 'true', 'metadata.num_classes is True'),
        ('training', '{}', 'metadata.training.benchmark is missing'),
        ('config', '1', 'metadata.config is 1'),
        ('format', '"rein_seg-adapter/9"', 'is not an adapter file'),
    ],
)
def test_wrong_metadata_of_an_adapter(tmp_path, key, text, message):
    path = tmp_path / 'a.safetensors'
    save_adapter(path, nn.Linear(2, 2), IDENTITY)
    change_adapter(path, lambda tensors, texts: texts.update({key: text}))
    with pytest.raises(UserError, match=rf"a\.safetensors'.*{message}"):
        read_adapter(path)


def test_a_changed_letter_of_the_metadata_is_noticed(tmp_path):
    path = tmp_path / 'a.safetensors'
    save_adapter(path, nn.Linear(2, 2), {**IDENTITY, 'config': 'lr = 1e-4'})
    data = path.read_bytes()
    assert data.count(b'1e-4') == 1
    path.write_bytes(data.replace(b'1e-4', b'1e-5'))
    with pytest.raises(UserError, match='was changed .* the SHA-256 of its metadata differs'):
        read_adapter(path)


@pytest.mark.parametrize(
    'text',
    ['ClassTable', dict(type='ClassTable'), dict(type='A', source='b', open_vocabulary='yes')],
)
def test_a_text_branch_has_a_type_a_source_and_its_openness(text):
    with pytest.raises(UserError, match='metadata.text is .* expected a dict with a type'):
        check_rules({'text': text}, ADAPTER, 'adapter: metadata.')
    check_rules({'text': None}, ADAPTER, 'adapter: metadata.')
