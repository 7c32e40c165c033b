"""Finds the data sets of a benchmark or config: each once, without reading its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from rein_seg.config.builtin import benchmarks
from rein_seg.config.config_paths import USES, datasets_of
from rein_seg.config.data_file import is_data_file, read_benchmark
from rein_seg.config.data_file.text import read_yaml
from rein_seg.config.find import find_config, shipped_configs
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.datasets import DomainDataset, DrawnDataset, ImageDataset
from rein_seg.datasets.files.listing import is_there
from rein_seg.errors import UserError, near_misses

# arguments that do not change which files are read
_ASIDE = (
    'pipeline',
    'test_mode',
    'lazy_init',
    'serialize_data',
    'cache_dir',
    'cache_raw',
    'corruption',
)


@dataclass
class Part:
    """A data set of a benchmark or config.

    Attributes:
        name: First use, task if there are several, and domain, such as ``train/gtav``.
        dataset: The data set, built without reading any file.
        expected: Number of images stated by the config or the layout, None if not stated.
        uses: Its uses among train, val and test.
        unseen: Names of the classes that training never labels.
    """

    name: str
    dataset: Any
    expected: int | None = None
    uses: list[str] = field(default_factory=list)
    unseen: tuple[str, ...] = ()


def read_parts(
    name: str,
    *,
    data_root: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> list[Part]:
    """Returns the data sets of a benchmark, in the order train, val, test.

    Args:
        name: Name of a benchmark, name or path of a config, or a folder: then the data sets of
            all benchmarks that lie in it.
        data_root: In the place of the config's.
        cfg_options: As `load_config`.

    Raises:
        UserError: If the file is missing, names no data set, or a data set has wrong arguments.
    """
    options = dict(cfg_options or {})
    if data_root is not None:
        options['data_root'] = data_root
    if Path(name).is_dir():
        if options:
            raise UserError(
                f'{name!r} is a folder, whose data sets are found by their layout: --data-root and '
                '--cfg-options go with a benchmark or a config'
            )
        return _lying_in(Path(name))
    parts: dict[str, Part] = {}
    _add_parts(parts, _source(name), options)
    if not parts:
        raise UserError(f'{name!r} names no data set: expected a train, val or test_dataloader')
    return list(parts.values())


def _source(name: str) -> str | Config:
    """Returns a config file, or the config of a benchmark."""
    if name in benchmarks():
        return Config(benchmarks()[name].content())
    if is_data_file(name) and Path(name).is_file() and 'classes' in read_yaml(name):
        return Config(read_benchmark(name).content())
    try:
        return find_config(name)
    except UserError:
        known = [*benchmarks(), *shipped_configs()]
        hint = near_misses(name, known, otherwise=f'benchmarks: {", ".join(sorted(benchmarks()))}')
        raise UserError(
            f'{name!r} is neither a benchmark nor a config nor a folder; {hint}'
        ) from None


def _lying_in(folder: Path) -> list[Part]:
    parts: dict[str, Part] = {}
    for benchmark in benchmarks().values():
        # the folder may be `data`, which holds data/camvid, or data/camvid itself
        for place in dict.fromkeys((folder, folder / Path(benchmark.data_root).name)):
            content = Config(benchmark.content())
            _add_parts(parts, content, {'data_root': str(place)}, only_there=True)
    if not parts:
        raise UserError(
            f'{str(folder)!r} holds no data set of the benchmarks here in the layout of '
            'docs/reference/datasets.md; name a benchmark or a config to see what it expects'
        )
    return list(parts.values())


def _add_parts(
    parts: dict[str, Part],
    source: str | Config,
    options: dict[str, Any],
    *,
    only_there: bool = False,
) -> None:
    """Adds the data sets of a config to the known data sets, once for the same files."""
    cfg = resolve(source, Request(options=options, data_only=True)).cfg
    expected = cfg.get('expected_images') or {}
    unseen = tuple((cfg.get('benchmark') or {}).get('unseen') or ())
    for use in USES:
        for node in datasets_of(cfg, (f'{use}_dataloader',)):
            files = {key: value for key, value in node.items() if key not in _ASIDE}
            # with a layout the domain is only a name: corruptions of the same images have many
            named = 'domain' if 'layout' in files else ''
            same = {key: value for key, value in files.items() if key != named}
            same = json.dumps(same, sort_keys=True, default=str)
            if same not in parts:
                part = _build(files, use, [part.name for part in parts.values()])
                if only_there and not _is_there(part.dataset):
                    continue
                # two benchmarks may name the same files by two types or roots
                twin = _twin(part.dataset, parts) if only_there else None
                same = twin or same
                if twin is None:
                    part.unseen = unseen
                    parts[same] = part
            part = parts[same]
            # another benchmark may label them
            part.unseen = tuple(name for name in part.unseen if name in unseen)
            if use not in part.uses:
                part.uses.append(use)
            if part.expected is None:
                known = getattr(part.dataset, 'expected_images', None)
                part.expected = (expected.get(use) or {}).get(_domain(part.dataset), known)


def _is_there(dataset: Any) -> bool:
    """Tells whether the files of a data set are there; a drawn data set makes its own."""
    if isinstance(dataset, ImageDataset):
        return dataset.lies_there()
    if isinstance(dataset, DrawnDataset) or not isinstance(dataset, DomainDataset):
        return False
    csv = getattr(dataset, 'csv', '')
    if csv:
        return Path(dataset.data_root or '.', csv).is_file()
    return any(is_there(place) for place in dataset.places('img_path'))


def _twin(dataset: Any, parts: Mapping[str, Part]) -> str | None:
    """Returns the key of a known data set that reads the same files in the same way."""
    reads = _reads(dataset)
    same = (key for key, part in parts.items() if reads and _reads(part.dataset) == reads)
    return next(same, None)


def _reads(dataset: Any) -> tuple[Any, ...]:
    """Returns the files of a data set of two folders and their meaning; () for all others."""
    if not isinstance(dataset, DomainDataset) or type(dataset).pairs is not DomainDataset.pairs:
        return ()
    places = (
        next((place for place in dataset.places(key) if is_there(place)), None)
        for key in ('img_path', 'seg_map_path')
    )
    about = (dataset.img_suffix, dataset.seg_map_suffix, dataset.starts, dataset.ann_file)
    split = getattr(dataset, 'split', None) if getattr(dataset, 'layout', None) else None
    numbers = dataset.layout.numbers.get(split) if split else None
    meaning = (dataset.metainfo['classes'], dataset.id_map, dataset.decode, dataset.skip)
    return (*places, *about, numbers, *meaning)


def _build(cfg: Mapping[str, Any], use: str, names: list[str]) -> Part:
    kind = cfg.get('type')
    if isinstance(kind, str) and DATASETS.get(kind) is None:
        raise UserError(
            f'dataset.type={kind!r} is not registered; {near_misses(kind, DATASETS.module_dict)}'
        )
    dataset = DATASETS.build({**cfg, 'lazy_init': True, 'serialize_data': False})
    task = getattr(dataset, 'of_task', None)
    name = '/'.join(filter(None, (use, task, _domain(dataset))))
    others = sum(known == name or known.startswith(f'{name} #') for known in names)
    return Part(f'{name} #{others + 1}' if others else name, dataset)


def _domain(dataset: Any) -> str:
    known = isinstance(dataset, (DomainDataset, ImageDataset))
    return dataset.domain if known else type(dataset).__name__
