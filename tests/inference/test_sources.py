"""Words of a command become inputs, in one order, each once."""

import io
import os
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from rein_seg.errors import UserError
from rein_seg.inference.sources import find_sources


def names(*words, **options):
    return [source.name for source in find_sources(words, **options)]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        'in/10.jpg', 'in/9.JPG', 'in/2 b/x.png', 'in/größe.webp', 'in/clip.mp4', 'in/notes.md',
        'in/.hidden.png', 'in/.ipynb_checkpoints/a.png', 'in/@eaDir/a.png', 'in/a.png.part',
        'other/10.jpg', 'x[1].png',
    ):  # fmt: skip
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return tmp_path


def test_folders_are_searched_with_numbers_as_numbers(tree):
    assert names('in') == ['9.JPG', '10.jpg', 'clip.mp4', 'größe.webp', '2 b/x.png']
    assert names('in/') == names('./in') == names(str(tree / 'in')) == names('in')


def test_a_folder_named_like_a_picture_is_no_picture(tree):
    (tree / 'in/folder.png').mkdir()
    (tree / 'in/folder.png/inside.png').touch()
    assert names('in')[-1] == 'folder.png/inside.png'
    assert 'folder.png' not in names('in')


def test_patterns_keep_folders_below_their_fixed_part(tree):
    assert names('in/*') == names('in')
    assert names('in/**/*.png') == ['2 b/x.png']
    assert names('*/*.jpg') == ['in/10.jpg', 'other/10.jpg']
    assert names('in/**') == names('in')
    assert names('x[1].png') == ['x[1].png']  # a name, not a pattern


def test_words_stay_in_order_and_a_file_comes_once(tree):
    assert names('in/10.jpg', 'in') == ['10.jpg', '9.JPG', 'clip.mp4', 'größe.webp', '2 b/x.png']
    assert names('other', 'in/9.JPG') == ['10.jpg', '9.JPG']


def test_lists_are_relative_to_themselves(tree, monkeypatch):
    Path('in/list.txt').write_text('\ufeff10.jpg\r\n\n2 b/x.png\nnot there.png\n', 'utf-8')
    found = find_sources(['in/list.txt'])
    assert [source.name for source in found] == ['10.jpg', '2 b/x.png', 'not there.png']
    assert os.path.samefile(found[0].path, 'in/10.jpg')
    Path('lists').mkdir()
    Path('lists/list.txt').write_text(f'{tree}/in/10.jpg\n../other\n')
    assert names('lists/list.txt') == ['in/10.jpg', 'other/10.jpg']
    monkeypatch.setattr('sys.stdin', io.StringIO('in/10.jpg\n'))
    assert names('-') == ['in/10.jpg']


def test_zips_are_read_as_folders(tree):
    with zipfile.ZipFile('all.zip', 'w') as file:
        for name in ('all/day/a.png', 'all/b.png', '__MACOSX/b.png'):
            file.writestr(name, b'')
    assert names('all.zip') == ['b.png', 'day/a.png']


@pytest.mark.parametrize(
    ('word', 'parts'),
    [
        ('inn', ["source 'inn' does not exist", "did you mean 'in'"]),
        ('no/where', ["there is no folder 'no'"]),
        ('in/*.bmp', ["no image found in 'in/*.bmp'", '.png', '.mp4']),
        ('empty', ["no image found in 'empty'"]),
        ('bad.txt', ["'bad.txt' is no UTF-8"]),
        ('empty.txt', ["no image found in 'empty.txt'"]),
        ('null.txt', ['NUL byte']),
    ],
)
def test_words_that_name_no_image(tree, word, parts):
    Path('empty').mkdir()
    Path('bad.txt').write_bytes(b'\xff\xfe\xfa')
    Path('empty.txt').touch()
    Path('null.txt').write_bytes(b'a\0b')
    with pytest.raises(UserError) as caught:
        names('in', word)
    for part in parts:
        assert part in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_left_out_is_counted(tree):
    left_out = Counter()
    Path('in/photo.HEIC').touch()
    names('in', left_out=left_out)
    assert left_out == {
        'hidden': 2, 'of tools (@eaDir)': 1, '.md': 1, '.part': 1, '.heic': 1,
    }  # fmt: skip
    Path('phone').mkdir()
    Path('phone/photo.HEIC').touch()
    with pytest.raises(UserError, match='left out: 1 .heic'):
        names('phone')


def test_outputs_are_no_inputs(tree):
    assert names('in', is_own=lambda path, folder: path.endswith('.jpg')) == [
        '9.JPG', 'clip.mp4', 'größe.webp', '2 b/x.png',
    ]  # fmt: skip


def test_links_in_a_circle_end(tree):
    Path('in/loop').symlink_to('..')
    assert len(names('in')) == 7  # with other/10.jpg and x[1].png, over the link
