"""Learned prompts that come from the adapter of their own training."""

import pytest
import torch

from rein_seg.checkpoint import read_adapter, save_adapter
from rein_seg.errors import UserError
from rein_seg.text import CoOp, PrefixDot

TOWER = dict(init_seed=0, width=16, layers=1, heads=2, dims=8, words=['road', 'sky', 'car'])


class Model(torch.nn.Module):
    def __init__(self, text):
        super().__init__()
        self.text = text


@pytest.fixture
def learned(tmp_path):
    """Prompts with values of their own, and their adapter file."""
    torch.manual_seed(1)
    prompt = PrefixDot(['road', 'sky'], num_prefix=3, tower=TOWER)
    path = str(tmp_path / 'adapter.safetensors')
    identity = {**prompt.identity, 'open_vocabulary': True}
    about = dict(method={'type': 'Frozen'}, encoder=dict(weights='a', config=dict(type='b')))
    save_adapter(path, Model(prompt), {**about, 'num_classes': 2, 'text': identity})
    return prompt, path


def test_vectors_are_taken_and_stay(learned):
    prompt, path = learned
    fixed = PrefixDot(['road', 'sky', 'car'], num_prefix=3, tower=TOWER, prompts=path)
    torch.testing.assert_close(fixed()[:2], prompt().detach())
    assert not fixed.prefix_prompt.requires_grad
    assert list(fixed.state_dict()) == ['prefix_prompt']
    assert fixed.identity['prompts'].startswith('sha256:')
    assert 'prompts' not in prompt.identity


def test_the_fingerprint_is_of_the_values(learned, tmp_path):
    prompt, path = learned
    first = PrefixDot(['road'], num_prefix=3, tower=TOWER, prompts=path).identity
    with torch.no_grad():
        prompt.prefix_prompt.add_(1)
    other = str(tmp_path / 'other.safetensors')
    save_adapter(other, Model(prompt), _metadata(path))
    second = PrefixDot(['road'], num_prefix=3, tower=TOWER, prompts=other).identity
    assert first['prompts'] != second['prompts']
    assert {**first, 'prompts': ''} == {**second, 'prompts': ''}


def _metadata(path):
    skipped = ('format', 'version', 'sha256', 'metadata_sha256')
    return {k: v for k, v in read_adapter(path).metadata.items() if k not in skipped}


def test_named_by_their_fingerprint_they_come_with_an_adapter(learned):
    prompt, path = learned
    digest = PrefixDot(['road'], num_prefix=3, tower=TOWER, prompts=path).identity['prompts']
    named = PrefixDot(['road', 'sky'], num_prefix=3, tower=TOWER, prompts=digest)
    assert named.identity['prompts'] == digest and not named.prefix_prompt.requires_grad
    named.load_state_dict({'prefix_prompt': prompt.prefix_prompt.detach()})
    torch.testing.assert_close(named(), prompt().detach())


@pytest.mark.parametrize(
    ('kind', 'options', 'said'),
    [
        (PrefixDot, dict(num_prefix=4), r'another length \(prefix_prompt \(3, 16\)\)'),
        (PrefixDot, dict(num_prefix=3, num_suffix=1), 'another length'),
        (PrefixDot, dict(num_prefix=3, tower={**TOWER, 'init_seed': 5}), 'with another CLIP'),
        (PrefixDot, dict(num_prefix=3, normalize=False), 'learned with normalize=True'),
        (CoOp, dict(num_context=3), "prompts of 'rein_seg.PrefixDot', expected 'rein_seg.CoOp'"),
    ],
)
def test_prompts_of_another_training(learned, kind, options, said):
    with pytest.raises(UserError, match=said):
        kind(['road'], **{'tower': TOWER, **options}, prompts=learned[1])


def test_files_without_prompts(tmp_path):
    options = dict(num_prefix=3, tower=TOWER)
    with pytest.raises(UserError, match='does not exist: expected adapter.safetensors'):
        PrefixDot(['road'], **options, prompts=str(tmp_path / 'no.safetensors'))
    path = str(tmp_path / 'linear.safetensors')
    about = dict(method={'type': 'LoRA'}, encoder=dict(weights='a', config=dict(type='b')))
    save_adapter(path, torch.nn.Linear(3, 2), {**about, 'num_classes': 2})
    with pytest.raises(UserError, match='has no learned prompts.*no text branch'):
        PrefixDot(['road'], **options, prompts=path)
