"""The benchmark of loaders: equal outputs, and figures of every way."""

import pytest

from rein_seg.bench import loader
from rein_seg.errors import UserError
from rein_seg.fast import rust_png
from rein_seg.fast.dispatch import without
from rein_seg.fast.switches import FORMS


@pytest.fixture(scope='module')
def figures():
    return loader.benchmark_loader(images=1, repeats=2, size=(160, 96), crop=64)


def test_every_way_is_measured_against_mmseg(figures):
    ways = [loader.MMSEG, loader.MMSEG_RAW, loader.OURS, loader.OURS_COPIES, loader.OURS_RAW]
    for name in ways:
        low, high = figures[name]['ratio_range']
        assert low <= figures[name]['ratio'] <= high
        assert len(figures[name]['steps']) == 7
        assert figures[name]['images_per_s'] > 0
    assert figures[loader.MMSEG]['ratio'] == 1
    assert figures['files']['raw_copies_mb'] > figures['files']['image_mb'] > 0


@pytest.mark.skipif(rust_png.decoder() is None, reason='needs kornia-rs')
def test_the_plain_readers_are_measured_beside_the_fast_form(figures):
    ratio, low, high = figures[loader.OURS_PLAIN]['ours']
    assert 0 < low <= ratio <= high


def test_the_plain_way_leaves_the_fast_readers_out():
    seen = []

    def step(results):
        seen.append(FORMS['rust_png'].on)
        return results

    for names in ((), loader.READERS):
        loader._run(loader.Way([{}], [step], without=names), 0)
    with without(*loader.READERS):
        loader._run(loader.Way([{}], [step]), 0)
    assert seen == [rust_png.decoder() is not None, False, False]


def test_a_folder_with_fewer_images_is_refused(tmp_path):
    loader._draw(tmp_path, 1, (64, 48))
    with pytest.raises(UserError, match='has 1 images of GTAV, but images=2'):
        loader.benchmark_loader(images=2, data_root=str(tmp_path))
