"""Writes findings about data sets: ``check_data.json`` and ``overlays.png``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from rein_seg.checkpoint import write_json, write_png
from rein_seg.data_check.check import PartCheck
from rein_seg.data_check.report import report
from rein_seg.datasets.transforms.labels import load_classes
from rein_seg.pages.legend import legend
from rein_seg.pages.maps import colour
from rein_seg.pages.strips import STRIP_WIDTH, cards, row, text_line
from rein_seg.run.overview import sample_image

SAMPLES = 3  # of each data set
_LABEL_SHARE = 0.55  # of the overlay's colours


def write_report(folder: str | Path, name: str, checks: Sequence[PartCheck]) -> list[Path]:
    """Writes the report and the sheet of overlays into a folder; returns their paths.

    There is no sheet if no data set has a sample without fault.
    """
    folder = Path(folder)
    paths = [folder / 'check_data.json']
    write_json(paths[0], report(name, checks))
    picture = sheet(checks)
    if picture is not None:
        paths.append(folder / 'overlays.png')
        write_png(paths[1], picture[..., ::-1])
    return paths


def sheet(checks: Sequence[PartCheck]) -> np.ndarray | None:
    """Returns a picture, RGB: image, overlay and label of some samples of each data set."""
    shown = [(check, infos) for check in checks if (infos := _samples(check))]
    if not shown:
        return None
    labelled = any(check.part.dataset.task == 'pixels' for check, _ in shown)
    rows = [text_line(['image', 'label over image', 'label'])] if labelled else []
    for i, (check, infos) in enumerate(shown):
        meta = check.part.dataset.metainfo
        if check.part.dataset.task == 'images':
            names = [meta['classes'][info['gt_label']] for info in infos]
            rows.append(cards(check.part.name, [sample_image(info) for info in infos], names))
            continue
        palette = np.array(meta['palette'], np.uint8)
        rows += [row(_title(check, info), _draw(info, palette)) for info in infos]
        following = shown[i + 1][0].part.dataset.metainfo if i + 1 < len(shown) else {}
        if following.get('classes') != meta['classes']:
            names = [*meta['classes'], 'ignored']
            colours = np.vstack([palette, np.zeros((1, 3), np.uint8)])
            rows.append(legend(names, colours, STRIP_WIDTH))
    return np.vstack(rows)


def _samples(check: PartCheck) -> list[dict]:
    """Selects a few samples without fault, spread evenly."""
    good = [
        info
        for info, sample in zip(check.infos, check.samples, strict=True)
        if not sample.faults and sample.classes
    ]
    chosen = np.linspace(0, len(good) - 1, min(SAMPLES, len(good))).round().astype(int)
    return [good[i] for i in chosen]


def _title(check: PartCheck, info: dict) -> str:
    return f'{check.part.name}   {Path(info["img_path"]).name}'


def _draw(info: dict, palette: np.ndarray) -> list[np.ndarray]:
    image = sample_image(info)
    label = colour(load_classes(info), palette)
    if label.shape != image.shape:  # wrong_size allows it
        label = cv2.resize(label, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return [image, cv2.addWeighted(image, 1 - _LABEL_SHARE, label, _LABEL_SHARE, 0), label]
