"""Writes the table of the classes of images that a command names."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from mmengine.logging import print_log

from rein_seg.checkpoint import atomic_path
from rein_seg.errors import NotFinite, UserError
from rein_seg.inference.advice import for_command
from rein_seg.inference.image_predictor import ImagePredictor, ImageResult
from rein_seg.inference.predict_files import Summary
from rein_seg.inference.sources import Source, find_sources
from rein_seg.progress import Meter, make_room

NAME = 'predictions.csv'
TOP = 5


def check_table(out: str, *, overwrite: bool) -> Path:
    """Returns the path of the table, after checking that it may be written.

    Args:
        out: Folder for it.
        overwrite: Whether it may replace an earlier table.

    Raises:
        UserError: If it would replace a file.
    """
    path = Path(out, NAME)
    if Path(out).exists() and not Path(out).is_dir():
        raise UserError(f'--out {out!r} is a file: expected a folder; give another --out')
    if path.exists() and not overwrite:
        raise UserError(
            f'{str(path)!r} exists: expected to write a new table; give another --out, or '
            '--overwrite'
        )
    return path


def write_table(
    predictor: ImagePredictor, words: Sequence[str], path: Path, *, max_value: float | None = None
) -> Summary:
    """Classifies the images that words name, and writes a row for each, whole or not at all.

    Columns: image, class, probability, then ``class_2``, ``probability_2`` and so on up to 5.

    Args:
        predictor: The model.
        words: Sources, see `find_sources`.
        path: Of the table.
        max_value: White, for images of more than 8 bits.

    Raises:
        UserError: If the model gives embeddings, or there is no image.
        OSError: If the table cannot be written.
    """
    if predictor.model.head.output == 'embedding':
        raise UserError(
            f'{type(predictor.model.head).__name__} gives embeddings, and rein-seg predict writes '
            'a table of classes: expected a head that classifies; in a program '
            'rein_seg.load(adapter).predict(image).embedding'
        )
    sources, top = find_sources(words), min(TOP, len(predictor.classes))
    summary, start, rows = Summary(), perf_counter(), []
    with Meter(len(sources), what='predict', silent_end=True) as meter:
        for source in sources:
            try:
                rows.append(_row(_result(predictor, source, max_value), source, top))
                summary.predicted += 1
            except (UserError, NotFinite) as error:
                summary.skipped.append(for_command(str(error)))
                make_room()
                print_log(f'skipped: {summary.skipped[-1]}', 'current', logging.WARNING)
            meter.advance(1)
    summary.seconds = perf_counter() - start
    if rows:
        _write(path, rows, top)
    return summary


def _result(predictor: ImagePredictor, source: Source, max_value: float | None) -> ImageResult:
    if source.is_video:
        raise UserError(f'{source.path!r} is a video: expected an image; take frames out of it')
    return predictor.predict(source.path, max_value=max_value)


def _row(result: ImageResult, source: Source, top: int) -> list[str]:
    cells = [(name, f'{share:.6f}') for name, share in result.top(top)]
    return [source.path, *(cell for pair in cells for cell in pair)]


def _write(path: Path, rows: Sequence[Sequence[str]], top: int) -> None:
    head = ['image', 'class', 'probability']
    head += [f'{word}_{i}' for i in range(2, top + 1) for word in ('class', 'probability')]
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_path(path) as temporary,
        open(temporary, 'w', newline='', encoding='utf-8') as file,
    ):
        csv.writer(file, lineterminator='\n').writerows([head, *rows])
