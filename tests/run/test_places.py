"""Configs that leave a machine hold none of its places."""

import os

import pytest
from mmengine.config import Config

from rein_seg.run.places import neutral_path, without_places

CONTENT = dict(
    data_root='/home/ann/data/gtav',
    encoder=dict(checkpoint='/mnt/disk 1/dinov2.pth', name="ann's"),
    parts=[dict(img='zip:///data/ann/01_images.zip', label='labels/train', rest=('~ann/x', 0.5))],
    address='https://example.org/data',
    windows='C:\\Users\\ann\\w.pth',
    lr=1e-4,
    none=None,
)


def test_a_whole_config(monkeypatch):
    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, False))
    text = without_places(Config(CONTENT).pretty_text)
    assert 'ann/' not in text
    found = {}
    exec(text, found)  # noqa: S102  our own text
    assert found['data_root'] == 'gtav'
    assert found['encoder'] == dict(checkpoint='dinov2.pth', name="ann's")
    assert found['parts'] == [
        dict(img='zip://01_images.zip', label='labels/train', rest=('x', 0.5))
    ]
    assert found['address'] == 'https://example.org/data'
    assert found['windows'] == 'w.pth'
    assert (found['lr'], found['none']) == (1e-4, None)


@pytest.mark.parametrize(
    ('path', 'expected'),
    [
        ('data/gtav', 'data/gtav'),
        ('../gtav', '../gtav'),
        ('/', ''),
        ('/home/ann/', 'ann'),
        ('', ''),
        ('1/2', '1/2'),
    ],
)
def test_paths(path, expected):
    assert neutral_path(path) == expected


def test_a_path_below_the_working_folder_is_relative_to_it():
    assert neutral_path(os.path.abspath('work_dirs/run')) == 'work_dirs/run'
