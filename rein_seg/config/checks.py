"""Checks of data and sizes before work starts: a mistake ends here, with one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from rein_seg.config.config_paths import deviations_in
from rein_seg.datasets import DomainDataset, leaf_datasets
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.datasets.files.sample_check import SampleCheck, check_sample, indexes_for_ids
from rein_seg.datasets.sampling.stream import seed_everything
from rein_seg.errors import UserError, near_misses
from rein_seg.evaluation import find_domain_metric, metric_class

# labels read at most; a data set of up to this size is checked whole
MAX_LABELS = 500
CROP_DRAWS = 8


@dataclass
class Checked:
    """Findings of the checks before a run.

    Attributes:
        sizes: Loader and domain -> (height, width) of the images for the encoder; see
            `check_sizes`.
        numbers: train, val or test -> deviations from the numbers of images as downloaded.
    """

    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    numbers: dict[str, list[str]] = field(default_factory=dict)


def check_run(cfg: Config, *, training: bool, labels: bool = True) -> Checked:
    """Checks data sets, label ids, class counts and window sizes.

    Args:
        cfg: Resolved config.
        training: Whether to check the loaders of a training run, else of a test.
        labels: Whether to read label ids; they are the same under another protocol.

    Raises:
        UserError: For the first mistake.
    """
    checked = Checked()
    keys = ['train_dataloader', 'val_dataloader'] if training else ['test_dataloader']
    for key in keys:
        dataset = DATASETS.build(cfg[key].dataset)
        classes = len(dataset.metainfo['classes'])
        if classes != cfg.model.num_classes:
            raise UserError(
                f'{key}: the data set has {classes} classes, the model num_classes='
                f'{cfg.model.num_classes}: take both from one benchmark'
            )
        parts = leaf_datasets(dataset)
        use = key.removesuffix('_dataloader')
        checked.numbers[use] = list(_numbers(parts, (cfg.get('expected_images') or {}).get(use)))
        for part in parts:
            if labels:
                check_labels(part)
            if key == 'train_dataloader':
                size = check_crop(part, cfg.model.get('crop_size'))
            else:
                size = check_window(part, cfg.model.get('test_cfg') or {})
            checked.sizes[f'{key}, domain {getattr(part, "domain", "?")!r}'] = size
        if key != 'train_dataloader':
            evaluator = cfg[key.replace('dataloader', 'evaluator')]
            check_evaluator(parts, evaluator, cfg.model.get('test_cfg') or {})
    return checked


def _numbers(parts: list[Any], stated: Mapping[str, int] | None) -> Iterator[str]:
    for part in parts:
        domain = getattr(part, 'domain', None)
        expected = (stated or {}).get(domain, getattr(part, 'expected_images', None))
        if expected is not None:
            yield from deviations_in(f'images of {domain}', len(part), expected)


def check_sizes(backbone: Any, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Checks that the encoder takes the images it will get.

    Args:
        backbone: The `PEFTBackbone`.
        sizes: From `check_run`.

    Raises:
        UserError: If a side is no multiple of the encoder's patch; the message names the sizes.
    """
    for place, size in sizes.items():
        try:
            backbone.check_size(size)
        except UserError as error:
            raise UserError(f'{place}: {error}') from error


def check_evaluator(parts: list[Any], evaluator: Any, test_cfg: Mapping[str, Any]) -> None:
    """Checks that metric, data sets and model fit.

    Args:
        parts: Data sets of the loader.
        evaluator: Config of a metric, or a list of them.
        test_cfg: Of the model.

    Raises:
        UserError: If no `DomainMetric` evaluates, it names a domain that no data set has, samples
            name no domain, or it needs scores that the model does not keep.
    """
    metric = find_domain_metric(evaluator)
    if metric is None:
        raise UserError(
            'the evaluator has neither DomainIoUMetric nor BinarySegMetric: results are made by '
            'domain'
        )
    needs_scores = metric_class(metric).needs_scores
    _check_domains(parts, metric)
    if needs_scores and not test_cfg.get('keep_scores', False):
        raise UserError(
            f'{metric["type"]} reads the scores of the foreground, which the model does not keep: '
            'set model.test_cfg.keep_scores=True'
        )


def _check_domains(parts: list[Any], metric: Any) -> None:
    domains = {getattr(part, 'domain', None) for part in parts}
    named = [metric.get('source'), *(metric.get('targets') or [])]
    for name in (n for n in named if n is not None and n not in domains):
        raise UserError(
            f'the evaluator names the domain {name!r}, which no data set has; '
            f'{near_misses(name, [str(d) for d in domains])}'
        )
    if metric.get('source') in (metric.get('targets') or []):
        raise UserError(
            f'the evaluator has {metric.source!r} as source and among its targets: a mean over '
            'unseen domains cannot have the one that was seen'
        )
    for part in parts:
        if 'domain' not in part[0]['data_samples']:
            raise UserError(
                f'samples of {part.domain if hasattr(part, "domain") else type(part).__name__!r} '
                'carry no domain: use a DomainDataset and end its pipeline with PackDomainInputs'
            )


def check_labels(dataset: Any) -> None:
    """Reads images and labels of a data set: at most 500, spread evenly.

    Raises:
        UserError: For the first fault; rein-seg check-data lists all.
    """
    if not isinstance(dataset, DomainDataset):
        print_log(f'data: {type(dataset).__name__}: label ids not checked', logger='current')
        return
    step = max(1, -(-len(dataset) // MAX_LABELS))
    indexes = range(0, len(dataset), step)

    def check(index: int) -> SampleCheck:
        sample = check_sample(dataset.get_data_info(index))
        for fault in sample.faults:
            if not fault.allowed:
                raise UserError(fault.message)
        return sample

    samples = in_parallel(check, indexes)
    message = indexes_for_ids(dataset.get_data_info(0), samples) if dataset.labelled else None
    if message is not None:
        raise UserError(f'domain {dataset.domain!r}: {message}')
    print_log(
        f'data: {dataset.domain}: {len(dataset)} images, {len(indexes)} of them checked with '
        'their labels',
        logger='current',
    )


def check_crop(dataset: Any, padded_to: Sequence[int] | None) -> tuple[int, int]:
    """Checks that a random crop fits into the resized images.

    Random resizing may make some images smaller than the crop, which are padded. It is an error if
    even the largest of eight draws is smaller.

    Args:
        dataset: Training data set.
        padded_to: (height, width) of smaller images after padding.

    Returns:
        (height, width) of a training image.
    """
    steps = list(dataset.pipeline.transforms)
    crop = next((i for i, step in enumerate(steps) if hasattr(step, 'crop_size')), None)
    seed_everything(0)
    if crop is None:
        return _largest(_size_after(dataset, steps[:-1]), padded_to or (0, 0))
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


def check_window(dataset: Any, test_cfg: Any) -> tuple[int, int]:
    """Checks that a sliding window fits into the first image; returns the encoder's image size."""
    size = _size_after(dataset, list(dataset.pipeline.transforms)[:-1])
    if test_cfg.get('mode') != 'slide':
        return size
    wanted = tuple(test_cfg['crop_size'])
    if any(have < want for have, want in zip(size, wanted, strict=True)):
        raise UserError(
            f'test_cfg.crop_size {wanted} is larger than the image {tuple(size)} (height, width) '
            f'of domain {getattr(dataset, "domain", "?")!r}; choose a smaller window or a larger '
            'resize'
        )
    return wanted


def _largest(a: Sequence[int], b: Sequence[int]) -> tuple[int, int]:
    return max(a[0], b[0]), max(a[1], b[1])


def _size_after(dataset: Any, steps: list) -> tuple[int, int]:
    results = dataset.get_data_info(0)
    for step in steps:
        results = step(results)
    if 'img' not in results:
        raise UserError(
            f'domain {getattr(dataset, "domain", "?")!r}: its pipeline '
            f'{[type(step).__name__ for step in steps]} loads no image: begin it with '
            'LoadImageFromFile and end it with PackDomainInputs'
        )
    return tuple(results['img'].shape[:2])
