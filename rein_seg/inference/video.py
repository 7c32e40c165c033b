"""Videos: their frames, and a video of overlays."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from rein_seg.checkpoint import atomic_path
from rein_seg.datasets.files.listing import PREFIX
from rein_seg.errors import UserError

# FFmpeg would print each fault of a damaged file; the messages here say more
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')

_CODECS = ('mp4v', 'vp09')  # the second takes all rates, and 100 times as long
_MOST_HIDDEN = 0.9  # share of the declared frames that a whole file shows
_FRAME_RATE = 25.0  # of files that do not say theirs


class Video:
    """An opened video file.

    Args:
        path: File on disk.

    Attributes:
        rate: Frames per second.
        count: Number of frames that the file declares; 0 if it does not.
        read: Number of frames that were decoded so far.

    Raises:
        UserError: If no frame can be decoded.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.read = 0
        if path.startswith(PREFIX):
            raise UserError(f'video {path!r} lies in a zip: expected a file on disk; unpack it')
        self._capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened() or not self._capture.grab():
            self._capture.release()
            raise UserError(
                f'video {path!r} cannot be decoded ({_size(path)}): expected a whole file in a '
                'format that FFmpeg knows; convert it to mp4, or leave it out'
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else _FRAME_RATE
        self.count = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)

    def frames(self, every: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        """Yields index and (H, W, 3) RGB pixels of each N-th frame, upright; once."""
        try:
            while True:
                if self.read % every == 0:
                    whole, frame = self._capture.retrieve()
                    if not whole:
                        return
                    yield self.read, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                self.read += 1
                if not self._capture.grab():
                    return
        finally:
            self._capture.release()

    @property
    def fault(self) -> str | None:
        """Says after all frames that the file ends early; None if it does not."""
        # a cut without encoding leaves frames that are declared and never shown, a group at most
        if self.read >= _MOST_HIDDEN * self.count - 1:
            return None
        return f'damaged: {self.read} of {self.count} frames could be decoded'


def _size(path: str) -> str:
    try:
        return f'{os.path.getsize(path)} bytes'
    except OSError as error:
        return error.strerror or 'not there'


class VideoWriter:
    """Writes frames as mp4, in the size of the first; see `video_writer`."""

    def __init__(self, path: str, rate: float) -> None:
        self.path, self.rate, self.count = path, rate, 0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def add(self, frame: np.ndarray) -> None:
        """Adds an (H, W, 3) RGB frame; encoders need even sizes, so an edge may be repeated.

        Raises:
            UserError: If this OpenCV has no encoder for mp4.
        """
        height, width = frame.shape[:2]
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        bgr = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        size = (bgr.shape[1], bgr.shape[0])
        if self._writer is None:
            self._writer, self._size = self._open(size), size
        if size != self._size:  # OpenCV would leave the frame out
            bgr = cv2.resize(bgr, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(bgr)
        self.count += 1

    def _open(self, size: tuple[int, int]) -> cv2.VideoWriter:
        for codec in _CODECS:
            code = cv2.VideoWriter.fourcc(*codec)
            writer = cv2.VideoWriter(self.path, cv2.CAP_FFMPEG, code, self.rate, size)
            if writer.isOpened():
                return writer
        raise UserError(
            f'OpenCV {cv2.__version__} cannot encode mp4: expected one of {_CODECS}; install '
            'opencv-python from PyPI, or give --no-overlays'
        )

    def close(self) -> None:
        """Ends the file and checks that it holds all frames: OpenCV reports no full disk.

        Raises:
            OSError: If it does not.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        capture = cv2.VideoCapture(self.path, cv2.CAP_FFMPEG)
        found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.grab() else 0
        capture.release()
        if found != self.count:
            reason = f'holds {found} of {self.count} frames; is the disk full?'
            raise OSError(errno.EIO, reason, self.path)


@contextlib.contextmanager
def video_writer(path: str | os.PathLike, rate: float) -> Iterator[VideoWriter]:
    """Yields a writer of an mp4, which has its name only when it is whole.

    Args:
        path: Ends in ``.mp4``.
        rate: Frames per second.

    Example:
        >>> import numpy as np
        >>> from rein_seg.inference.video import Video, video_writer
        >>> with video_writer('clip.mp4', 25) as writer:
        ...     for value in (0, 100, 200):
        ...         writer.add(np.full((48, 65, 3), value, np.uint8))
        >>> [frame.shape for _, frame in Video('clip.mp4').frames()]
        [(48, 66, 3), (48, 66, 3), (48, 66, 3)]
    """
    with atomic_path(path) as temporary:
        working = Path(f'{temporary}.mp4')  # OpenCV chooses the container by the suffix
        writer = VideoWriter(str(working), rate)
        try:
            yield writer
            with _named(path):
                writer.close()
            if working.exists():
                os.replace(working, temporary)
        finally:
            working.unlink(missing_ok=True)


@contextlib.contextmanager
def _named(path: str | os.PathLike) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
