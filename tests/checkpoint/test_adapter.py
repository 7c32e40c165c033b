"""Adapter files: written, read, refused where they do not fit."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rein_seg.checkpoint import load_adapter, read_adapter, save_adapter
from rein_seg.errors import UserError

IDENTITY = dict(method={'type': 'LoRA'}, encoder={'name': 'toy', 'weights': 'w'}, num_classes=3)


@pytest.fixture
def adapter(tmp_path):
    path = tmp_path / 'adapter.safetensors'
    torch.manual_seed(0)
    save_adapter(path, nn.Linear(64, 64), IDENTITY)
    return path


def test_adapter_round_trip(adapter):
    model = nn.Linear(64, 64)
    assert load_adapter(adapter, model, IDENTITY).endswith('2/2 tensors, 0 unexpected')
    torch.manual_seed(0)
    assert torch.equal(model.weight, nn.Linear(64, 64).weight)
    assert read_adapter(adapter).metadata['encoder'] == IDENTITY['encoder']


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        (
            'method',
            {'type': 'Rein'},
            "another PEFT method: it says method.type='LoRA', the config gives 'Rein'",
        ),
        (
            'encoder',
            {'name': 'other', 'weights': 'w'},
            "another encoder: it says encoder.name='toy'",
        ),
        (
            'num_classes',
            19,
            'another number of classes: it says num_classes=3, the config gives 19',
        ),
    ],
)
def test_adapter_of_another_model_is_refused(adapter, key, value, message):
    with pytest.raises(UserError, match=message):
        load_adapter(adapter, nn.Linear(64, 64), {**IDENTITY, key: value})


def test_truncated_and_tampered_adapters(adapter, tmp_path):
    content = adapter.read_bytes()
    adapter.write_bytes(content[:-100])
    with pytest.raises(UserError, match='truncated or damaged'):
        read_adapter(adapter)
    adapter.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match='was changed after it was written'):
        read_adapter(adapter)
    save_file({'a': torch.ones(1)}, adapter)
    with pytest.raises(UserError, match='is not an adapter file'):
        read_adapter(adapter)
    with pytest.raises(UserError, match='does not exist'):
        read_adapter(tmp_path / 'none.safetensors')
