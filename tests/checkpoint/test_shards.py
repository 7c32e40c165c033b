"""Weights in several files with an index, and the folder that holds them."""

import json

import pytest
import torch
from safetensors.torch import save_file

from rein_seg.checkpoint import read_weights
from rein_seg.errors import UserError

A, B = {'a': torch.ones(2)}, {'b': torch.zeros(3)}
MAP = {'a': 'm-1.safetensors', 'b': 'm-2.bin'}


def write(folder, weight_map=MAP, a=A, b=B):
    save_file(a, folder / 'm-1.safetensors')
    torch.save(b, folder / 'm-2.bin')
    index = folder / 'pytorch_model.bin.index.json'
    index.write_text(json.dumps({'weight_map': weight_map}))
    return index


def test_shards_are_joined(tmp_path):
    index = write(tmp_path)
    for path in (index, tmp_path):
        assert {name: tuple(t.shape) for name, t in read_weights(path).items()} == {
            'a': (2,), 'b': (3,)
        }  # fmt: skip


def test_the_best_file_of_a_folder_is_read(tmp_path):
    write(tmp_path)
    save_file({'c': torch.ones(1)}, tmp_path / 'model.safetensors')
    assert list(read_weights(tmp_path)) == ['c']


def test_a_folder_without_weights(tmp_path):
    with pytest.raises(UserError, match='is a folder without model.safetensors, .*; give'):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(weight_map={**MAP, 'c': 'm-2.bin'}), "lists 'c', which no file beside it holds"),
        (dict(weight_map={**MAP, 'b': 'm-1.safetensors'}), "lists 'b', which no file"),
        (dict(b={**B, 'a': torch.ones(2)}), "m-2.bin' holds 'a', which .* lists elsewhere"),
        (dict(weight_map={'a': '../m-1.safetensors'}), 'expected a weight_map'),
        (dict(weight_map={'a': '/etc/passwd'}), 'expected a weight_map'),
        (dict(weight_map={'a': 3}), 'expected a weight_map'),
        (dict(weight_map={}), 'expected a weight_map'),
        (dict(weight_map=[]), 'expected a weight_map'),
    ],
)
def test_shards_that_do_not_fit_their_index(tmp_path, options, message):
    index = write(tmp_path, **options)
    with pytest.raises(UserError, match=message):
        read_weights(index)


@pytest.mark.parametrize('text', ['', '[]', '{"weight_map": {"a": "b.bin", "a": "c.bin"}}', '\0'])
def test_an_index_that_is_none(tmp_path, text):
    (tmp_path / 'model.safetensors.index.json').write_text(text)
    with pytest.raises(UserError, match='index of weights .*expected a weight_map'):
        read_weights(tmp_path)
