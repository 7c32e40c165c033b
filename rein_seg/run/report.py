"""The files ``report.json`` and ``report.html`` of a run."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rein_seg.checkpoint import atomic_path
from rein_seg.datasets.files.band_pictures import picture_of
from rein_seg.errors import UserError
from rein_seg.evaluation import DomainMetric, ImageMetric
from rein_seg.evaluation.calibration import calibration_error
from rein_seg.evaluation.confusion import top_confusions
from rein_seg.evaluation.details import DomainDetails, Picture
from rein_seg.pages.maps import colour, error_map
from rein_seg.pages.page import finite
from rein_seg.pages.run_report import report_page
from rein_seg.palettes import palette_for
from rein_seg.run.curves import read_curves

FORMAT = 'rein_seg-report/1'
_MOST_BYTES = 2_000_000  # of all pictures; the rest of the page takes some hundred kB
_MOST_PICTURES = 40


def build_report(metric: DomainMetric | ImageMetric, folder: str | Path) -> dict[str, Any]:
    """Returns the content of ``report.json``.

    Args:
        metric: After its `evaluate`.
        folder: Work folder of the run, with the logs of its curves.
    """
    meta, details = metric.dataset_meta or {}, metric.details
    classes = list(meta.get('classes') or ())
    palette = palette_for(len(classes), meta.get('palette'))
    pictures = _pictures(details, palette, getattr(metric, 'ignore_index', 255))
    targets = [name for name in metric.report.get('targets', ()) if name in details]
    together = np.sum([details[name].confusion for name in targets], axis=0)
    # as the table of scores has them
    order = [name for name in metric.report.get('domains', ()) if name in details]
    return {
        'format': FORMAT,
        'unit': metric.task,
        'image_score': metric.image_score_name,
        'classes': classes,
        'palette': [list(map(int, rgb)) for rgb in palette],
        'domains': {name: _domain(details[name], pictures[name]) for name in order},
        'over_targets': _confusions(together) if len(targets) > 1 else None,
        'curves': read_curves(folder),
    }


def write_report(
    folder: str | Path, results: Mapping[str, Any], report: Mapping[str, Any], name: str = 'report'
) -> None:
    """Writes ``report.json`` and ``report.html``, each whole or not at all.

    Args:
        folder: Of the run.
        results: Content of ``results.json``.
        report: From `build_report`.
        name: Of both files.
    """
    texts = {
        # in one line: the matrices would take a line for each number
        'json': json.dumps(finite(report), allow_nan=False, separators=(',', ':')) + '\n',
        'html': report_page(results, report) + '\n',
    }
    for kind, text in texts.items():
        with atomic_path(Path(folder) / f'{name}.{kind}') as temporary:
            temporary.write_text(text, encoding='utf-8')


def report(folder: str | Path) -> Path:
    """Writes ``report.html`` of a finished run again, of each task, and returns its path.

    A run of an earlier version has no ``report.json``: its page has scores and curves.

    Args:
        folder: Of the run.

    Raises:
        UserError: If the folder holds no results, or a file of them is damaged.
    """
    folder = Path(folder)
    results = _read(folder / 'results.json')
    if results is None or 'domains' not in results:
        raise UserError(
            f'{str(folder)!r} holds no results.json with scores: expected the folder of a run that '
            'has ended; give such a folder, or finish the run with rein-seg train --resume'
        )
    for i, (task, one) in enumerate(task_reports(results).items()):
        name = page_name('report', task, first=i == 0)
        found = _read(folder / f'{name}.json') or {'format': FORMAT, 'curves': read_curves(folder)}
        with atomic_path(folder / f'{name}.html') as temporary:
            temporary.write_text(report_page(one, found) + '\n', encoding='utf-8')
    return folder / 'report.html'


def page_name(name: str, task: str | None, *, first: bool) -> str:
    """Returns the name of a task's file: the first task, or the only, has no name in it.

    Example:
        >>> from rein_seg.run.report import page_name
        >>> page_name('report', None, first=True), page_name('report', 'road', first=False)
        ('report', 'report_road')
    """
    return name if first else f'{name}_{task}'


def task_reports(results: Mapping[str, Any]) -> dict[str | None, Mapping[str, Any]]:
    """Returns the results of each task, with what all tasks share; None: those of a single task.

    Example:
        >>> from rein_seg.run.report import task_reports
        >>> results = dict(seed=3, domains=1, tasks=dict(a=dict(domains=1), b=dict(domains=2)))
        >>> task_reports(results)['b']
        {'seed': 3, 'domains': 2}
    """
    shared = {key: value for key, value in results.items() if key != 'tasks'}
    tasks = results.get('tasks') or {None: {}}
    return {task: {**shared, **report} for task, report in tasks.items()}


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(
            f'{str(path)!r} is no JSON ({error}): expected the file that a run writes; run '
            'rein-seg test again'
        ) from None
    if not isinstance(content, dict):
        raise UserError(f'{str(path)!r} holds {type(content).__name__}: expected a JSON object')
    return content


def _domain(details: DomainDetails, pictures: list[dict[str, Any]]) -> dict[str, Any]:
    scores = [score for score in details.scores.values() if score is not None]
    parts = np.quantile(scores, (0, 0.25, 0.5, 0.75, 1)).tolist() if scores else None
    return {
        **_confusions(details.confusion),
        'calibration': None if details.bins is None else _calibration(details.bins),
        'image_scores': parts,
        'pictures': pictures,
    }


def _confusions(matrix: np.ndarray) -> dict[str, Any]:
    return {
        'confusion': matrix.tolist(),
        'top_confusions': [one._asdict() for one in top_confusions(matrix)],
    }


def _calibration(bins: np.ndarray) -> dict[str, Any]:
    pixels, right, confidence = bins
    return {
        'pixels': [int(count) for count in pixels],
        'right': [int(count) for count in right],
        'confidence': confidence.tolist(),
        'error': calibration_error(bins),
    }


def _pictures(
    details: Mapping[str, DomainDetails], palette: Sequence[Sequence[int]], ignore_index: int
) -> dict[str, list[dict[str, Any]]]:
    """Returns the pictures of each domain, so small that the page stays small."""
    each = max(1, _MOST_PICTURES // max(1, 2 * len(details)))
    chosen = {name: _choose(domain, each) for name, domain in details.items()}
    for width in (320, 240, 160, 100):
        drawn = {
            name: [_draw(kind, one, palette, ignore_index, width) for kind, one in pictures]
            for name, pictures in chosen.items()
        }
        shown = {name: [one for one in all_ if one is not None] for name, all_ in drawn.items()}
        if sum(len(str(one)) for all_ in shown.values() for one in all_) <= _MOST_BYTES:
            break
    return shown


def _choose(domain: DomainDetails, each: int) -> list[tuple[str, Picture]]:
    worst, best = domain.worst[:each], domain.best[:each]
    known = {one.path for one in (*worst, *best)}
    example = [domain.first] if domain.first.path not in known and each > 1 else []
    kinds = (('worst', worst), ('best', best), ('example', example))
    return [(kind, one) for kind, pictures in kinds for one in pictures]


def _draw(
    kind: str, one: Picture, palette: Sequence[Sequence[int]], ignore_index: int, width: int
) -> dict[str, Any] | None:
    """Returns a picture for the page; None if its image cannot be read any more."""
    try:
        image = np.ascontiguousarray(picture_of(one.path, one.about)[..., ::-1])
    except (OSError, UserError):
        return None
    whole = not isinstance(one.label, np.ndarray)
    height, full = image.shape[:2] if whole else one.label.shape
    width = min(width, full)
    size = (width, max(1, round(height * width / full)))
    about = {
        'kind': kind,
        'name': Path(one.path).name,
        'score': one.score,
        'size': list(size),
        'image': _data('jpeg', cv2.resize(image, size, interpolation=cv2.INTER_AREA)),
    }
    if whole:
        return {**about, 'label': one.label, 'pred': one.pred}
    label, pred = (
        cv2.resize(values, size, interpolation=cv2.INTER_NEAREST_EXACT)
        for values in (one.label, one.pred)
    )
    errors = error_map(pred, label, ignore_index=ignore_index)
    return {
        **about,
        # png: small for maps of few colours, and without false colours at edges
        'truth': _data('png', colour(label, palette)[..., ::-1]),
        'prediction': _data('png', colour(pred, palette)[..., ::-1]),
        'errors': _data('png', errors[..., ::-1]),
    }


def _data(kind: str, picture: np.ndarray) -> str:
    options = [cv2.IMWRITE_JPEG_QUALITY, 80] if kind == 'jpeg' else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    suffix = '.jpg' if kind == 'jpeg' else '.png'
    encoded = cv2.imencode(suffix, np.ascontiguousarray(picture), options)[1]
    return f'data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}'
