"""Two tiny runs on MiniScapes: the picture, its scores, and what is refused."""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest

import rein_seg
from rein_seg import progress
from rein_seg.cli import main
from rein_seg.compare.frames import compare_frames, session, source
from rein_seg.compare.frames.runs import _check_same, read_runs
from rein_seg.compare.frames.source import frames_of_domain
from rein_seg.errors import UserError
from rein_seg.pages.strips import GAP, HEADER
from tests.inference.tiny_models import write_adapter

LORA = "model['backbone']['peft'] = dict(type='LoRA', rank=2, _delete_=True)\n"
WIDTH = 64


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Folders of two runs, with nothing but their adapters."""
    made = []
    for name, extra in (('rein', ''), ('lora', LORA)):
        folder = tmp_path_factory.mktemp(name)
        write_adapter(folder, extra=extra)
        made.append(str(folder))
    return made


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """Folder that MiniScapes is drawn into."""
    return str(tmp_path_factory.mktemp('scenes'))


@pytest.fixture(scope='module')
def night(runs, scenes):
    return frames_of_domain(read_runs(runs)[0].cfg, 'night', data_root=scenes)


@pytest.fixture
def draw(runs, scenes):
    """Draws frames of the night by both runs."""
    return partial(
        compare_frames, runs, domain='night', data_root=scenes, width=WIDTH, device='cpu'
    )


def test_a_row_for_each_frame_has_image_truth_and_predictions(draw, runs, night, tmp_path):
    out = tmp_path / 'sheet.png'
    found = draw(out)
    assert len(found['frames']) == 3
    assert found['rule'] == (
        'frames by mIoU of LoRA less mIoU of Rein among 3: lowest, median, highest'
    )
    sheet = cv2.imread(str(out))[..., ::-1]
    assert sheet.shape[1] == 4 * WIDTH + 3 * GAP
    frames = {frame.name: frame for frame in night.frames}
    palette = night.palette
    for i, name in enumerate(found['frames']):
        top = HEADER + i * (HEADER + 32) + HEADER
        cells = [sheet[top : top + 32, k * (WIDTH + GAP) :][:, :WIDTH] for k in range(4)]
        image, label = frames[name].image(), frames[name].label((32, 64))
        np.testing.assert_array_equal(cells[0], image)  # 64 wide as the frames: not resized
        np.testing.assert_array_equal(
            cells[1], np.where((label < 255)[..., None], palette[label % 19], 0)
        )
        for run, cell in zip(runs, cells[2:], strict=True):
            pred = rein_seg.load(run, device='cpu').predict(image).map
            np.testing.assert_array_equal(cell, palette[pred])


def test_scores_and_order_follow_the_maps(draw, runs, night, tmp_path):
    found = draw(tmp_path / 'a.jpg', names=['one', 'two'])
    differences = []
    for name, frame in found['frames'].items():
        one, two = frame['scores']['one'], frame['scores']['two']
        differences.append(two - one)
        assert f'{two - one:+.1f}' in frame['why']
        sample = next(each for each in night.frames if each.name == name)
        pred = rein_seg.load(runs[0], device='cpu').predict(sample.image()).map
        label = sample.label((32, 64))
        there = np.unique(label[label < 255])
        valid = label < 255
        iou = [
            ((pred == k) & (label == k)).sum() / (((pred == k) & valid) | (label == k)).sum()
            for k in there
        ]
        assert one == pytest.approx(100 * np.mean(iou))
    assert differences == sorted(differences)
    assert cv2.imread(str(tmp_path / 'a.jpg')).shape[1] == 4 * WIDTH + 3 * GAP


def test_named_frames_alone_are_predicted(draw, night, tmp_path, monkeypatch):
    seen, predict = [], session._predict

    def record(run, frames, subject, **options):
        seen.append([frame.name for frame in frames])
        return predict(run, frames, subject, **options)

    monkeypatch.setattr(session, '_predict', record)
    name = night.frames[1].name
    found = draw(tmp_path / 'a.png', frames=[f'{name}.png'])
    assert seen == [[name], [name]]
    assert list(found['frames']) == [name]
    assert found['rule'] == 'frames named on the command line'


def test_image_files_are_shown_without_truth(runs, tmp_path):
    for name in ('a', 'b'):
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.full((32, 64, 3), 90, np.uint8))
    paths = [str(tmp_path / f'{name}.png') for name in 'ab']
    found = compare_frames(runs, tmp_path / 'out.png', images=paths, width=WIDTH)
    assert found['frames']['a'] == {'why': '', 'scores': {'Rein': None, 'LoRA': None}}
    assert cv2.imread(str(tmp_path / 'out.png')).shape[1] == 3 * WIDTH + 2 * GAP


def test_the_command_prints_what_it_drew(runs, scenes, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress._Lines, 'between', 0.0)
    out = tmp_path / 'deep/streets.jpg'
    words = ['compare-frames', *runs, '--domain', 'clear', '--out', str(out)]
    words += ['--data-root', scenes]
    assert main(words) == 0
    said, shown = capsys.readouterr()
    assert 'predict: 4/6 frames' in shown and 'left' in shown
    assert 'among 3: lowest, median, highest' in said
    assert f'wrote {out}' in said
    assert out.is_file()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(domain='nihgt'), "'nihgt' is no domain of the runs; did you mean 'night'"),
        (dict(), 'either --domain NAME or --images'),
        (dict(domain='night', images=['a.png']), 'either --domain NAME or --images'),
        (dict(images=['a.png']), "'a.png' does not exist"),
        (dict(images=['a.png'], frames=['a']), '--frames is of a domain'),
        (dict(domain='night', names=['one']), '--names has 1 names for 2 runs'),
        (dict(domain='night', names=['one', 'one']), "two runs are called 'one'"),
        (dict(domain='night', number=0), '--number 0: expected 1 or more'),
        (dict(domain='night', width=3), '--width 3: expected 32 or more'),
    ],
)
def test_mistakes_are_named_before_anything_is_written(runs, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        compare_frames(runs, tmp_path / 'new/a.png', **options)
    assert not (tmp_path / 'new').exists()


def test_other_mistakes_are_named(draw, runs, tmp_path):
    with pytest.raises(UserError, match="'none' is no frame of the domain"):
        draw(tmp_path / 'new/a.png', frames=['none'])
    assert not (tmp_path / 'new').exists()
    with pytest.raises(UserError, match=r"'a.gif': expected a file name in .png, .jpg"):
        compare_frames(runs, 'a.gif', domain='night')
    with pytest.raises(UserError, match='does not exist: expected an adapter file'):
        compare_frames([*runs, str(tmp_path / 'none')], tmp_path / 'a.png', domain='night')
    with pytest.raises(UserError, match='two runs are called'):
        compare_frames([runs[0], runs[0]], tmp_path / 'a.png', domain='night')


def test_runs_of_another_benchmark_or_other_classes_are_refused(runs):
    first, second = read_runs(runs)
    for change, word in (
        (dict(cfg={**second.cfg, 'benchmark': {'name': 'mine'}}), 'benchmark'),
        (dict(meta={'classes': ('road', 'sky'), 'palette': []}), 'classes'),
    ):
        with pytest.raises(UserError, match=f'Rein and LoRA have different {word}'):
            _check_same(replace(second, **change), first)


def test_a_domain_without_labels_is_refused(runs, scenes):
    cfg = read_runs(runs)[0].cfg
    for part in cfg.test_dataloader.dataset.datasets:
        part['labelled'] = False
    with pytest.raises(UserError, match="'night' has no labels.*--images FILE"):
        frames_of_domain(cfg, 'night', data_root=scenes)


def test_images_of_other_bands_are_refused(monkeypatch):
    load = dict(img=np.zeros((4, 6, 5), np.float32))
    monkeypatch.setattr(source, 'LoadDomainImage', lambda: lambda info: load)
    with pytest.raises(UserError, match=r"'a.tif' is float32 of shape \(4, 6, 5\): expected three"):
        source.Frame('a', dict(img_path='a.tif', seg_map_path='b.png')).image()


def test_a_failure_leaves_no_picture(draw, tmp_path, monkeypatch):
    def fail(*args, **options):
        raise UserError('stop')

    monkeypatch.setattr(session, 'draw', fail)
    with pytest.raises(UserError, match='stop'):
        draw(tmp_path / 'new/a.png')
    assert not (tmp_path / 'new').exists()
