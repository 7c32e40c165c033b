"""Damaged headers of safetensors files: one reading, or refused."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from rein_seg.checkpoint import read_state_dict, save_tensors, tensors_sha256
from rein_seg.errors import UserError
from tests.campaign.made_weights import change_header, flip

TENSORS = {'a': torch.arange(6.0).reshape(2, 3), 'b': torch.ones(4, dtype=torch.int64)}


def twice(header):
    entry = json.dumps({'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]})
    return f'{{"a": {entry}, {json.dumps(header)[1:]}'.encode()


@pytest.fixture
def path(tmp_path):
    save_file(TENSORS, tmp_path / 'w.safetensors')
    return tmp_path / 'w.safetensors'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda h: b'[]', 'its header is a list'),
        (lambda h: b'{"\xff": 1}', "can't decode"),
        (twice, "the name 'a' is there twice"),
        (lambda h: h['a'].update(data_offsets=[0, 1 << 50]), r"'a' of shape \(2, 3\) has"),
        (lambda h: h['a'].update(data_offsets=[-4, 20]), "entry of 'a' has no dtype, shape and"),
        (lambda h: h['a'].update(data_offsets=[0, 24]), 'overlap others, or leave a gap'),
        (lambda h: h['a'].update(shape=[float('nan')]), 'NaN is no number'),
        (lambda h: h['a'].update(shape=[1 << 60, 1 << 60]), "entry of 'a'"),
        (lambda h: h['a'].update(dtype='C64'), "'a' has dtype 'C64', expected one of BOOL"),
        (lambda h: h['a'].update(dtype='F16'), r"'a' of shape \(2, 3\) has 24 bytes"),
        (lambda h: h.update(x=[]), "entry of 'x'"),
        (lambda h: h.update(__metadata__={'a': 1}), 'metadata are no texts'),
        (lambda h: h.pop('b') and None, 'overlap others, or leave a gap|its tensors have 24 bytes'),
    ],
)
def test_damaged_headers(path, change, message):
    assert read_state_dict(path)['a'].equal(TENSORS['a'])
    change_header(path, change)
    with pytest.raises(UserError, match=rf"w\.safetensors' is truncated or damaged .*({message})"):
        read_state_dict(path)


@pytest.mark.parametrize('length', [0, 1, 2**31, 2**63, 2**64 - 1])
def test_a_wrong_length_of_the_header(path, length):
    path.write_bytes(struct.pack('<Q', length) + path.read_bytes()[8:])
    with pytest.raises(UserError, match='is truncated or damaged'):
        read_state_dict(path)


def test_merged_encoders_carry_a_digest(tmp_path):
    path = tmp_path / 'm.safetensors'
    about = dict(format='rein_seg-encoder/1', sha256=tensors_sha256(TENSORS))
    save_tensors(path, TENSORS, about)
    assert read_state_dict(path)['a'].equal(TENSORS['a'])
    flip(path, 1.0)
    with pytest.raises(UserError, match=r"m\.safetensors' was changed after it was written"):
        read_state_dict(path)
