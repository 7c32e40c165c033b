"""Makes a typed benchmark of a data file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rein_seg.bands import KEYS, Bands
from rein_seg.config.class_weights import read_class_weights
from rein_seg.config.data_file.classes import LabelSpace, read_classes
from rein_seg.config.data_file.keys import CHANGES, FILE
from rein_seg.config.data_file.splits import Files, OwnDomain, read_domains
from rein_seg.config.data_file.text import read_yaml
from rein_seg.config.definitions import OWN, Benchmark, Domain, Pipeline
from rein_seg.config.schema.check import check_keys
from rein_seg.errors import UserError, near_misses

SIZE = 360  # short side of the images in pixels
_MULTIPLE = 32  # of the patches and strides of every encoder here
_SCALES = (0.75, 0.875, 1.0, 1.125, 1.25, 1.5)
_LONGEST = 2**15  # of an image with the short side: a panorama keeps its shape
_LOAD, _LABELS, _PACK = (
    {'type': 'LoadDomainImage'}, {'type': 'LoadLabels'}, {'type': 'PackDomainInputs'},
)  # fmt: skip


def is_data_file(name: str) -> bool:
    """Says whether the name of a benchmark is the path of a data file."""
    return name.lower().endswith(('.yaml', '.yml'))


def read_benchmark(path: str, changes: Mapping[str, Any] | None = None) -> Benchmark:
    """Returns the benchmark of a data file.

    Folders in the file are relative to it. The names of benchmark and protocol begin with
    ``custom-``, so that no run on own data has the name of a published protocol.

    Args:
        path: The data file.
        changes: ``size``, ``crop``, ``batch_size`` and ``class_weights`` in place of the file's.

    Raises:
        UserError: For the first mistake in the file.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.config.data_file import read_benchmark
        >>> text = '''
        ... name: rein512
        ... classes: [road, sky]
        ... images: images
        ... labels: labels
        ... split: {val: 0.2, by: image}'''
        >>> _ = Path('data.yaml').write_text(text)
        >>> own = read_benchmark('data.yaml')
        >>> own.name, own.sizes_as, own.selection['metric']
        ('custom-rein512', 'custom-rein512-360', 'rein512/mIoU')
    """
    content = read_yaml(path)
    for key in changes or {}:
        if key not in CHANGES:
            raise UserError(f'benchmark.{key} beside benchmark.data; {near_misses(key, CHANGES)}')
    content = {'name': _default_name(path), **content, **(changes or {})}
    check_keys(content, FILE, path)
    if 'threshold' in content and content.get('ignore'):
        raise UserError(
            f'ignore={content["ignore"]} beside threshold={content["threshold"]}: a threshold '
            'makes two classes of all pixels, expected one of the two; leave ignore out in '
            f'{path}, or list the ids of the labels in classes'
        )
    space, domains = read_classes(content, path), read_domains(content, path)
    size, crop = _sizes(content, path)
    bands = _bands(content, path)
    try:
        weights = read_class_weights(content.get('class_weights'), space.names)
    except ValueError as error:
        raise UserError(
            f'class_weights={content["class_weights"]!r}: expected {error}; correct it in {path}'
        ) from None
    stride = tuple(max(8, side * 7 // 8 // 8 * 8) for side in crop)
    source = domains[0].name
    return Benchmark(
        name=f'{OWN}{content["name"]}',
        num_classes=len(space.names),
        sizes_as=f'{OWN}{content["name"]}-{size}',
        crop_size=crop,
        test_cfg={'mode': 'slide', 'crop_size': crop, 'stride': stride, 'batch_windows': 4},
        data_root=os.path.normpath(Path(path).expanduser().parent / content.get('root', '.')),
        train=_use(domains, space, content, 'train'),
        val=_use(domains, space, content, 'val', 'test'),
        test=_use(domains, space, content, 'test', 'val'),
        source=source,
        targets=tuple(one.name for one in domains if not one.trains),
        unseen=space.unseen,
        names=space.words,
        **({'metric': {'type': 'SeenUnseenIoU'}} if space.unseen else {}),
        # a choice by hIoU would look at labels that training must not see
        selection={'metric': f'{source}/{"S" if space.unseen else "mIoU"}', 'rule': 'greater'},
        class_weights=weights,
        batch_size=content.get('batch_size', 2),
        workers=content.get('workers', 2),
        bands=bands,
        train_pipeline=_training(size, crop, of_bands=bands is not None),
        test_pipeline=(_LOAD, _fit(size), _LABELS, _PACK),
    )


def clean_name(text: str) -> str:
    """Returns a name for a data file that is made of the letters of a text.

    Example:
        >>> from rein_seg.config.data_file.benchmark import clean_name
        >>> clean_name('my data (2)')
        'my data _2'
    """
    return re.sub(r'[^\w .-]+', '_', text).strip(' .-_')[:64].strip() or 'data'


def _default_name(path: str) -> str:
    """Returns the name of the file, or of its folder where every data file has that name."""
    file = Path(path).expanduser().resolve()
    name = file.parent.name if file.stem in ('data', 'dataset') else file.stem
    return clean_name(name)


def _sizes(content: Mapping[str, Any], file: str) -> tuple[int, tuple[int, int]]:
    size = content.get('size', SIZE)
    largest = 512 if size >= 512 else 256
    crop = content.get('crop', max(_MULTIPLE, min(size, largest) // _MULTIPLE * _MULTIPLE))
    if crop > size or crop % _MULTIPLE:
        raise UserError(
            f'crop={crop}: expected a multiple of {_MULTIPLE} up to size={size}, the short side '
            f'that images are resized to; correct it in {file}'
        )
    return size, (crop, crop)


def _bands(content: Mapping[str, Any], file: str) -> dict[str, Any] | None:
    """Returns the description of the bands, None for RGB."""
    beside = {key: content[key] for key in KEYS[1:] if content.get(key) is not None}
    names = content.get('bands')
    if names is None and not beside:
        return None
    if names is None:
        raise UserError(
            f'{", ".join(beside)} without bands has no effect: expected the names of the bands, '
            f'such as bands: [red, green, blue, nir]; add them to {file}, or leave the others out'
        )
    described = {'names': list(names), **beside}
    try:
        Bands.of(described)
    except UserError as error:
        raise UserError(f'{error}; correct it in {file}') from None
    return described


def _use(
    domains: list[OwnDomain], space: LabelSpace, content: Mapping[str, Any], *splits: str
) -> tuple[Domain, ...]:
    """Returns the data sets of one use: of each domain the first of these splits."""
    chosen = [one for one in domains if one.trains or splits != ('train',)]
    parts = [(one.name, one.first(*splits)) for one in chosen]
    return tuple(
        Domain(name=name, type=_kind(content), args=_arguments(files, space, content))
        for name, files in parts
        if files is not None
    )


def _kind(content: Mapping[str, Any]) -> str:
    return 'BinaryFolderDataset' if 'threshold' in content else 'FolderDataset'


def _arguments(files: Files, space: LabelSpace, content: Mapping[str, Any]) -> dict[str, Any]:
    masks = 'threshold' in content
    said = {
        **files,
        'metainfo': space.metainfo,
        'label_map': None if masks or space.label_map is None else dict(space.label_map),
        'label_colours': space.label_colours and [list(one) for one in space.label_colours],
        'threshold': content.get('threshold'),
    }
    return {key: value for key, value in said.items() if value is not None}


def _fit(size: int) -> dict[str, Any]:
    """Resizes an image to a short side of ``size`` pixels."""
    return {'type': 'Resize', 'scale': (_LONGEST, size), 'keep_ratio': True}


def _training(size: int, crop: tuple[int, int], *, of_bands: bool = False) -> Pipeline:
    resize = {
        'type': 'RandomChoiceResize',
        'scales': [max(crop[0], int(size * factor)) for factor in _SCALES],
        'resize_type': 'ResizeShortestEdge',
        'max_size': _LONGEST,
    }
    cut = {'type': 'FastRandomCrop', 'crop_size': crop, 'cat_max_ratio': 0.75}
    flip = {'type': 'RandomFlip', 'prob': 0.5}
    colours = {'type': 'BandDistortion' if of_bands else 'FastPhotoMetricDistortion'}
    return (_LOAD, _LABELS, resize, cut, flip, colours, _PACK)
