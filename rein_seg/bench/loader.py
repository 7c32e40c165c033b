"""Loading and augmenting training images: this package beside plain mmseg, with equal outputs.

One process without threads stands for one worker of a loader.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image

from rein_seg.datasets.cityscapes_space import CITYSCAPES_LABEL_IDS
from rein_seg.datasets.files.label_files import read_label
from rein_seg.datasets.files.listing import read_bytes
from rein_seg.datasets.sampling.stream import seed_everything
from rein_seg.datasets.transforms.labels import load_classes, map_ids
from rein_seg.errors import UserError
from rein_seg.fast import rust_png
from rein_seg.fast.dispatch import without
from rein_seg.scenes.streets import render
from rein_seg.timing import compare, interleave

MMSEG = 'mmseg'
MMSEG_RAW = 'mmseg, raw ids mapped'
OURS = 'ours, raw ids mapped'
OURS_PLAIN = 'ours, plain png readers'
OURS_COPIES = 'ours, decoded copies'
OURS_RAW = 'ours, raw copies'
READERS = ('rust_png', 'rust_png_labels')


class Way(NamedTuple):
    """A way to load: records of the images, transforms, and fast forms that are left out."""

    infos: list[dict]
    steps: list[Any]
    without: tuple[str, ...] = ()


def benchmark_loader(
    *,
    images: int = 8,
    repeats: int = 5,
    size: Sequence[int] = (1914, 1052),
    crop: int = 512,
    data_root: str | None = None,
    report: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measures images/s of the training pipeline of gtav_to_urban, way by way in turn.

    The ways: mmseg's transforms on labels that hold class indexes already, mmseg's mapping raw
    ids, ours on raw ids, ours with decoded copies, compressed and raw; and where the Rust decoder
    of png is installed, ours without it. The first round, which is not counted, makes the copies.

    Args:
        images: Number of images, each once a round.
        repeats: Counted rounds.
        size: (width, height) of drawn images, of street scenes in png files.
        crop: Side of the crop in pixels; shortest edges are drawn from 0.5 to 2 times this.
        data_root: Folder with GTAV in it (``gta/``), instead of drawn images.
        report: Takes lines of progress.

    Returns:
        For each way ``images_per_s``, ``ratio`` to mmseg (median of the rounds), ``ratio_range``,
        and ``steps``: ms an image of each transform. `OURS_PLAIN` also has ``ours``, the ratio of
        `OURS` to it with its range. Also ``mapping``: ms and share of ours; and
        ``files``: mean MB of images, and of copies with their labels.

    Raises:
        UserError: If the folder has fewer images.
    """
    init_default_scope('mmseg')
    with TemporaryDirectory() as folder, _one_thread():
        root = data_root or folder
        if data_root is None:
            _draw(Path(folder), images, tuple(size))
        infos = _infos(root, images)
        ways = _ways(infos, Path(folder), crop)
        outputs = {name: [_run(way, i) for i in range(images)] for name, way in ways.items()}
        _check_equal(outputs)
        del outputs

        measured = interleave(
            {name: partial(_run_all, way) for name, way in ways.items()},
            repeats=repeats,
            device=torch.device('cpu'),
            report=report,
        )
        figures = compare(measured, MMSEG)
        result: dict[str, Any] = {
            name: {
                'images_per_s': images / one['seconds'],
                'ratio': 1 / one['time_ratio'],
                'ratio_range': sorted(1 / ratio for ratio in one['time_ratio_range']),
                'steps': _steps(ways[name]),
            }
            for name, one in figures.items()
        }
        if OURS_PLAIN in ways:
            gain = compare(measured, OURS)[OURS_PLAIN]
            result[OURS_PLAIN]['ours'] = [gain['time_ratio'], *gain['time_ratio_range']]
        each = 1000 / result[OURS]['images_per_s']
        spent = _mapping_ms(infos)
        result['mapping'] = {'ms': spent, 'share_of_ours': spent / each}
        copies = Path(folder, 'copies')
        result['files'] = {
            'images': images,
            'image_mb': float(np.mean([len(read_bytes(info['img_path'])) for info in infos])) / 1e6,
            'copies_mb': _size(copies.rglob('*.tif')) / images / 1e6,
            'raw_copies_mb': _size(copies.rglob('*.npy')) / images / 1e6,
        }
        return result


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _draw(root: Path, images: int, size: tuple[int, int]) -> None:
    """Writes street scenes in the format of GTAV: raw ids in palette pngs."""
    raw_of = {index: raw for raw, index in CITYSCAPES_LABEL_IDS.items() if index != 255}
    table = np.array([raw_of.get(i, 0) for i in range(256)], np.uint8)
    for kind in ('images', 'labels'):
        (root / 'gta' / kind).mkdir(parents=True)
    for number in range(images):
        scene = render('clear', 'train', number, size=size)
        cv2.imwrite(str(root / f'gta/images/{number:05}.png'), scene.image)
        label = Image.fromarray(table[scene.label], mode='P')
        label.putpalette([value for i in range(256) for value in (i, 255 - i, 9)])
        label.save(root / f'gta/labels/{number:05}.png')


def _infos(root: str, images: int) -> list[dict[str, Any]]:
    dataset = DATASETS.build(
        dict(
            type='CityscapesSpaceDataset', domain='gtav', layout='gtav', data_root=root, pipeline=[]
        )
    )
    if len(dataset) < images:
        raise UserError(
            f'{root!r} has {len(dataset)} images of GTAV, but images={images}: give less'
        )
    at = np.linspace(0, len(dataset) - 1, images).astype(int)
    return [dataset.get_data_info(int(index)) for index in at]


def _ways(infos: list[dict], folder: Path, crop: int) -> dict[str, Way]:
    resize = dict(
        type='RandomChoiceResize',
        scales=[int(crop * x * 0.1) for x in range(5, 21)],
        resize_type='ResizeShortestEdge',
        max_size=4 * crop,
    )

    def steps(load: str, label: str, prefix: str, pack: str) -> list[Any]:
        parts = [
            dict(type=load),
            dict(type=label),
            resize,
            dict(type=f'{prefix}RandomCrop', crop_size=(crop, crop), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type=f'{prefix}PhotoMetricDistortion'),
            dict(type=pack),
        ]
        return [TRANSFORMS.build(part) for part in parts]

    plain = steps('LoadImageFromFile', 'LoadAnnotations', '', 'PackSegInputs')
    ours = steps('LoadDomainImage', 'LoadLabels', 'Fast', 'PackDomainInputs')
    converted = []
    for number, info in enumerate(infos):
        path = folder / f'train_ids/{number:05}.png'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), load_classes(info))
        converted.append({**info, 'seg_map_path': str(path), 'label_map': None})
    copies = {'cache_dir': str(folder / 'copies')}
    ways = {
        MMSEG: Way(converted, plain),
        MMSEG_RAW: Way([{**info, 'label_map': CITYSCAPES_LABEL_IDS} for info in infos], plain),
        OURS: Way(infos, ours),
    }
    if rust_png.decoder() is not None:
        ways[OURS_PLAIN] = Way(infos, ours, without=READERS)
    return ways | {
        OURS_COPIES: Way([{**info, **copies} for info in infos], ours),
        OURS_RAW: Way([{**info, **copies, 'cache_raw': True} for info in infos], ours),
    }


def _run_all(way: Way) -> None:
    for index in range(len(way.infos)):
        _run(way, index)


def _run(way: Way, index: int, spent: dict[str, float] | None = None) -> dict[str, Any]:
    """Loads an image; adds the seconds of each transform to ``spent``."""
    seed_everything(index, torch_too=False)
    results = {**way.infos[index], 'seg_fields': []}
    with without(*way.without) if way.without else contextlib.nullcontext():
        for step in way.steps:
            start = time.perf_counter()
            results = step(results)
            if spent is not None:
                spent[type(step).__name__] += time.perf_counter() - start
    return results


def _check_equal(outputs: Mapping[str, list[dict]]) -> None:
    for name, made in outputs.items():
        for one, other in zip(outputs[MMSEG], made, strict=True):
            assert torch.equal(one['inputs'], other['inputs']), f'{name}: another image'
            labels = [x['data_samples'].gt_sem_seg.data for x in (one, other)]
            assert torch.equal(*labels), f'{name}: another label'


def _steps(way: Way) -> dict[str, float]:
    """Returns the ms an image of each transform."""
    spent = dict.fromkeys((type(step).__name__ for step in way.steps), 0.0)
    for index in range(len(way.infos)):
        _run(way, index, spent)
    return {name: 1000 * seconds / len(way.infos) for name, seconds in spent.items()}


def _mapping_ms(infos: list[dict], rounds: int = 5) -> float:
    """Returns the ms of mapping the raw ids of a label, without reading it."""
    spent = []
    for info in infos:
        raw = read_label(info['seg_map_path'], info['decode'])
        for _ in range(rounds):
            start = time.perf_counter()
            map_ids(raw, info['id_map'], num_classes=info['num_classes'])
            spent.append(time.perf_counter() - start)
    return 1000 * float(np.median(spent))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])
