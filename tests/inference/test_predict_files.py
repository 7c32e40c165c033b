"""``rein-seg predict``: each input has its outputs, and the record says all that was done."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import rein_seg
from rein_seg.inference.images import read_rgb
from rein_seg.inference.video import Video
from tests.cli.calls import assert_refused, call
from tests.inference.command import files, label, predict, record
from tests.inference.tiny_adapter import draw, film, pixels, tiny_adapter
from tests.paths import REPO


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_kinds(folder):
    """Writes a picture of each kind; returns name -> (height, width) as displayed."""
    folder.mkdir()
    rgb = Image.fromarray(pixels())
    turned = Image.Exif()
    turned[274] = 6
    rgb.convert('RGBA').save(folder / 'rgba.png')
    rgb.convert('L').save(folder / 'grey.png')
    rgb.convert('P').save(folder / 'palette.png')
    rgb.save(folder / 'web.webp')
    rgb.save(folder / 'still.gif')
    rgb.save(folder / 'turned.jpg', exif=turned)
    rgb.save(folder / 'plain.tiff')
    wide = pixels().astype(np.uint16) * 257
    assert cv2.imwrite(str(folder / 'sixteen.png'), wide)
    draw(folder / 'small.png', 33, 17)
    draw(folder / 'dot.png', 1, 1)
    draw(folder / 'größe 1.jpg')
    sizes = {path.stem: (40, 60) for path in folder.iterdir()}
    return sizes | {'turned': (60, 40), 'small': (33, 17), 'dot': (1, 1)}


def test_each_kind_of_picture_has_a_map_of_its_own_size():
    sizes = write_kinds(Path('in'))
    assert predict('in')[0] == 0
    predictor = rein_seg.load(tiny_adapter(), device='cpu')
    entries = {entry['name']: entry for entry in record()['images']}
    assert entries.keys() == sizes.keys()
    for path in Path('in').iterdir():
        found = label(f'out/{path.stem}.png')
        assert found.shape == sizes[path.stem] == tuple(entries[path.stem]['size'])
        np.testing.assert_array_equal(found, predictor.predict(read_rgb(path)).map)
        with Image.open(f'out/overlays/{path.stem}.jpg') as overlay:
            assert overlay.size[1] > sizes[path.stem][0]  # with the legend
    with Image.open('out/small.png') as image:
        palette = record()['palette']
        assert image.getpalette()[:57] == [value for colour in palette for value in colour]
    assert record()['complete'] is True


def test_the_record_says_shares_confidence_and_files():
    draw('in/day/a.jpg')
    assert predict('in', '--scores')[0] == 0
    (entry,) = record()['images']
    assert (entry['output'], entry['overlay'], entry['scores']) == (
        'day/a.png', 'overlays/day/a.jpg', 'scores/day/a.npy',
    )  # fmt: skip
    assert files() == sorted(
        [entry['output'], entry['overlay'], entry['scores'], 'predictions.json']
    )
    found = label('out/day/a.png')
    scores = np.load('out/scores/day/a.npy', mmap_mode='r')
    assert (scores.shape, scores.dtype) == ((19, 40, 60), np.float16)
    assert entry['confidence'] == pytest.approx(scores.max(0).astype(float).mean(), abs=1e-3)
    names = record()['classes']
    assert list(entry['shares']) == [names[index] for index in np.unique(found)]
    for name, share in entry['shares'].items():
        assert share == pytest.approx((found == names.index(name)).mean(), abs=1e-6)
    assert sum(entry['shares'].values()) == pytest.approx(1, abs=1e-4)
    assert entry['source'] == str(Path('in/day/a.jpg').absolute())
    assert entry['seconds'] > 0
    assert record()['adapter']['file'] == 'adapter.safetensors'


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(capsys):
    draw('in/a.jpg')
    draw('in/z.png')
    Path('in/cut.jpg').write_bytes(Path('in/a.jpg').read_bytes()[:300])
    Path('in/empty.png').touch()
    Path('in/text.png').write_text('no picture')
    Path('in/pipe.png').symlink_to('/dev/zero')
    Path('in/gone.png').symlink_to('nowhere')
    frames = [Image.fromarray(pixels(seed=i)) for i in range(3)]
    frames[0].save('in/moving.gif', save_all=True, append_images=frames[1:])
    assert cv2.imwrite('in/sensor.png', np.full((9, 9), 1023, np.uint16))
    Path('in/broken.mp4').write_bytes(b'\0' * 1000)
    assert predict('in')[0] == 3
    assert files() == ['a.png', 'overlays/a.jpg', 'overlays/z.jpg', 'predictions.json', 'z.png']
    skipped = {Path(one['source']).name: one['reason'] for one in record()['skipped']}
    assert sorted(skipped) == [
        'broken.mp4', 'cut.jpg', 'empty.png', 'gone.png', 'moving.gif', 'pipe.png', 'sensor.png',
        'text.png',
    ]  # fmt: skip
    assert '--max-value NUMBER' in skipped['sensor.png']
    assert 'holds 3 pictures' in skipped['moving.gif']
    assert 'cannot be decoded' in skipped['broken.mp4']
    assert 'No such file' in skipped['gone.png']
    assert not any('data set' in reason for reason in skipped.values())
    assert predict('in/sensor.png', '--max-value', '1023', out='white')[0] == 0


def test_long_names_odd_names_and_zips():
    draw('in/a.jpg')
    long = 'ü' * 124 + '.jpg'  # 252 of 255 bytes
    Path('in', long).write_bytes(Path('in/a.jpg').read_bytes())
    Path('in/b\n.jpg').write_bytes(Path('in/a.jpg').read_bytes())
    with zipfile.ZipFile('more.zip', 'w') as file:
        file.write('in/a.jpg', 'day/z.jpg')
    assert predict('in', 'more.zip')[0] == 3
    assert [name for name in files() if name.endswith('png')] == [
        'a.png',
        'z.png',
        f'{long[:-4]}.png',
    ]
    (skipped,) = record()['skipped']
    assert 'control characters' in skipped['reason']


def test_only_unreadable_inputs_are_an_error():
    Path('text.png').write_text('no picture')
    code, err = predict('text.png')
    assert_refused(code, err, 'none of 1 inputs', "'text.png' cannot be read", 'not a picture')


def test_inputs_of_one_name_keep_their_suffix():
    draw('in/a.jpg')
    draw('in/a.png')
    draw('other/b.png')
    draw('in/b.png')
    assert predict('in', 'other')[0] == 0
    maps = [name for name in files() if name.endswith('.png')]
    assert maps == ['a.jpg.png', 'a.png.png', 'in/b.png.png', 'other/b.png.png']


def test_files_of_others_and_inputs_are_never_replaced():
    draw('in/a.png')
    Path('out').mkdir()
    Path('out/a.png').write_text('mine')
    assert_refused(*predict('in'), "'out/a.png' exists", '--overwrite')
    assert_refused(*predict('in', out='in'), "would replace the input 'in/a.png'")
    assert_refused(*predict('in', '--overwrite', out='in'), "would replace the input 'in/a.png'")
    assert Path('out/a.png').read_text() == 'mine'
    Path('out/predictions.json').write_text('{}')
    assert_refused(*predict('in'), "'out/predictions.json' is no record", '--out')
    assert_refused(*predict('in', out='in/a.png'), "--out 'in/a.png' is a file")
    assert files('in') == ['a.png']


def test_outputs_are_no_inputs_of_the_next_command():
    draw('in/a.jpg')
    film('in/clip.mp4', count=2)
    for out in ('in', 'in/maps', 'in/more'):
        for _ in range(2):
            assert predict('in', out=out)[0] == 0
            names = [entry['name'] for entry in record(f'{out}/predictions.json')['images']]
            assert names == ['a', 'clip']


def test_no_output_leaves_the_folder():
    draw('in/day/a.jpg')
    Path('elsewhere').mkdir()
    Path('out').mkdir()
    Path('out/day').symlink_to('../elsewhere')
    assert_refused(*predict('in'), 'outside of the output folder', 'remove the link')
    assert files('elsewhere') == []
    Path('lists').mkdir()
    Path('lists/list.txt').write_text('../in/day/a.jpg\n')
    assert predict('lists/list.txt', out='safe')[0] == 0
    assert 'a.png' in files('safe')


def test_shards_give_the_files_of_one_command():
    for number in range(5):
        draw(f'in/{number}.jpg', seed=number)
    draw('in/4.png')
    assert predict('in', out='whole')[0] == 0
    for shard in ('2/2', '1/2'):
        assert predict('in', '--shard', shard)[0] == 0
    for name in files('whole'):
        if name != 'predictions.json':
            assert Path('out', name).read_bytes() == Path('whole', name).read_bytes()
    parts = [record(f'out/predictions.{i}-of-2.json')['images'] for i in (1, 2)]
    assert [entry['name'] for entry in parts[0]] == ['0', '2', '4.jpg']
    assert [entry['name'] for entry in parts[1]] == ['1', '3', '4.png']
    before = os.stat('out/0.png').st_mtime_ns
    assert predict('in')[0] == 0  # joins the records
    assert os.stat('out/0.png').st_mtime_ns == before
    names = [entry['name'] for entry in record()['images']]
    assert names == ['0', '1', '2', '3', '4.jpg', '4.png']
    for word in ('0/2', '3/2', '1', 'a/b'):
        assert predict('in', '--shard', word)[0] == 2


def test_files_that_another_shard_is_writing_are_its_own():
    for name in ('a', 'b'):
        draw(f'in/{name}.png')
    draw('out/b.png')  # in no record yet
    assert predict('in', '--shard', '1/2')[0] == 0
    assert_refused(*predict('in', '--shard', '2/2'), "'out/b.png' exists")


def _start(*words):
    env = {**os.environ, 'PYTHONPATH': str(REPO)}
    command = [sys.executable, '-m', 'rein_seg', 'predict', tiny_adapter(), *words, '--out', 'out']
    return subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # a shell's job in the background ignores SIGINT, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_command_leaves_whole_files_and_goes_on(number):
    for index in range(300):
        draw(f'in/{index}.png', 200, 300, seed=index)
    process = _start('in')
    deadline = time.monotonic() + 120
    while len(list(Path('out').glob('*.png'))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert_refused(*predict('in'), "'out' is in use by another process")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT)
    if number != signal.SIGKILL:
        assert b'the same command goes on' in err
    maps = list(Path('out').glob('*.png'))
    assert 3 <= len(maps) < 300
    for path in maps:
        assert label(path).shape == (200, 300)
    for path in Path('out/overlays').glob('*.jpg'):
        Image.open(path).load()
    for index in range(30, 300):
        Path(f'in/{index}.png').unlink()
    assert predict('in')[0] == 0
    assert len(record()['images']) >= 30
    assert not [name for name in files() if name.endswith(('.tmp', '.journal'))]


def test_a_folder_that_cannot_be_written():
    draw('in/a.jpg')
    code, err = predict('in', out='/proc/out')
    assert code == 74
    assert '/proc/out' in err
    code, err = predict('in', out='in/a.jpg/out')
    assert code == 74
    assert 'Not a directory' in err


@pytest.mark.parametrize(
    ('words', 'parts'),
    [
        (['gone.safetensors', 'in'], ["'gone.safetensors' does not exist"]),
        (['in/a.jpg', 'in'], ["'in/a.jpg'"]),
        (['in', 'in'], ['holds no adapter.safetensors']),
    ],
)
def test_what_is_no_adapter(words, parts):
    draw('in/a.jpg')
    assert_refused(*call('predict', *words, '--out', 'out'), *parts)
    assert not Path('out').exists()


def test_a_device_that_is_absent():
    draw('in/a.jpg')
    code, err = call('predict', tiny_adapter(), 'in', '--out', 'out', '--device', 'cuda:99')
    assert_refused(code, err, "'cuda:99'", 'cpu')
    assert not Path('out').exists()


def test_frames_of_a_video_and_their_overlays():
    film('clip.mp4', count=5, rate=10)
    assert predict('clip.mp4', '--scores')[0] == 0
    frames = [f'{index:06d}' for index in range(5)]
    assert files() == [
        *(f'clip/{name}.png' for name in frames),
        'overlays/clip.mp4',
        'predictions.json',
        *(f'scores/clip/{name}.npy' for name in frames),
    ]
    predictor = rein_seg.load(tiny_adapter(), device='cpu')
    video = Video('clip.mp4')
    for index, frame in video.frames():
        found = label(f'out/clip/{index:06d}.png')
        np.testing.assert_array_equal(found, predictor.predict(frame).map)
    overlays = Video('out/overlays/clip.mp4')
    assert (overlays.rate, overlays.count) == (10, 5)
    (entry,) = record()['images']
    assert (entry['output'], entry['frames'], entry['size']) == ('clip', 5, [32, 48])
    assert sum(entry['shares'].values()) == pytest.approx(1, abs=1e-4)
    assert predict('clip.mp4', '--every', '2', out='half')[0] == 0
    assert [name for name in files('half') if name.endswith('png')] == [
        'clip/000000.png', 'clip/000002.png', 'clip/000004.png',
    ]  # fmt: skip
    assert Video('half/overlays/clip.mp4').rate == 5  # as fast as the video


def test_a_video_goes_on_at_its_frames():
    film('clip.mp4', count=5)
    assert predict('clip.mp4')[0] == 0
    before = {path.name: os.stat(path).st_mtime_ns for path in Path('out/clip').iterdir()}
    whole = record()['images'][0]
    Path('out/clip/000003.png').unlink()
    assert predict('clip.mp4')[0] == 0
    after = {path.name: os.stat(path).st_mtime_ns for path in Path('out/clip').iterdir()}
    assert [name for name in before if before[name] != after[name]] == ['000003.png']
    assert record()['images'][0]['shares'] == whole['shares']


def test_a_cut_video_is_predicted_up_to_the_fault():
    path = film(Path('clip.avi'), count=40, codec='MJPG')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    draw('a.png')
    assert predict('a.png', 'clip.avi')[0] == 3
    (skipped,) = record()['skipped']
    number = record()['images'][1]['frames']
    assert f'{number} of 40 frames' in skipped['reason']
    assert Video('out/overlays/clip.mp4').count == number > 5
    assert predict('a.png', 'clip.avi')[0] == 3  # nothing to do, still said
    assert record()['skipped'] == [skipped]
