"""Models that read the names of classes, built in a program."""

import pytest
import torch

import rein_seg
from rein_seg.checkpoint import tensors_sha256
from rein_seg.errors import UserError
from rein_seg.text import ClassTable
from tests.models.words import WORDS

CLASSES = ('road', 'sky', 'tram')
SIZES = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
TINY = dict(type='TinyCLIP', arch=SIZES, img_size=32, patch_size=8, joint_dims=16, init_seed=0)
PLAIN = dict(type='TinyViT', arch=SIZES, img_size=32, patch_size=8, init_seed=0)
IMAGES = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
assert WORDS  # registers the parts that the configs name


def test_a_head_that_reads_names_gets_a_table_of_the_classes():
    model = rein_seg.build_model(TINY, 'LoRA', 'atm', classes=CLASSES)
    assert type(model.segmentor.text).__name__ == 'ClassTable'
    assert model.segmentor.text.classes == CLASSES
    assert model(IMAGES).shape == (1, 3, 32, 48)
    losses = model.loss(IMAGES, torch.zeros(1, 32, 48, dtype=torch.long))
    sum(losses.values()).backward()
    assert not [name for name in model.state_dict() if '.text.' in name]


def test_the_file_of_a_built_model_predicts_other_classes(tmp_path):
    text = dict(type='WordTable', dims=8, unseen=['tram'], names=dict(road=['road', 'street']))
    head = dict(type='WordHead')
    model = rein_seg.build_model(PLAIN, 'Frozen', head, classes=CLASSES, text=text)
    rein_seg.save_adapter(model, tmp_path / 'words.safetensors')
    predictor = rein_seg.load(tmp_path / 'words.safetensors', device='cpu')
    assert predictor.classes == CLASSES
    assert predictor.model.text.words == (('road', 'street'), ('sky',), ('tram',))
    other = predictor.with_classes(['street', 'pond', 'tram'])
    assert other.model.decode_head.unseen == (1, 2)
    assert other.predict(IMAGES[0]).scores is None
    assert other.predict(IMAGES[0], scores=True).scores.shape == (3, 32, 48)
    again = rein_seg.build_model(PLAIN, 'Frozen', head, classes=CLASSES, text=text)
    assert '2/2 tensors' in rein_seg.load_adapter(again, tmp_path / 'words.safetensors')
    torch.testing.assert_close(again(IMAGES), model(IMAGES))


def test_another_table_is_named_when_an_adapter_is_loaded(tmp_path):
    text = dict(type='WordTable', dims=8)
    head = dict(type='WordHead')
    model = rein_seg.build_model(PLAIN, 'Frozen', head, classes=CLASSES, text=text)
    rein_seg.save_adapter(model, tmp_path / 'words.safetensors')
    text['source'] = 'sha256:others'
    again = rein_seg.build_model(PLAIN, 'Frozen', head, classes=CLASSES, text=text)
    with pytest.raises(UserError, match=r"'sha256:words'.*'sha256:others'"):
        rein_seg.load_adapter(again, tmp_path / 'words.safetensors')


def table(path, **options):
    """Writes a table of the classes; returns its digest."""
    sizes = dict(width=16, layers=1, heads=2, dims=16, words=['a', 'photo', 'of', *CLASSES])
    made = ClassTable(CLASSES, tower=dict(init_seed=0, **sizes), **options)
    made.save(path)
    return tensors_sha256({'rows': made.table})


def test_a_table_in_a_file_is_found_beside_the_adapter_and_told_by_its_digest(tmp_path):
    digests = table(tmp_path / 'a.safetensors'), table(tmp_path / 'b.safetensors', templates=['{}'])
    text = dict(type='ClassTable', file=str(tmp_path / 'a.safetensors'))
    model = rein_seg.build_model(TINY, 'LoRA', 'atm', classes=CLASSES, text=text)
    (tmp_path / 'out').mkdir()
    rein_seg.save_adapter(model, tmp_path / 'out/adapter.safetensors')
    other = {**text, 'file': str(tmp_path / 'b.safetensors')}
    with pytest.raises(UserError, match=rf'{digests[0][:9]}.*{digests[1][:9]}'):
        again = rein_seg.build_model(TINY, 'LoRA', 'atm', classes=CLASSES, text=other)
        rein_seg.load_adapter(again, tmp_path / 'out/adapter.safetensors')
    (tmp_path / 'a.safetensors').rename(tmp_path / 'out/a.safetensors')
    predictor = rein_seg.load(tmp_path / 'out', device='cpu')
    assert predictor.predict(IMAGES[0]).map.shape == (32, 48)
    with pytest.raises(UserError, match='fixed classes, since ClassTable has'):
        predictor.with_classes(['road', 'pond'])


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(num_classes=3), ("'ATMHead' reads the names", 'give classes=')),
        (dict(classes=CLASSES, encoder=PLAIN), ("'ATMHead'", 'joint', 'TinyCLIP')),
        (dict(classes=CLASSES, head='linear', encoder=PLAIN, text='ClassTable'), ('read by no',)),
        (dict(classes=CLASSES, text='ClassTabel'), ("'ClassTabel'", 'ClassTable')),
    ],
)
def test_what_does_not_fit_is_named(options, words):
    with pytest.raises(UserError) as error:
        rein_seg.build_model(**{**dict(encoder=TINY, peft='LoRA', head='atm'), **options})
    assert all(word in str(error.value) for word in words), error.value
    assert '\n' not in str(error.value)
