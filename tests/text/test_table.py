"""Tables of class embeddings: rows, files, the cache, other classes."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rein_seg.checkpoint import tensors_sha256
from rein_seg.errors import UserError
from rein_seg.models.text_config import build_text
from rein_seg.text import ClassTable
from rein_seg.text.rows import read_rows
from rein_seg.text.source import build_source, embed_texts
from rein_seg.text.templates import templates_of
from tests.text.towers import TOWER, WORDS, make_tower, words_file

CLASSES = ['road', 'traffic_light', 'sky']


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('REIN_SEG_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'class_tables'


def table(**options):
    return MODELS.build(dict(type='ClassTable', classes=CLASSES, **options))


def test_sentences_are_averaged_on_the_sphere():
    templates, names = ['a {}', 'the photo of {}'], dict(road=['road', 'street'])
    made = table(tower=TOWER, templates=templates, names=names)
    source = build_source(TOWER)
    for index, words in enumerate((['road', 'street'], ['traffic light'], ['sky'])):
        texts = [template.format(word) for template in templates for word in words]
        rows = F.normalize(embed_texts(source, texts))
        torch.testing.assert_close(made()[index], F.normalize(rows.mean(0), dim=0))
    assert made.dims == 8 and not made.state_dict()


def test_other_classes_and_back():
    made = table(tower=TOWER)
    before, identity = made().clone(), made.identity
    made.set_classes(['sky', 'tram'], unseen=['tram'])
    assert made.unseen == (1,) and made().shape == (2, 8)
    torch.testing.assert_close(made()[0], before[2])
    assert made.identity == identity
    with pytest.raises(UserError, match="the text tower does not know the word 'tank'"):
        made.set_classes(['sky', 'tank'])
    assert made.classes == ('sky', 'tram') and made().shape == (2, 8)


def test_a_file_gives_the_same_rows(tmp_path):
    path = tmp_path / 'table.safetensors'
    made = table(tower=TOWER, templates=['the {}'], names=dict(road=['street']))
    made.save(path)
    read = table(file=str(path))
    assert torch.equal(read(), made()) and read.source == made.source
    assert (read.words, read.templates) == (made.words, made.templates)
    with pytest.raises(UserError, match='a table of 3 classes and reads no others'):
        read.set_classes(['road', 'tram'])
    assert not read.open_vocabulary and read.classes == tuple(CLASSES)
    # with the tower beside it, the same sentences are made for other classes
    both = table(file=str(path), tower=TOWER)
    both.set_classes(['traffic light', 'tram'])
    torch.testing.assert_close(both()[0], made()[1])
    digest = tensors_sha256({'rows': read()})  # another file with other values is told by it
    assert both.identity == {**made.identity, 'rows': f'sha256:{digest}'}


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(classes=['road', 'sky']), r'of other classes \(road, traffic_light, sky\), expected'),
        (dict(names=dict(sky=['tram'])), r"has the words \['sky'\] for 'sky', text.names gives"),
        (dict(dims=9), 'have width 8, the joint space of the encoder has 9'),
        (dict(tower={**TOWER, 'init_seed': 1}), 'was made by another text tower'),
    ],
)
def test_a_file_that_does_not_fit(tmp_path, options, words):
    path = str(tmp_path / 'table.safetensors')
    table(tower=TOWER).save(path)
    with pytest.raises(UserError, match=words):
        MODELS.build(dict(type='ClassTable', file=path, **{'classes': CLASSES, **options}))


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / 'table.safetensors'
    table(tower=TOWER).save(path)
    with safe_open(path, framework='pt') as file:
        metadata = file.metadata()
    rows = load_file(path)['rows']
    save_file({'rows': rows * 2}, path, metadata=metadata)
    with pytest.raises(UserError, match='was changed after it was written: its SHA-256'):
        table(file=str(path))
    save_file({'rows': rows}, path)
    with pytest.raises(UserError, match='is another file: expected rows with classes'):
        table(file=str(path))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match='is truncated or damaged'):
        table(file=str(path))
    with pytest.raises(UserError, match=r'expected a name in \.safetensors'):
        table(tower=TOWER).save(tmp_path / 'table.pth')


def half_rows(tmp_path, rows=3, width=8, dtype=np.float16, seed=0):
    path = tmp_path / 'table.npy'
    drawn = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    np.save(path, F.normalize(drawn).numpy().astype(dtype))
    return path


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_rows_of_an_array_stay_as_they_are(tmp_path, dtype):
    path = half_rows(tmp_path, dtype=dtype)
    read = table(file=str(path), tower=TOWER, templates='imagenet')
    assert read().dtype == torch.float32
    assert np.array_equal(read().numpy(), np.load(path).astype(np.float32))
    assert read.source == f'npy:sha256:{tensors_sha256({"rows": read()})}'
    assert read.identity['source'] == read.source and 'templates' not in read.identity
    assert not read.open_vocabulary
    with pytest.raises(UserError, match='a table of 3 classes and reads no others'):
        read.set_classes(['road', 'tram'])
    other = table(file=str(half_rows(tmp_path, dtype=dtype, seed=1)))
    assert other.identity['source'] != read.identity['source']
    read.save(tmp_path / 'again.safetensors')
    again = table(file=str(tmp_path / 'again.safetensors'))
    assert torch.equal(again(), read()) and again.source == read.source


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(rows=4), r'has shape \(4, 8\) .* a row .* for each of the 3 classes'),
        (dict(dtype=np.int64), 'type int64: expected .* floating-point numbers'),
        (dict(width=9), 'have width 9, the joint space of the encoder has 8'),
    ],
)
def test_an_array_that_does_not_fit(tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        table(file=str(half_rows(tmp_path, **options)), dims=8)


def test_an_array_that_is_no_table(tmp_path):
    path = tmp_path / 'table.npy'
    for content, words in (
        (np.array([['road']], object), 'is damaged, or no array of numbers .*allow_pickle'),
        (np.full((3, 8), np.nan, np.float16), "row of 'road' has length nan, expected 1"),
        (np.eye(3, 8) * [[1], [1], [2]], "row of 'sky' has length 2, expected 1; divide each"),
        (np.ones(3), r'has shape \(3,\)'),
    ):
        np.save(path, content, allow_pickle=True)
        with pytest.raises(UserError, match=words):
            table(file=str(path))
    path.write_bytes(half_rows(tmp_path).read_bytes()[:150])
    with pytest.raises(UserError, match='is damaged, or no array'):
        table(file=str(path))
    path.write_bytes(b'PK\3\4 an archive')
    with pytest.raises(UserError, match='is damaged, or no array'):
        table(file=str(path))
    with pytest.raises(UserError, match="'no.npy'"):
        table(file='no.npy')


def test_rows_of_a_file_of_weights_are_computed_once(tmp_path, cache, monkeypatch):
    tower = dict(checkpoint=words_file(tmp_path / 'clip.safetensors'))
    first = table(tower=tower)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr('rein_seg.text.rows.embed_texts', None)
    assert torch.equal(table(tower=tower)(), first())
    (kept,) = cache.iterdir()
    kept.write_bytes(b'not a table')
    with pytest.raises(TypeError):  # it is computed again, which this test forbids
        table(tower=tower)
    monkeypatch.undo()
    monkeypatch.setenv('REIN_SEG_CACHE', str(cache.parent))
    torch.testing.assert_close(table(tower=tower)(), first())
    assert torch.equal(read_rows(kept).rows, first())
    table(tower=tower, templates=['the {}'])
    assert len(list(cache.iterdir())) == 2


def test_kept_rows_are_of_the_same_heads_and_words(tmp_path, cache):
    path = words_file(tmp_path / 'clip.safetensors')
    usual, four = (table(tower=dict(checkpoint=path, **own)) for own in ({}, dict(heads=4)))
    assert not torch.allclose(usual(), four()) and usual.source != four.source
    assert table(tower=dict(checkpoint=path, heads=1)).source == usual.source
    words = list(reversed(WORDS))  # the same tensors under other words
    other = words_file(tmp_path / 'other.safetensors', words)
    assert not torch.allclose(table(tower=dict(checkpoint=other))(), usual())
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize('error', [PermissionError, OSError])
def test_a_cache_that_cannot_be_read_costs_time_alone(tmp_path, monkeypatch, error):
    tower = dict(checkpoint=words_file(tmp_path / 'clip.safetensors'))
    first = table(tower=tower)

    def refuse(path):
        raise error(13, 'no', str(path))

    monkeypatch.setattr('rein_seg.text.rows.read_rows', refuse)
    torch.testing.assert_close(table(tower=tower)(), first())


def test_a_folder_in_place_of_a_kept_table_costs_time_alone(tmp_path, cache):
    tower = dict(checkpoint=words_file(tmp_path / 'clip.safetensors'))
    first = table(tower=tower)
    (kept,) = cache.iterdir()
    kept.unlink()
    kept.mkdir()
    torch.testing.assert_close(table(tower=tower)(), first())


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path, monkeypatch):
    (tmp_path / 'no_folder').write_text('')
    monkeypatch.setenv('REIN_SEG_CACHE', str(tmp_path / 'no_folder'))
    tower = dict(checkpoint=words_file(tmp_path / 'clip.safetensors'))
    assert table(tower=tower)().shape == (3, 16)


def test_the_encoder_names_the_tower(tmp_path):
    path = words_file(tmp_path / 'clip.safetensors')
    cfg = dict(type='ClassTable', classes=CLASSES)
    made = build_text(cfg, dict(type='CLIPViT', checkpoint=path), 3, joint_dims=16)
    torch.testing.assert_close(made(), table(tower=dict(checkpoint=path))())
    gelu = build_text(cfg, dict(type='CLIPViT', checkpoint=path, act='gelu'), 3, joint_dims=16)
    assert gelu.source != made.source and not torch.allclose(gelu(), made())
    with pytest.raises(UserError, match='has embeddings of width 16, the joint space of the'):
        build_text(cfg, dict(type='CLIPViT', checkpoint=path), 3, joint_dims=8)
    random = build_text(cfg, dict(type='CLIPViT', init_seed=3), 3, joint_dims=8)
    assert random.source == 'random:seed=3' and random.dims == 8
    prompt = dict(type='SharedContext', classes=CLASSES)
    learned = build_text(prompt, dict(type='CLIPViT', checkpoint=path), 3, joint_dims=16)
    assert learned.source == made.source
    with pytest.raises(UserError, match='expected checkpoint=FILE or init_seed=N'):
        build_text(cfg, dict(type='TimmEncoder', pretrained=True), 3)


def test_a_table_goes_with_an_image_tower_alone(tmp_path):
    path, image = tmp_path / 'table.safetensors', tmp_path / 'image.safetensors'
    table(tower=TOWER).save(path)
    save_file({'visual.class_embedding': torch.zeros(4)}, image)
    made = table(file=str(path), tower=dict(checkpoint=str(image)))
    assert made().shape == (3, 8) and not made.open_vocabulary


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(), 'expected checkpoint=FILE or init_seed=N'),
        (dict(init_seed=0, tower=TOWER), 'stand in place of tower and file'),
        (dict(tower=TOWER, templates='imagnet'), "is no set; did you mean 'imagenet'"),
        (dict(tower=TOWER, templates=['a road']), r"holds 'a road': expected .* one {}"),
        (dict(tower=TOWER, templates=[]), "or take the set 'plain'"),
        (dict(tower=TOWER, templates=['all {}']), "does not know the word 'all'"),
        (dict(tower=TOWER, names=dict(sky=['...'])), "the name '...' has no token"),
        (dict(tower={**TOWER, 'context_length': 4}), "'a photo of a road' has 7 tokens"),
        (dict(tower={**TOWER, 'widht': 4}), "text.tower takes no 'widht'.*'width'"),
        (dict(tower=dict(checkpoint='none.pt', width=4)), "takes no 'width' beside checkpoint"),
        (dict(tower=dict(checkpoint='none.pt')), "weights file 'none.pt' does not exist"),
        (dict(tower={**TOWER, 'heads': 3}), 'text.tower.heads=3: expected a divisor'),
        (dict(tower={**TOWER, 'act': 'relu'}), "text.tower.act='relu'"),
    ],
)
def test_wrong_options_end_in_a_line(options, words):
    with pytest.raises(UserError, match=words):
        table(**options)


def test_long_sentences_are_cut_where_that_is_wished():
    made = table(tower={**TOWER, 'context_length': 6}, truncate=True)
    assert made().isfinite().all()


def test_the_usual_sets():
    sizes = dict(name=1, plain=1, zegclip_coco=15, imagenet=80, vild=14)
    for name, count in sizes.items():
        made = ClassTable(
            CLASSES, tower={**TOWER, 'words': [*WORDS, *_words_of(name)]}, templates=name
        )
        assert len(set(made.templates)) == count
        torch.testing.assert_close(made().norm(dim=1), torch.ones(3))


def _words_of(name):
    found = {word for text in templates_of(name) for word in re.findall(r'\w+', text.lower())}
    return sorted(found - set(WORDS))


def test_a_table_does_not_depend_on_the_layout_of_the_file(tmp_path):
    tower = make_tower()
    plain, prefixed = tmp_path / 'a.safetensors', tmp_path / 'b.pth'
    save_file(tower.state_dict(), plain)
    torch.save({'state_dict': {f'module.{k}': v for k, v in tower.state_dict().items()}}, prefixed)
    sources = {table(tower=dict(checkpoint=str(path))).source for path in (plain, prefixed)}
    assert len(sources) == 1
