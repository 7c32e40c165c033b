"""The class embeddings of a config as a file."""

import pytest
import torch
from mmengine.config import Config

from rein_seg.errors import UserError
from rein_seg.export.class_table import write_class_table
from rein_seg.models.text_config import build_text
from rein_seg.text.rows import read_rows
from tests.cli.calls import call
from tests.text.towers import TOWER, WORDS

CLASSES = ['road', 'sky']
NAMES = [
    'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic', 'light', 'sign',
    'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle',
    'bicycle',
]  # fmt: skip


def config(**text):
    text = dict(type='ClassTable', classes=CLASSES, tower=TOWER, templates=['a {}'], **text)
    backbone = dict(encoder=dict(type='TinyViT', init_seed=0))
    return Config(dict(model=dict(num_classes=2, backbone=backbone, text=text)))


def test_the_file_stands_in_place_of_the_tower(tmp_path):
    path = str(tmp_path / 'table.safetensors')
    cfg = config(names=dict(road=['road', 'street']))
    said = write_class_table(cfg, path)
    assert said.startswith('2 classes, 1 sentence a word, width 8, from the text tower sha256:')
    made = build_text(cfg.model.text, cfg.model.backbone.encoder, 2)
    read = build_text(dict(type='ClassTable', classes=CLASSES, file=path), dict(init_seed=0), 2)
    assert torch.equal(made(), read()) and read.source == made.source
    assert read_rows(path).words == (('road', 'street'), ('sky',))


@pytest.mark.parametrize(
    ('text', 'words'),
    [(None, 'model.text is not there: expected a ClassTable'), ('CoOp', "model.text is a 'CoOp'")],
)
def test_a_config_without_a_table(text, words, tmp_path):
    cfg = config()
    cfg.model.text = text and dict(type=text)
    with pytest.raises(UserError, match=words):
        write_class_table(cfg, tmp_path / 'table.safetensors')
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = sorted({*WORDS, *NAMES})
    tower = {**TOWER, 'words': words}
    (tmp_path / 'one.py').write_text(
        "_base_ = 'frozen_tiny_miniscapes.py'\n"
        f"model = dict(text=dict(type='ClassTable', templates='name', tower={tower!r}))\n"
    )
    code, err = call('class-table', 'one.py', 'table.safetensors')
    assert (code, err) == (0, '')
    rows = read_rows('table.safetensors')
    assert rows.rows.shape == (len(rows.classes), 8) and 'traffic light' in rows.classes
    code, err = call('class-table', 'one.py', 'table.pth')
    assert code == 2 and "'table.pth': expected a name in .safetensors; rename it" in err
