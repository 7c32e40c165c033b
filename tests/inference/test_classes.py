"""Other classes than those of the training: in a command and in a program."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import rein_seg
import rein_seg.apis
from rein_seg.errors import UserError
from rein_seg.inference.class_list import read_class_list
from rein_seg.inference.predictor import Predictor
from tests.cli.calls import assert_refused
from tests.inference.command import files, label, predict, record
from tests.inference.tiny_adapter import draw, film, pixels, tiny_adapter
from tests.inference.tiny_models import write_adapter
from tests.models.words import WORDS
from tests.run.words import extra, write_towers

EXTRA = """
benchmark['unseen'] = ('bus', 'bicycle')
model['text'] = dict(type='WordTable')
model['decode_head'] = dict(_delete_=True, type='WordHead')
model['backbone']['peft'] = dict(_delete_=True, type='LoRA', rank=2)
"""
DENSE_CLIP = """
model['neck'] = dict(type='PixelTextNeck', factors=(2, 1), out_channels=8,
    embed_dims=16, num_heads=2, num_layers=1)
model['decode_head'] = dict(_delete_=True, type='FPNHead', feature_strides=[4, 8], channels=8)
"""
CLASSES = 'road, pond, tram'
assert WORDS  # registers the parts that the config names


@pytest.fixture(scope='module')
def adapter(tmp_path_factory):
    return str(write_adapter(tmp_path_factory.mktemp('words'), extra=EXTRA)[0])


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_command_predicts_other_classes(adapter):
    draw('in/a.png')
    film('in/clip.mp4', count=2)
    assert predict('in', '--classes', CLASSES, '--scores', adapter=adapter)[0] == 0
    found = record()
    trained = rein_seg.load(adapter, device='cpu')
    assert found['classes'] == found['options']['classes'] == ['road', 'pond', 'tram']
    assert found['palette'][0] == trained.palette[0].tolist() == [128, 64, 128]
    assert len(np.unique(found['palette'], axis=0)) == 3
    assert np.load('out/scores/a.npy').shape == (3, 40, 60)
    assert label('out/a.png').max() < 3
    shares = {entry['name']: entry['shares'] for entry in found['images']}
    assert set(shares['a']) | set(shares['clip']) <= {'road', 'pond', 'tram'}
    expected = rein_seg.load(adapter, device='cpu', classes=CLASSES).predict(pixels()[..., ::-1])
    np.testing.assert_array_equal(label('out/a.png'), expected.map)
    with Image.open('out/overlays/a.jpg') as overlay:
        assert overlay.size[1] > 40  # with the legend
    assert 'overlays/clip.mp4' in files()


def test_other_classes_are_another_prediction(adapter):
    draw('in/a.png')
    assert predict('in', '--classes', CLASSES, adapter=adapter)[0] == 0
    assert predict('in', '--classes', CLASSES, adapter=adapter)[0] == 0
    code, err = predict('in', '--classes', 'road, pond', adapter=adapter)
    assert_refused(code, err, 'classes=["road", "pond", "tram"]', 'has classes=["road", "pond"]')
    code, err = predict('in', adapter=adapter)
    assert_refused(code, err, 'this command has classes=default', '--overwrite')
    assert predict('in', '--classes', 'road, pond', '--overwrite', adapter=adapter)[0] == 0
    assert record()['classes'] == ['road', 'pond']


def test_a_file_of_classes_with_words(adapter):
    draw('a.png')
    Path('names.txt').write_text('# of the town\nroad\n\nterrain = grass, soil\nroof\n')
    assert predict('a.png', '--classes', 'names.txt', adapter=adapter)[0] == 0
    assert record()['options']['classes'] == ['road', 'terrain = grass, soil', 'roof']
    inline = 'road; terrain = grass, soil; roof'
    assert predict('a.png', '--classes', inline, adapter=adapter)[0] == 0  # the same


@pytest.mark.parametrize(
    ('text', 'parts'),
    [
        ('road', ["'road' alone", 'two names or more']),
        ('', ["''", 'expected words']),
        ('road,,tram', ["name ''"]),
        ('road, Road', ["'road' and 'Road'", 'different names']),
        ('missing.txt', ["'missing.txt' does not exist", 'a name a line']),
        ('road; a, b', ["'a, b'", 'has a comma']),
        ('road; tram =', ['text.names', "'tram'"]),
        ('ground = grass, soil', ['semicolons between the classes']),
        ('empty.txt', ['has no names', 'a name a line']),
        ('binary.txt', ['not UTF-8', 'byte 0']),
    ],
)
def test_wrong_classes_are_refused_before_anything_is_read(adapter, text, parts):
    Path('binary.txt').write_bytes(b'\xff\xfe\x00')
    Path('empty.txt').write_text('# names\n\n')
    code, err = predict('no_such_image.png', '--classes', text, adapter=adapter)
    assert_refused(code, err, *parts)
    assert not Path('out').exists()


def test_a_model_of_fixed_classes_says_what_would_do():
    draw('a.png')
    code, err = predict('a.png', '--classes', CLASSES, adapter=tiny_adapter())
    assert_refused(code, err, 'fixed classes', 'model.text', 'zegclip_tiny_miniscapes')
    assert not Path('out').exists()
    with pytest.raises(UserError, match='fixed classes'):
        rein_seg.load(tiny_adapter(), device='cpu').with_classes(['road', 'pond'])


def test_predictors_of_one_model_have_classes_of_their_own(adapter):
    trained = rein_seg.load(adapter, device='cpu')
    before = trained.predict(pixels()).map
    other = trained.with_classes({'pond': ['pond', 'lake'], 'road': 'road', 'bus': 'bus'})
    again = other.with_classes(['sky', 'road'])
    assert (other.classes, again.classes) == (('pond', 'road', 'bus'), ('sky', 'road'))
    assert other.model.decode_head.unseen == (0, 2)  # `bus` was held out
    assert again.palette[0].tolist() == [70, 130, 180]  # of the training
    np.testing.assert_array_equal(trained.predict(pixels()).map, before)
    assert len(trained.classes) == 19
    assert other.model.backbone is again.model.backbone is trained.model.backbone
    maps = {}
    each = {'trained': trained, 'other': other, 'again': again}

    def work(name):
        maps[name] = [each[name].predict(pixels(seed=i)).map for i in range(3)]

    threads = [threading.Thread(target=work, args=(name,)) for name in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, predictor in each.items():
        for i, found in enumerate(maps[name]):
            np.testing.assert_array_equal(found, predictor.predict(pixels(seed=i)).map)


@pytest.fixture(scope='module')
def towers(tmp_path_factory):
    """An adapter of the ATM head with a table of both towers' file, beside it."""
    folder = tmp_path_factory.mktemp('towers')
    lines = extra(write_towers(folder / 'towers.safetensors'), dict(type='ClassTable'))
    return str(write_adapter(folder, extra=lines)[0])


def test_the_command_with_towers_of_image_and_text(towers):
    draw('in/a.png')
    assert predict('in', '--classes', 'road, pond, lake', '--scores', adapter=towers)[0] == 0
    assert record()['classes'] == ['road', 'pond', 'lake']
    scores = np.load('out/scores/a.npy')
    assert scores.shape == (3, 40, 60)
    np.testing.assert_allclose(scores.sum(0, dtype=float), 1, atol=2e-3)
    code, err = predict('in', '--classes', 'road, zebra', adapter=towers, out='more')
    assert_refused(code, err, "'zebra'")
    assert not Path('more').exists()
    words = 'road; water = pond, lake'
    assert predict('in', '--classes', words, adapter=towers, out='more')[0] == 0
    assert record('more/predictions.json')['classes'] == ['road', 'water']


@pytest.mark.parametrize('tta', [False, [1.0, 1.25]])
def test_the_bias_decides_with_and_without_augmentation(towers, tta):
    predictor = rein_seg.load(towers, device='cpu', classes=['road', 'pond', 'lake'])
    assert predictor.model.decode_head.unseen == (1, 2)
    predictor.model.decode_head.seen_bias = 2.0
    found = predictor.predict(pixels(), tta=tta, scores=True)
    assert 0 not in found.map
    np.testing.assert_allclose(found.scores.sum(0), 1, atol=1e-5)


def test_a_neck_with_a_channel_for_each_class_refuses(tmp_path):
    text = dict(type='SharedContext', num_context=2)
    lines = extra(write_towers(tmp_path / 'towers.safetensors'), text) + DENSE_CLIP
    adapter = str(write_adapter(tmp_path, extra=lines)[0])
    draw('a.png')
    assert predict('a.png', adapter=adapter)[0] == 0
    code, err = predict('a.png', '--classes', 'road, pond', adapter=adapter, out='more')
    assert_refused(code, err, 'fixed classes', 'PixelTextNeck have a channel for each class')


def test_unseen_names_without_classes_have_no_effect(adapter):
    with pytest.raises(UserError, match='without classes has no effect'):
        rein_seg.load(adapter, unseen=['pond'])
    predictor = rein_seg.load(adapter, device='cpu', classes=['road', 'pond'], unseen=['road'])
    assert predictor.model.decode_head.unseen == (0,)


def test_the_adapter_names_its_text_and_leaves_the_table_out(adapter):
    from rein_seg.checkpoint import read_adapter

    held = read_adapter(adapter)
    assert held.metadata['text']['source'] == 'sha256:words'
    assert held.metadata['text']['open_vocabulary'] is True
    assert not [name for name in held.tensors if name.startswith('text')]
    assert "'sky'" in json.dumps(held.metadata['config'])  # the names of the classes


def test_a_list_of_classes_reads_as_it_is_written():
    listed = read_class_list({'road': 'street', 'sky': ('sky', 'clouds')})
    assert listed.lines == ('road = street', 'sky = sky, clouds')
    assert read_class_list('; '.join(listed.lines)) == listed
    assert read_class_list('road, sky,').classes == ('road', 'sky')


@pytest.mark.parametrize('classes', [None, 3, {'road': None, 'sky': 'sky'}, ['road', '\udcff']])
def test_classes_of_a_program_that_are_no_names(classes):
    with pytest.raises(UserError, match='expected (names|words)'):
        read_class_list(classes)


def test_a_path_object_names_a_file(tmp_path):
    path = tmp_path / 'names.txt'
    path.write_text('road\nsky\n')
    assert read_class_list(path).classes == ('road', 'sky')


def test_more_classes_than_a_byte_holds(adapter):
    names = [f'name {i}' for i in range(300)]
    model = rein_seg.load(adapter, device='cpu', classes=names).model
    assert len(np.unique(model.dataset_meta['palette'], axis=0)) > 200
    last = torch.eye(300)[299].view(1, -1, 1, 1)
    model.encode_decode = lambda inputs, metas=None: last.expand(len(inputs), -1, *inputs.shape[2:])
    found = rein_seg.apis.predict(model, pixels())
    assert found.dtype == np.uint16 and (found == 299).all()


def test_a_model_whose_classes_are_set_names_them(adapter):
    model = rein_seg.load(adapter, device='cpu').model
    colour = model.dataset_meta['palette'][0]
    model.set_classes(['pond', 'Road'])
    assert model.dataset_meta['classes'] == ('pond', 'Road')
    assert list(model.dataset_meta['palette'][1]) == list(colour)
    assert Predictor(model).classes == ('pond', 'Road')
