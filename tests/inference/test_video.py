"""Videos: a map for each frame, one video of overlays."""

import cv2
import numpy as np
import pytest

from rein_seg.errors import UserError
from rein_seg.inference.video import Video, video_writer
from tests.inference.tiny_adapter import film, pixels


@pytest.mark.parametrize('size', [(32, 48), (33, 47), (1, 1), (700, 300)])
def test_a_written_video_is_read_back(tmp_path, size):
    path = tmp_path / 'clip.mp4'
    with video_writer(path, 12.5) as writer:
        for seed in range(4):
            writer.add(pixels(*size, seed=seed))
    assert [one.name for one in tmp_path.iterdir()] == ['clip.mp4']
    video = Video(str(path))
    assert (video.rate, video.count) == (pytest.approx(12.5), 4)
    frames = list(video.frames())
    assert [index for index, _ in frames] == [0, 1, 2, 3]
    even = tuple(side + side % 2 for side in size)
    for index, frame in frames:
        assert frame.shape == (*even, 3)
        if min(size) > 1:
            assert (
                np.abs(
                    frame[: size[0], : size[1]] - pixels(*size, seed=index)[..., :].astype(int)
                ).mean()
                < 40
            )
    assert video.fault is None


@pytest.mark.parametrize('rate', [0.25, 29.97, 240.123])
def test_any_frame_rate_is_kept(tmp_path, rate):
    with video_writer(tmp_path / 'clip.mp4', rate) as writer:
        for seed in range(3):
            writer.add(pixels(seed=seed))
    video = Video(str(tmp_path / 'clip.mp4'))
    assert (video.rate, video.count) == (pytest.approx(rate, rel=1e-3), 3)


def test_colours_are_rgb(tmp_path):
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    with video_writer(tmp_path / 'red.mp4', 25) as writer:
        writer.add(red)
    ((_, frame),) = Video(str(tmp_path / 'red.mp4')).frames()
    assert np.abs(frame.mean((0, 1)) - (200, 0, 0)).max() < 12


def test_nothing_is_left_of_a_video_that_failed(tmp_path):
    with pytest.raises(KeyboardInterrupt), video_writer(tmp_path / 'clip.mp4', 25) as writer:
        writer.add(pixels())
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_every_nth_frame_keeps_its_index(tmp_path):
    path = film(tmp_path / 'clip.mp4', count=7)
    assert [index for index, _ in Video(str(path)).frames(3)] == [0, 3, 6]
    video = Video(str(path))
    list(video.frames(3))
    assert (video.read, video.fault) == (7, None)


def test_a_cut_video_gives_its_frames_and_says_so(tmp_path):
    path = film(tmp_path / 'clip.avi', count=40, codec='MJPG')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    video = Video(str(path))
    count = len(list(video.frames()))
    assert 5 < count < 35
    if video.count:  # the header's number
        assert video.fault == f'damaged: {count} of 40 frames could be decoded'


@pytest.mark.parametrize('data', [b'', b'no video', b'\0\0\0\x20ftypisom' + b'\0' * 4000])
def test_what_is_no_video(tmp_path, data):
    path = tmp_path / 'clip_001.mp4'
    path.write_bytes(data)
    (tmp_path / 'clip_002.mp4').write_bytes(b'')
    with pytest.raises(UserError, match=f'cannot be decoded .{len(data)} bytes.'):
        Video(str(path))


def test_a_video_in_a_zip():
    with pytest.raises(UserError, match='unpack it'):
        Video('zip://a.zip/clip.mp4')


def test_reading_needs_no_more_than_a_frame(tmp_path):
    """Frames come one by one, so that a long video needs no memory."""
    frames = Video(str(film(tmp_path / 'clip.mp4', count=30))).frames()
    assert next(frames)[0] == 0
    frames.close()
    assert cv2.VideoCapture(str(tmp_path / 'clip.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 30


def test_a_frame_of_another_size_is_resized(tmp_path):
    with video_writer(tmp_path / 'clip.mp4', 10) as writer:
        for size in ((48, 64), (24, 32), (96, 40)):
            writer.add(np.full((*size, 3), 120, np.uint8))
    frames = [frame for _, frame in Video(str(tmp_path / 'clip.mp4')).frames()]
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    assert all(abs(frame.mean() - 120) < 8 for frame in frames)
