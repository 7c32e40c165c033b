"""Weights are found on this machine, or downloaded on first use."""

import hashlib
import io
import json
import zipfile

import pytest
import torch
from safetensors.torch import save

from rein_seg.checkpoint import tensors_sha256
from rein_seg.encoders import WeightSource, build_encoder, fetch_weights, shapes_only
from rein_seg.errors import UserError
from tests.download.server import Answer
from tests.encoders.tiny import ENCODERS

CFG = {key: value for key, value in ENCODERS['vit_tiny'].items() if key != 'init_seed'}
STATE = build_encoder(ENCODERS['vit_tiny'])[0].state_dict()
FILE = save(STATE)
WEIGHTS = f'sha256:{tensors_sha256(STATE)}'


def hub(server, files, repo='org/vit'):
    """Puts files into a repository of the hub."""
    for name, body in files.items():
        headers = {'X-Linked-Etag': f'"{hashlib.sha256(body).hexdigest()}"'}
        server.answers[f'/{repo}/resolve/main/{name}'] = Answer(body, headers)


def test_a_missing_file_is_downloaded_from_the_address_beside_it(server, logged, online):
    server.answers['/tiny/vit.safetensors'] = Answer(FILE)
    cfg = {**CFG, 'checkpoint': 'checkpoints/vit.safetensors'}
    cfg['checkpoint_url'] = f'{server.url}/tiny/vit.safetensors'
    encoder, info = build_encoder(cfg)
    assert torch.equal(encoder.pos_embed, STATE['pos_embed'])
    assert info.weights == WEIGHTS
    assert info.config == build_encoder(ENCODERS['vit_tiny'])[1].config
    found = next(online.rglob('vit.safetensors'))
    assert f"does not exist: encoder 'TinyViT' takes {found}" in '\n'.join(logged)
    build_encoder(cfg)
    assert len(server.asked) == 1


def test_a_file_that_is_there_wins(server, tmp_path):
    (tmp_path / 'vit.safetensors').write_bytes(FILE)
    cfg = {**CFG, 'checkpoint': str(tmp_path / 'vit.safetensors')}
    build_encoder({**cfg, 'checkpoint_url': f'{server.url}/vit.safetensors'})
    assert server.asked == []


def test_another_file_never_takes_the_place_of_the_users_own(server):
    server.answers['/vit.safetensors'] = Answer(FILE)
    url = f'{server.url}/vit.safetensors'
    cfg = {**CFG, 'checkpoint': 'mine.safetensors', 'checkpoint_url': url}
    with pytest.raises(UserError, match="'mine.safetensors' does not exist; download it as docs"):
        build_encoder(cfg)
    assert server.asked == []


def test_an_id_without_its_mark_is_explained(tmp_path):
    words = "'facebook/dinov2-base' does not exist; .* write hf:facebook/dinov2-base for"
    with pytest.raises(UserError, match=words):
        build_encoder({**CFG, 'checkpoint': 'facebook/dinov2-base'})


def test_offline_names_file_address_and_place(server, monkeypatch):
    monkeypatch.setenv('REIN_SEG_OFFLINE', '1')
    url = f'{server.url}/vit.safetensors'
    cfg = {**CFG, 'checkpoint': 'checkpoints/vit.safetensors', 'checkpoint_url': url}
    words = (
        "'TinyViT': weights file 'checkpoints/vit.safetensors' does not exist, and .*"
        f'cannot be downloaded from {url}: REIN_SEG_OFFLINE=1 forbids the network; put it at '
        "'checkpoints/vit.safetensors', or point model.backbone.encoder.checkpoint to it"
    )
    with pytest.raises(UserError, match=words):
        build_encoder(cfg)


@pytest.mark.parametrize(
    'form', ['{url}/a/vit.safetensors', 'hf:org/vit', 'hf://org/vit/model.safetensors']
)
def test_addresses_and_ids_are_checkpoints(server, form):
    server.answers['/a/vit.safetensors'] = Answer(FILE)
    hub(server, {'model.safetensors': FILE})
    assert build_encoder({**CFG, 'checkpoint': form.format(url=server.url)})[1].weights == WEIGHTS


def in_shards():
    names = sorted(STATE)
    parts = {f'model-0000{i}-of-00002.safetensors': names[i - 1 :: 2] for i in (1, 2)}
    files = {file: save({name: STATE[name] for name in part}) for file, part in parts.items()}
    listed = {name: file for file, part in parts.items() for name in part}
    return files, json.dumps({'metadata': {}, 'weight_map': listed}).encode()


def test_a_model_in_shards_is_downloaded_whole(server, monkeypatch):
    files, index = in_shards()
    hub(server, {**files, 'model.safetensors.index.json': index})
    tag = hashlib.sha1(b'blob %d\0' % len(index) + index).hexdigest()
    path = '/org/vit/resolve/main/model.safetensors.index.json'
    server.answers[path].headers = {'ETag': f'"{tag}"'}
    cfg = {**CFG, 'checkpoint': 'hf:org/vit'}
    assert build_encoder(cfg)[1].weights == WEIGHTS
    monkeypatch.setenv('REIN_SEG_OFFLINE', '1')
    assert build_encoder(cfg)[1].weights == WEIGHTS


def test_a_folder_of_shards_is_read(tmp_path):
    files, index = in_shards()
    for name, body in {**files, 'model.safetensors.index.json': index}.items():
        (tmp_path / name).write_bytes(body)
    cfg = {**CFG, 'checkpoint': str(tmp_path)}
    assert build_encoder(cfg)[1].weights == WEIGHTS
    (tmp_path / next(iter(files))).unlink()
    with pytest.raises(UserError, match='model-00001-of-00002.safetensors.* does not exist'):
        build_encoder(cfg)


def test_weights_are_fetched_before_the_work_and_not_for_shapes(server):
    hub(server, {'model.safetensors': FILE})
    cfg = {**CFG, 'checkpoint': 'hf:org/vit'}
    with shapes_only():
        build_encoder(cfg)
        fetch_weights(cfg)
        assert WeightSource.file_of(cfg) == 'hf:org/vit'
    assert server.asked == []
    fetch_weights(cfg)
    assert len(server.asked) == 1
    assert WeightSource.file_of(cfg).endswith('model.safetensors')
    fetch_weights(ENCODERS['vit_tiny'])
    with pytest.raises(UserError, match='is gated'):
        server.answers['/org/b/resolve/main/model.safetensors'] = Answer(
            status=[401], headers={'X-Error-Code': 'GatedRepo'}
        )
        fetch_weights({**CFG, 'checkpoint': 'hf:org/b'})


def test_a_file_that_would_grow_is_refused(server):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', bytes(10_000_000))
    server.answers['/bomb.pth'] = Answer(file.getvalue())
    with pytest.raises(UserError, match="data.pkl' is compressed"):
        build_encoder({**CFG, 'checkpoint': f'{server.url}/bomb.pth'})


def test_a_file_that_would_run_code_is_refused(server):
    class Bad:
        def __reduce__(self):
            return print, ('hello',)

    file = io.BytesIO()
    torch.save({'a': Bad()}, file)
    server.answers['/bad.pth'] = Answer(file.getvalue())
    with pytest.raises(UserError, match='would run pickled code'):
        build_encoder({**CFG, 'checkpoint': f'{server.url}/bad.pth'})
