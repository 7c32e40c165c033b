"""An adapter file alone, anywhere, gives a predictor; every other source says what is missing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner.checkpoint import weights_to_cpu
from safetensors import safe_open
from safetensors.torch import save_file

import rein_seg
from rein_seg.checkpoint import save_checkpoint
from rein_seg.checkpoint.adapter import metadata_sha256
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.encoders.pretrained import package_file
from rein_seg.errors import UserError
from tests.download.server import Answer
from tests.inference.pixels import picture, reference
from tests.inference.tiny_models import write_adapter
from tests.paths import REPO
from tests.run.tiny_run import tiny_config

IMAGE = picture(40, 70)
REAL_ENCODER = """
model['backbone']['encoder'] = dict(
    _delete_=True, type='TinyViT', checkpoint={path!r}, out_indices=[1, 3])
"""
HEAD_FROM_A_FILE = """
model['backbone']['peft'] = dict(_delete_=True, type='Frozen')
model['decode_head'] = dict(
    _delete_=True, type='SETRHead', variant='wide_aux', decoder=dict(hidden=4), checkpoint={path!r})
"""


@pytest.fixture(scope='module')
def adapter(tmp_path_factory):
    """A path of an adapter file, and the labels of the model that is in it."""
    path, model = write_adapter(tmp_path_factory.mktemp('adapter'))
    return path, reference(model, IMAGE)[0]


def test_an_adapter_file_is_enough(adapter, tmp_path, monkeypatch):
    path, label = adapter
    shutil.copy(path, tmp_path / 'mine.safetensors')
    monkeypatch.chdir(tmp_path)
    predictor = rein_seg.load('mine.safetensors', device='cpu')
    np.testing.assert_array_equal(predictor.predict(IMAGE).map, label)
    assert predictor.classes[:2] == ('road', 'sidewalk')
    assert predictor.palette[0].tolist() == [128, 64, 128]
    assert predictor.palette.dtype == np.uint8
    assert predictor.device == torch.device('cpu')
    assert type(predictor.model).__name__ == 'PEFTSegmentor'
    assert not predictor.model.training
    assert sorted(p.name for p in tmp_path.iterdir()) == ['mine.safetensors']


OLD_FILES = REPO / 'tests/checkpoint/files_0_1'
OLD_ADAPTERS = sorted(
    path.name for path in OLD_FILES.glob('*.safetensors') if '.logits.' not in path.name
)


@pytest.mark.parametrize('name', OLD_ADAPTERS)
def test_adapter_files_of_the_first_release(name):
    result = rein_seg.load(OLD_FILES / name, device='cpu').predict(IMAGE)
    assert result.map.shape == (40, 70)
    assert result.classes[:2] == ('road', 'sidewalk')


def test_the_folder_of_a_run(adapter, tmp_path):
    path, label = adapter
    for source in (path.parent, str(path.parent), path):
        np.testing.assert_array_equal(rein_seg.load(source, device='cpu').predict(IMAGE).map, label)
    with pytest.raises(UserError, match=r'holds no adapter.safetensors'):
        rein_seg.load(tmp_path)


def test_classes_and_palette_of_the_file_come_first(tmp_path):
    names = [f'mine {i}' for i in range(19)]
    colours = [[i, 2 * i, 3 * i] for i in range(19)]
    meta = {'classes': names, 'palette': colours}
    path, _ = write_adapter(tmp_path, more={'dataset_meta': meta})
    predictor = rein_seg.load(path, device='cpu')
    assert predictor.classes == tuple(names)
    assert predictor.palette.tolist() == colours
    assert list(predictor.predict(IMAGE).shares) == names


def test_a_file_with_more_names_than_classes(tmp_path):
    path, _ = write_adapter(
        tmp_path, more={'dataset_meta': {'classes': ['a', 'b'], 'palette': [[1, 2, 3]] * 2}}
    )
    with pytest.raises(UserError, match='names 2 classes, but its model has 19'):
        rein_seg.load(path, device='cpu')


def test_a_training_checkpoint_holds_its_config(tmp_path):
    path, model = write_adapter(tmp_path)
    text = json.loads(safe_open(path, 'pt').metadata()['config'])
    meta = dict(cfg=text, identity=model.identity, identity_format=2)
    content = dict(meta=meta, state_dict=weights_to_cpu(model.state_dict()))
    save_checkpoint(tmp_path / 'iter_2.pth', content)
    predictor = rein_seg.load(tmp_path / 'iter_2.pth', device='cpu')
    np.testing.assert_array_equal(predictor.predict(IMAGE).map, reference(model, IMAGE)[0])


def test_a_file_that_a_head_started_from_is_not_needed_again(tmp_path):
    starts = tmp_path / 'setr.pth'
    tensors = {'aux_0.weight': torch.randn(4, 32, 1, 1), 'aux_1.weight': torch.randn(19, 4, 1, 1)}
    torch.save({f'decode_head.{name}': tensor for name, tensor in tensors.items()}, starts)
    extra = HEAD_FROM_A_FILE.format(path=str(starts))
    path, model = write_adapter(tmp_path, extra=extra)
    label = reference(model, IMAGE)[0]
    starts.unlink()
    found = rein_seg.load(path, device='cpu').predict(IMAGE).map
    np.testing.assert_array_equal(found, label)
    # nor for the commands that take a config and a file of weights
    cfg = tiny_config(tmp_path, extra=extra)
    model = rein_seg.init_model(cfg, str(path), device='cpu')
    np.testing.assert_array_equal(reference(model, IMAGE)[0], label)
    assert cfg.model.decode_head.checkpoint == str(starts)
    tested = resolve(cfg, Request(weights_given=True)).cfg
    assert tested.model.decode_head.checkpoint is None


def test_weights_of_the_encoder_are_found_beside_the_adapter(tmp_path, monkeypatch):
    (tmp_path / 'home').mkdir()
    weights = tmp_path / 'home' / 'vit.safetensors'
    shutil.copy(package_file('package:tiny_vit.safetensors'), weights)
    extra = REAL_ENCODER.format(path=str(weights))
    path, model = write_adapter(tmp_path, extra=extra)
    label = reference(model, IMAGE)[0]
    assert str(tmp_path) not in json.loads(safe_open(path, 'pt').metadata()['config'])
    other = tmp_path / 'elsewhere'
    other.mkdir()
    shutil.copy(path, other)
    monkeypatch.chdir(other)
    with pytest.raises(UserError, match=r"weights file 'vit.safetensors'"):
        rein_seg.load(path.name, device='cpu')
    given = rein_seg.load(path.name, device='cpu', encoder_weights=weights)
    np.testing.assert_array_equal(given.predict(IMAGE).map, label)
    shutil.copy(weights, other)
    found = rein_seg.load(other / path.name, device='cpu')
    np.testing.assert_array_equal(found.predict(IMAGE).map, label)
    with safe_open(weights, 'pt') as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors[next(iter(tensors))] += 1
    save_file(tensors, other / 'vit.safetensors')
    with pytest.raises(
        UserError,
        match="made for another encoder: it says encoder.weights='sha256:.*file of the enc",
    ):
        rein_seg.load(other / path.name, device='cpu')
    with pytest.raises(UserError, match=r"encoder_weights='nowhere.pth' does not exist"):
        rein_seg.load(path.name, encoder_weights='nowhere.pth')


def rewritten(path, target, **changes):
    """Writes a copy of an adapter file with other metadata, in order as a sender could."""
    with safe_open(path, 'pt') as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        texts = {key: text for key, text in file.metadata().items() if key != 'metadata_sha256'}
    texts.update({key: json.dumps(value) for key, value in changes.items()})
    texts['metadata_sha256'] = metadata_sha256(texts)
    save_file(tensors, target, metadata=texts)
    return target


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ("import os\nos.system('touch ran')", 'line 1: expected names with plain values'),
        ("model = open('ran', 'w')", 'line 1: expected names with plain values, not Call'),
        ("x = [y for y in ()]\nopen('ran', 'w')", 'not ListComp'),
        ('x = ().__class__', 'not Attribute'),
        ('model = dict(', r'cannot be read \(SyntaxError\)'),
        ('x = ' + '(' * 5000, 'cannot be read'),
        (
            "model = dict(type='os.system')",
            "model.type='os.system': expected parts",
        ),
        (None, 'holds no config'),
        ('', 'holds no config'),
    ],
)
def test_a_config_from_anybody_is_never_run(adapter, tmp_path, monkeypatch, text, words):
    path = rewritten(adapter[0], tmp_path / 'adapter.safetensors', config=text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        rein_seg.load(path, device='cpu')
    assert '\n' not in str(caught.value)
    assert not Path('ran').exists()


@pytest.mark.parametrize('kind', ['os.system', 'subprocess.Popen'])
def test_classes_by_a_path_are_refused(adapter, tmp_path, kind):
    text = json.loads(safe_open(adapter[0], 'pt').metadata()['config'])
    for name in ("'PEFTSegmentor'", "'TinyViT'", "'LinearHead'", "'Rein'"):
        path = rewritten(
            adapter[0], tmp_path / 'a.safetensors', config=text.replace(name, repr(kind))
        )
        with pytest.raises(UserError, match=kind):
            rein_seg.load(path, device='cpu')


@pytest.mark.parametrize(
    ('before', 'after', 'words'),
    [
        (
            'decode_head=dict(',
            "decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', class_weight='w.pkl'), ",
            "class_weight='w.pkl'",
        ),
        ("type='TinyViT'", "type='mmpretrain.TIMMBackbone'", 'expected parts that are known here'),
        (
            'backbone=dict(',
            "neck=dict(type='mmpretrain.GlobalAveragePooling'), backbone=dict(",
            "model.neck.type='mmpretrain.GlobalAveragePooling'",
        ),
        ("type='PEFTSegmentor'", "type='EncoderDecoder'", "model.type='EncoderDecoder'"),
    ],
)
def test_parts_that_read_files_or_import_are_refused(adapter, tmp_path, before, after, words):
    text = json.loads(safe_open(adapter[0], 'pt').metadata()['config'])
    assert before in text
    path = rewritten(adapter[0], tmp_path / 'a.safetensors', config=text.replace(before, after, 1))
    with pytest.raises(UserError, match=words):
        rein_seg.load(path, device='cpu')


def test_a_file_without_a_config_needs_one(adapter, tmp_path):
    path = rewritten(adapter[0], tmp_path / 'a.safetensors', config=None)
    config = str(adapter[0].parent / 'tiny.py')
    predictor = rein_seg.load(path, config=config, device='cpu')
    np.testing.assert_array_equal(predictor.predict(IMAGE).map, adapter[1])


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        ('nowhere.safetensors', r"'nowhere.safetensors' does not exist: expected an adapter file"),
        ('rein_tiny_miniscapes', 'shipped config, which has no trained weights'),
        (Path('nowhere/at_all'), 'does not exist'),
        ('a/b/c', 'does not exist'),
        ('hf:a', 'expected hf:ORG/REPO'),
    ],
)
def test_another_source_is_an_error_of_one_line(source, words):
    with pytest.raises(UserError, match=words) as caught:
        rein_seg.load(source)
    assert '\n' not in str(caught.value)


def test_a_misspelled_name_in_a_folder_is_no_hub_id(tmp_path, monkeypatch):
    (tmp_path / 'runs').mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"'runs/demi' does not exist"):
        rein_seg.load('runs/demi')


@pytest.mark.parametrize('device', ['cuda', 'cuda:99', 'gpu', 3.5])
def test_a_device_that_is_absent(adapter, device):
    if device == 'cuda' and torch.cuda.is_available():
        pytest.skip('there is one')
    with pytest.raises(UserError, match=rf"device='{device}' cannot be used .*expected one of cpu"):
        rein_seg.load(adapter[0], device=device)


def test_an_id_of_the_hub(adapter, server, tmp_path, monkeypatch):
    body = adapter[0].read_bytes()
    server.answers['/ann/cars/resolve/main/adapter.safetensors'] = Answer(body)
    server.answers['/ann/cars/resolve/v2/adapter.safetensors'] = Answer(body)
    monkeypatch.chdir(tmp_path)
    for source in ('ann/cars', 'ann/cars@v2', 'hf:ann/cars'):
        predictor = rein_seg.load(source, device='cpu')
        np.testing.assert_array_equal(predictor.predict(IMAGE).map, adapter[1])
    assert len(server.asked) == 2  # the third is in the cache
    with pytest.raises(UserError, match=r'ann/bikes.*adapter.safetensors'):
        rein_seg.load('ann/bikes')


def test_an_id_of_the_hub_without_a_network(server, monkeypatch):
    monkeypatch.setenv('REIN_SEG_OFFLINE', '1')
    address = f'{server.url}/ann/cars/resolve/main/adapter.safetensors'
    with pytest.raises(
        UserError, match=f"'adapter.safetensors' cannot be downloaded from {address}"
    ):
        rein_seg.load('ann/cars')
    assert server.asked == []
