import os

import cv2
import numpy as np
import pytest

from rein_seg.scenes.streets import GENERATOR_VERSION, cache, ensure_cached, render

SIZE = (64, 32)


def files_of(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())


@pytest.fixture
def filled(tmp_path):
    return ensure_cached(tmp_path, 'fog', 'val', 3, seed=4, size=SIZE)


def test_files_lie_where_promised(tmp_path, filled):
    assert filled == tmp_path / f'v{GENERATOR_VERSION}-seed4-64x32' / 'fog' / 'val'
    names = [f'{kind}/{i:05d}.png' for kind in ('images', 'labels') for i in range(3)]
    assert files_of(filled) == names


def test_files_hold_what_render_gives(filled):
    for index in range(3):
        scene = render('fog', 'val', index, seed=4, size=SIZE)
        image = cv2.imread(str(filled / f'images/{index:05d}.png'), cv2.IMREAD_UNCHANGED)
        label = cv2.imread(str(filled / f'labels/{index:05d}.png'), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(image, scene.image)
        assert label.ndim == 2 and np.array_equal(label, scene.label)


def test_only_what_is_missing_is_rendered(tmp_path, filled, monkeypatch):
    made = []

    def spy(domain, split, index, **options):
        made.append(index)
        return render(domain, split, index, **options)

    monkeypatch.setattr(cache, 'render', spy)
    ensure_cached(tmp_path, 'fog', 'val', 3, seed=4, size=SIZE)
    assert made == []
    (filled / 'labels/00001.png').unlink()
    untouched = os.stat(filled / 'images/00002.png').st_mtime_ns
    ensure_cached(tmp_path, 'fog', 'val', 3, seed=4, size=SIZE)
    assert made == [1]
    assert os.stat(filled / 'images/00002.png').st_mtime_ns == untouched
    ensure_cached(tmp_path, 'fog', 'val', 5, seed=4, size=SIZE)
    assert made == [1, 3, 4]


@pytest.mark.parametrize('kind', ['images', 'labels'])
def test_changed_pictures_are_drawn_again(tmp_path, filled, kind):
    path, other = filled / kind / '00001.png', filled / kind / '00002.png'
    drawn = path.read_bytes()
    blank = cv2.imencode('.png', np.zeros((32, 64), np.uint8))[1].tobytes()
    # cut, another scene's, a flipped bit that PNG's checksums cover or not, another picture
    flipped = drawn[:60] + bytes([drawn[60] ^ 1]) + drawn[61:]
    for changed in (b'', drawn[:-20], other.read_bytes(), flipped, drawn + b'x', blank):
        path.write_bytes(changed)
        ensure_cached(tmp_path, 'fog', 'val', 3, seed=4, size=SIZE)
        assert path.read_bytes() == drawn


def test_a_stray_temporary_file_does_not_matter(tmp_path, filled):
    stray = filled / 'images' / '.00007-killed.tmp'
    stray.write_bytes(b'half a picture')
    ensure_cached(tmp_path, 'fog', 'val', 8, seed=4, size=SIZE)
    assert cv2.imread(str(filled / 'images/00007.png')).shape == (32, 64, 3)
    assert stray.read_bytes() == b'half a picture'


def test_a_failed_write_leaves_no_file_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(cache.os, 'replace', fail)
    with pytest.raises(OSError, match='disk full'):
        ensure_cached(tmp_path, 'clear', 'train', 1, size=SIZE)
    assert files_of(tmp_path) == []


def test_progress_ends_with_all_done(tmp_path):
    calls = []
    options = {'size': SIZE, 'progress': lambda done, total: calls.append((done, total))}
    ensure_cached(tmp_path, 'clear', 'train', 45, **options)
    assert calls[-1] == (45, 45)
    assert len(calls) >= 3
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    calls.clear()
    ensure_cached(tmp_path, 'clear', 'train', 45, **options)
    assert calls == []


@pytest.mark.parametrize(
    ('domain', 'split', 'count', 'options', 'words'),
    [
        ('nigth', 'train', 1, {}, ['domain', "'nigth'", "'night'"]),
        ('night', 'vall', 1, {}, ['split', "'vall'", "'val'"]),
        ('night', 'val', 0, {}, ['count', '0', '>= 1']),
        ('night', 'val', 1, {'size': (0, 128)}, ['size', '(0, 128)']),
    ],
)
def test_bad_requests_are_named_and_leave_no_folder(tmp_path, domain, split, count, options, words):
    with pytest.raises(ValueError) as error:
        ensure_cached(tmp_path, domain, split, count, **options)
    for word in words:
        assert word in str(error.value)
    assert list(tmp_path.iterdir()) == []
