import hashlib
import json

import pytest
from safetensors import safe_open

from rein_seg.encoders import build_encoder, pretrained, shapes_only
from rein_seg.errors import UserError
from tests.paths import REPO

CFG = dict(type='TinyViT', checkpoint='package:tiny_vit.safetensors')


def test_the_weights_of_the_package_load_and_are_small():
    path = pretrained.package_file(CFG['checkpoint'])
    assert path.stat().st_size <= 8_000_000
    encoder, info = build_encoder(CFG)
    assert sum(p.numel() for p in encoder.parameters()) <= 4_000_000
    assert info.weights.startswith('sha256:')


@pytest.mark.parametrize('name', pretrained.SHA256)
def test_a_model_card_names_the_digest_of_each_file(name):
    digest = hashlib.sha256(pretrained.package_file(f'package:{name}').read_bytes()).hexdigest()
    cards = (REPO / 'docs/background').glob('model-card*.md')
    assert sum(digest in card.read_text() for card in cards) == 1


def test_the_file_says_how_it_was_made():
    with safe_open(pretrained.package_file(CFG['checkpoint']), 'pt') as file:
        made = json.loads(file.metadata()['pretraining'])
    assert made['steps'] == made['settings']['steps'] and made['settings']['seed'] == 0


def test_unknown_and_changed_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="did you mean 'tiny_vit.safetensors'"):
        build_encoder({**CFG, 'checkpoint': 'package:tinyvit.safetensors'})
    monkeypatch.setattr(pretrained, '__file__', str(tmp_path / '__init__.py'))
    with pytest.raises(UserError, match='is missing'):
        build_encoder(CFG)
    (tmp_path / 'tiny_vit.safetensors').write_bytes(b'changed')
    with pytest.raises(UserError, match='changed or damaged'):
        build_encoder(CFG)


def test_shapes_alone_come_without_values():
    with shapes_only():
        encoder, info = build_encoder(CFG)
    assert info.weights == 'none: shapes only' and next(encoder.parameters()).is_meta
