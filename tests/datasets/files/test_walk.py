"""Listings follow links, leave out what tools put there, and say so."""

import os
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from rein_seg.datasets.files.listing import list_files, read_bytes
from rein_seg.datasets.files.pairing import pair_folders
from rein_seg.datasets.files.walk import check_name, describe
from rein_seg.errors import UserError

SUFFIXES = dict(img_suffixes=['.jpg', '.webp'], seg_suffixes=['.png'])


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'')


def test_linked_folders_are_followed_as_often_as_they_are_linked(tmp_path):
    touch(tmp_path, 'store/a.jpg', 'store/b.jpg', 'images/c.jpg')
    for name in ('day', 'night'):
        (tmp_path / 'images' / name).symlink_to(tmp_path / 'store')
    (tmp_path / 'images/d.jpg').symlink_to(tmp_path / 'store/a.jpg')
    assert sorted(list_files(tmp_path / 'images')) == [
        'c.jpg', 'd.jpg', 'day/a.jpg', 'day/b.jpg', 'night/a.jpg', 'night/b.jpg',
    ]  # fmt: skip


def test_loops_of_links_end(tmp_path):
    touch(tmp_path, 'images/sub/a.jpg')
    (tmp_path / 'images/sub/up').symlink_to(tmp_path / 'images')
    (tmp_path / 'images/self').symlink_to('self')
    left = Counter()
    assert sorted(list_files(tmp_path / 'images', left)) == ['self', 'sub/a.jpg']
    assert left == {'links to a folder above': 1}
    (tmp_path / 'images/town').symlink_to(tmp_path)  # holds images itself
    assert sorted(list_files(tmp_path / 'images', left)) == ['self', 'sub/a.jpg']


def test_links_that_multiply_end(tmp_path):
    for i in range(20):
        (tmp_path / f'd{i}').mkdir()
        for j in range(2):
            (tmp_path / f'd{i}/l{j}').symlink_to(tmp_path / f'd{i + 1}')
    with pytest.raises(UserError, match='more than 64 links lead to the folder'):
        list_files(tmp_path / 'd0')


TOOLS = (
    '.ipynb_checkpoints/a.jpg', '.git/x.jpg', '__MACOSX/._a.jpg', '@eaDir/a.jpg', '._a.jpg',
    '.DS_Store',
)  # fmt: skip


def test_what_is_left_out_is_counted_in_folders_and_in_zips(tmp_path):
    touch(tmp_path / 'images', 'a.jpg', *TOOLS)
    left = Counter()
    assert sorted(list_files(tmp_path / 'images', left)) == ['a.jpg']
    assert left == {'hidden': 4, 'of tools (__MACOSX)': 1, 'of tools (@eaDir)': 1}
    with zipfile.ZipFile(tmp_path / 'images.zip', 'w') as file:
        for name in ('a.jpg', *TOOLS):
            file.writestr(f'images/{name}', '')
    left = Counter()
    assert sorted(list_files(tmp_path / 'images.zip', left)) == ['a.jpg']
    assert sum(left.values()) == len(TOOLS)


def test_pairs_count_other_files_and_take_suffixes_in_any_case(tmp_path):
    touch(tmp_path / 'images', 'a.JPG', 'b.WebP', 'notes.txt', 'c.heic')
    touch(tmp_path / 'labels', 'a.png', 'b.PNG', 'spare.png', 'list.csv')
    left = Counter()
    pairs = pair_folders(tmp_path / 'images', tmp_path / 'labels', left_out=left, **SUFFIXES)
    assert [Path(image).name for image, _ in pairs] == ['a.JPG', 'b.WebP']
    assert left == {'.txt': 1, '.heic': 1, '.csv': 1, 'labels without an image': 1}
    assert '1 labels without an image' in describe(left)


@pytest.mark.parametrize('name', [b'a\xff.jpg', b'a\n.jpg', b'a\x1b[2J.jpg', b'a\xc2\x85.jpg'])
def test_names_that_cannot_be_shown_are_refused(tmp_path, name):
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    touch(tmp_path / 'labels', 'a.png')
    os.close(os.open(os.path.join(os.fsencode(tmp_path), b'images', name), os.O_CREAT))
    with pytest.raises(UserError, match='holds (control characters|no UTF-8)') as error:
        pair_folders(tmp_path / 'images', tmp_path / 'labels', **SUFFIXES)
    assert str(error.value).isprintable()


@pytest.mark.parametrize('name', ['größe', '写真 1', 'a\u202fb', "it's"])
def test_other_names_are_taken(name):
    check_name(f'{name}.jpg')


def test_an_inflating_member_of_a_zip_stays_in_bounds(tmp_path):
    path = tmp_path / 'images.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('a.jpg', bytes(50_000_000))
    place = list_files(path)['a.jpg']
    data = path.read_bytes()
    # the table of contents says 10 bytes
    path.write_bytes(data.replace((50_000_000).to_bytes(4, 'little'), (10).to_bytes(4, 'little')))
    with pytest.raises(UserError, match=r"'a.jpg' of zip .* is damaged"):
        read_bytes(place)
    # and now 3 GB
    huge = (3_000_000_000).to_bytes(4, 'little')
    path.write_bytes(data.replace((50_000_000).to_bytes(4, 'little'), huge))
    with pytest.raises(UserError, match='has 3000000000 bytes: expected at most'):
        read_bytes(place)


def test_a_pipe_named_zip_is_refused(tmp_path):
    os.mkfifo(tmp_path / 'images.zip')
    with pytest.raises(UserError, match=r"images.zip' is a folder, a pipe or a device"):
        list_files(tmp_path / 'images.zip')
