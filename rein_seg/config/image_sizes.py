"""The sizes that images reach the encoder at, of all images, from their headers.

Steps of a pipeline run on blank images: one for each size that the files have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rein_seg.building import building
from rein_seg.datasets import CropRegion, DomainDataset, ImageDataset, LoadDomainImage, LoadLabels
from rein_seg.datasets.files.sizes import image_sizes
from rein_seg.datasets.sampling.stream import seed_everything
from rein_seg.errors import UserError
from rein_seg.models.windows import WINDOWED

Size = tuple[int, int]
CROP_DRAWS = 8
_SHOWN = 3
_MANY = 2000  # headers, from which on a bar shows the progress


def training_sizes(dataset: Any, padded_to: Sequence[int] | None) -> dict[Size, str]:
    """Returns the sizes of training images, after checking that a random crop fits into them.

    Random resizing may make some images smaller than the crop, which are padded. It is an error if
    even the largest of eight draws is smaller.

    Args:
        dataset: Training data set.
        padded_to: (height, width) of smaller images after padding; None does not pad.

    Returns:
        (height, width) -> an image; with a crop only one size.

    Raises:
        UserError: If the crop does not fit, or an image cannot be read.
    """
    steps = list(dataset.pipeline.transforms)
    crop = next((i for i, step in enumerate(steps) if hasattr(step, 'crop_size')), None)
    if crop is not None:
        return {_cropped_size(dataset, steps, crop, padded_to): _first(dataset)}
    padded: dict[Size, str] = {}
    for size, image in sizes_after(dataset, steps[:-1], draws=2).items():
        padded.setdefault(_largest(size, padded_to or (0, 0)), image)
    return padded


def test_sizes(dataset: Any) -> dict[Size, str]:
    """Returns each (height, width) of the images of a validation or test -> an image."""
    return sizes_after(dataset, list(dataset.pipeline.transforms)[:-1])


def window_sizes(sizes: Mapping[Size, str], test_cfg: Any, domain: str) -> dict[Size, str]:
    """Returns the sizes for the encoder: of the images, or of the sliding window.

    Args:
        sizes: From `test_sizes`.
        test_cfg: Of the model.
        domain: Of the data set, for messages.

    Raises:
        UserError: If the window is larger than every image.
    """
    if test_cfg.get('mode') not in WINDOWED:
        return dict(sizes)
    wanted = tuple(test_cfg['crop_size'])
    if test_cfg['mode'] == 'fit_slide':  # images are resized to the window
        return {wanted: next(iter(sizes.values()))}
    largest = tuple(max(sides) for sides in zip(*sizes, strict=True))
    if any(have < want for have, want in zip(largest, wanted, strict=True)):
        raise UserError(
            f'test_cfg.crop_size {wanted} is larger than the image {largest} (height, width) '
            f'of domain {domain!r}; choose a smaller window or a larger resize'
        )
    return {wanted: next(iter(sizes.values()))}


def check_batch(sizes: Mapping[Size, str], batch_size: int, key: str) -> None:
    """Checks that the images of a loader fit into batches.

    Args:
        sizes: (height, width) -> an image, of all data sets of the loader.
        batch_size: Images of a batch.
        key: Of the loader.

    Raises:
        UserError: If a batch could hold images of several sizes.

    Example:
        >>> from rein_seg.config.image_sizes import check_batch
        >>> check_batch({(4, 6): 'a.png', (8, 6): 'b.png'}, 1, 'val_dataloader')
    """
    if batch_size > 1 and len(sizes) > 1:
        some = ', '.join(f'{size} of {image!r}' for size, image in list(sizes.items())[:_SHOWN])
        raise UserError(
            f'{key}: images reach the model in {len(sizes)} sizes (height, width), such as {some}: '
            f'expected one size for batch_size={batch_size}; resize them to one size, cut one size '
            'out of training images (RandomCrop), or set batch_size=1'
        )


def sizes_after(dataset: Any, steps: Sequence[Any], *, draws: int = 1) -> dict[Size, str]:
    """Returns each (height, width) that images leave the steps of a pipeline with -> an image.

    Args:
        dataset: A data set; of another kind than ours only the first image is read.
        steps: Of its pipeline.
        draws: Number of draws of random steps.

    Raises:
        UserError: If an image cannot be read, or the steps load none.
    """
    seed_everything(0)
    first = _size_after(dataset, steps)  # as it is: the others are blank
    found = {first: _first(dataset)}
    if not isinstance(dataset, (DomainDataset, ImageDataset)):
        return found
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    many = len(infos) > _MANY
    loaded = image_sizes(infos, f'sizes of {dataset.domain}' if many else '')
    if _is_fixed(steps):
        return found
    # the first image of each size
    by_size = dict(zip(reversed(loaded), reversed(infos), strict=True))
    for size, info in by_size.items():
        for draw in range(draws):
            seed_everything(draw)
            found.setdefault(_blank_size(info, size, steps), info['img_path'])
    return found


def _is_fixed(steps: Sequence[Any]) -> bool:
    """Tells whether a step gives all images one size."""
    return any(
        isinstance(step, CropRegion)
        or type(step).__name__ == 'Resize'
        and step.scale is not None
        and not step.keep_ratio
        for step in steps
    )


def _blank_size(info: Mapping[str, Any], size: Size, steps: Sequence[Any]) -> Size:
    label = {'gt_seg_map': np.zeros(size, np.uint8), 'seg_fields': ['gt_seg_map']}
    bands = info.get('bands')
    channels = 3 if bands is None else len(bands.use)
    image = {'img': np.zeros((*size, channels), np.uint8), 'img_shape': size, 'ori_shape': size}
    results = {**info, **image, **(label if 'seg_map_path' in info else {})}
    for step in steps:
        if not isinstance(step, (LoadDomainImage, LoadLabels)):
            with building(f'step {type(step).__name__} of the pipeline, {info["img_path"]!r}'):
                results = step(results)
    return results['img'].shape[:2]


def _cropped_size(
    dataset: Any, steps: Sequence[Any], crop: int, padded_to: Sequence[int] | None
) -> Size:
    seed_everything(0)
    largest = (0, 0)
    for _ in range(CROP_DRAWS if crop > 2 else 1):
        largest = _largest(largest, _size_after(dataset, steps[:crop]))
    wanted = tuple(steps[crop].crop_size)
    if any(have < want for have, want in zip(largest, wanted, strict=True)):
        raise UserError(
            f'{type(steps[crop]).__name__}: crop_size {wanted} is larger than the image {largest} '
            '(height, width) it is to be cut from; choose a smaller crop or a larger resize'
        )
    return _largest(wanted, padded_to or (0, 0))


def _largest(a: Sequence[int], b: Sequence[int]) -> Size:
    return max(a[0], b[0]), max(a[1], b[1])


def _first(dataset: Any) -> str:
    return dataset.get_data_info(0).get('img_path', '')


def _size_after(dataset: Any, steps: Sequence[Any]) -> Size:
    domain = f'domain {getattr(dataset, "domain", "?")!r}'
    with building(f'{domain}: data set {type(dataset).__name__}'):
        results = dataset.get_data_info(0)
    for step in steps:
        with building(f'{domain}: step {type(step).__name__} of its pipeline'):
            results = step(results)
    if 'img' not in results:
        raise UserError(
            f'{domain}: its pipeline '
            f'{[type(step).__name__ for step in steps]} loads no image: begin it with '
            f'LoadImageFromFile and end it with '
            f'{getattr(dataset, "last_step", "PackDomainInputs")}'
        )
    return tuple(results['img'].shape[:2])
