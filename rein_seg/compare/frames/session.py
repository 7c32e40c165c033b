"""Predicts the frames of a domain with several runs, and writes one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from rein_seg.compare.frames.choice import Choice, choose_frames, named_frames
from rein_seg.compare.frames.picture import Row, check_suffix, draw, write
from rein_seg.compare.frames.runs import FrameRun, read_runs
from rein_seg.compare.frames.source import Domain, Frame, frames_of_domain, frames_of_files, small
from rein_seg.errors import UserError
from rein_seg.evaluation.confusion import confusion_matrix
from rein_seg.evaluation.details import image_iou
from rein_seg.progress import Meter, make_room

WIDTH, NUMBER = 320, 3


def compare_frames(
    runs: Sequence[str],
    out: str | Path,
    *,
    domain: str | None = None,
    images: Sequence[str] | None = None,
    frames: Sequence[str] | None = None,
    number: int = NUMBER,
    names: Sequence[str] | None = None,
    data_root: str | None = None,
    width: int = WIDTH,
    device: str | None = None,
    say: Callable[[str], object] = print_log,
) -> dict[str, Any]:
    """Writes a picture: a row for each frame, with image, truth and the prediction of each run.

    Args:
        runs: Folders of finished runs, adapter files or checkpoints, of one benchmark.
        out: The picture, png or jpg; it is complete or absent.
        domain: A domain of the benchmark. All its frames are predicted and scored, unless
            ``frames`` names some.
        images: Image files in place of a domain; all are shown, without truth.
        frames: Names of frames of the domain; None chooses by `choose_frames`.
        number: Frames to choose.
        names: Of the runs in the picture; None takes their methods.
        data_root: Folder of the domain's data; None takes the place in the first run's file.
        width: Of each cell, in pixels.
        device: Such as ``cuda:0``; default the first GPU, else the CPU.
        say: Gets a line at the start of each run; stderr shows the rate and the remaining time.

    Returns:
        ``rule`` in words, and ``frames``: name -> ``why`` and ``scores``, the mIoU in % by run over
        the classes that the frame's label has.

    Raises:
        UserError: If runs, domain, frames, files or ``out`` are not as above; nothing is written.

    Example:
        >>> from rein_seg.compare.frames import compare_frames
        >>> runs = ['work_dirs/frozen', 'work_dirs/lora']
        >>> compare_frames(runs, 'streets.jpg', domain='night')  # doctest: +SKIP
    """
    _check(out, domain, images, frames=frames, number=number, width=width, data_root=data_root)
    read = read_runs(runs, names)
    if images is not None:
        subject = frames_of_files(images, read[0].meta['classes'], read[0].meta['palette'])
    else:
        subject = frames_of_domain(read[0].cfg, str(domain), data_root=data_root)
    known = {frame.name: frame for frame in subject.frames}
    choice = None
    if images is not None:
        choice = Choice(dict.fromkeys(known, ''), '')
    elif frames is not None:
        choice = named_frames(frames, list(known))
    wanted = list(known.values()) if choice is None else [known[name] for name in choice.frames]
    maps: dict[str, dict[str, np.ndarray]] = {}
    scores: dict[str, dict[str, float | None]] = {}
    with Meter(len(read) * len(wanted), what='predict', unit='frames') as meter:
        for run in read:
            make_room()
            say(f'{run.name}: {len(wanted)} frames')
            maps[run.name], scores[run.name] = _predict(
                run, wanted, subject, width=width, device=device, advance=meter.advance
            )
    choice = choice or choose_frames(scores, number)
    rows = [_row(known[name], why, maps, scores, width) for name, why in choice.frames.items()]
    notes = [f'{subject.name}: {choice.rule}'] if choice.rule else []
    write(out, draw(rows, [run.name for run in read], subject, notes=notes))
    return {
        'rule': choice.rule,
        'frames': {
            name: {'why': why, 'scores': {run: scores[run][name] for run in scores}}
            for name, why in choice.frames.items()
        },
    }


def _check(
    out: str | Path,
    domain: str | None,
    images: Sequence[str] | None,
    *,
    frames: Sequence[str] | None,
    number: int,
    width: int,
    data_root: str | None,
) -> None:
    check_suffix(out)
    if (domain is None) == (images is None):
        raise UserError('expected either --domain NAME or --images FILE ...: give one of them')
    for word, given in (('--frames', frames), ('--data-root', data_root)):
        if images is not None and given is not None:
            raise UserError(f'{word} is of a domain and has no effect on --images: leave it out')
    for word, value, least in (('--number', number, 1), ('--width', width, 32)):
        if value < least:
            raise UserError(f'{word} {value}: expected {least} or more')


def _predict(
    run: FrameRun,
    frames: Sequence[Frame],
    subject: Domain,
    *,
    width: int,
    device: str | None,
    advance: Callable[[], object],
) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
    """Returns maps at the width of a cell, and scores at full size, by frame."""
    predictor = run.load(device)
    missing = [name for name in predictor.classes if name not in subject.classes]
    if missing:
        raise UserError(
            f'{run.name} predicts {missing}, which are no classes of {subject.name or "the runs"}: '
            f'expected names of {list(subject.classes)}'
        )
    indexes = np.array([subject.classes.index(name) for name in predictor.classes], np.uint8)
    maps: dict[str, np.ndarray] = {}
    scores: dict[str, float | None] = {}
    for frame in frames:
        image = frame.image()
        label = frame.label(image.shape[:2])
        pred = indexes[predictor.predict_image(image, name=frame.name).map]
        maps[frame.name] = small(pred, width, is_map=True)
        scores[frame.name] = None if label is None else _score(pred, label, subject)
        advance()
    return maps, scores


def _score(pred: np.ndarray, label: np.ndarray, subject: Domain) -> float | None:
    count = len(subject.classes)
    return image_iou(confusion_matrix(pred, label, count, subject.ignore_index), count)


def _row(
    frame: Frame,
    why: str,
    maps: dict[str, dict[str, np.ndarray]],
    scores: dict[str, dict[str, float | None]],
    width: int,
) -> Row:
    image = frame.image()
    label = frame.label(image.shape[:2])
    return Row(
        title=f'{frame.name}   {why}'.rstrip(),
        image=small(image, width, is_map=False),
        label=None if label is None else small(label, width, is_map=True),
        maps=[each[frame.name] for each in maps.values()],
        scores=[each[frame.name] for each in scores.values()],
    )
