"""Checks of data and sizes before work starts: a mistake ends here, with one message."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.registry import DATASETS, TRANSFORMS

from rein_seg.building import building
from rein_seg.config.config_paths import datasets_of, deviations_in
from rein_seg.config.image_sizes import check_batch, test_sizes, training_sizes, window_sizes
from rein_seg.config.task import compares_images
from rein_seg.config.tasks import metrics_of
from rein_seg.datasets import DomainDataset, ImageDataset, leaf_datasets
from rein_seg.datasets.files.faults import IDS
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.datasets.files.sample_check import SampleCheck, check_sample, faults_of_all
from rein_seg.datasets.files.walk import describe
from rein_seg.datasets.label_space import check_label_space
from rein_seg.datasets.sampling.class_counts import absent_classes, class_counts
from rein_seg.datasets.task_datasets import all_classes, views
from rein_seg.datasets.unseen import channel_classes
from rein_seg.encoders import fetch_weights
from rein_seg.errors import UserError, near_misses
from rein_seg.evaluation import find_domain_metric, metric_class
from rein_seg.evaluation.image_recall import RECALL_KS
from rein_seg.models.base import task_of
from rein_seg.models.text_config import build_text
from rein_seg.models.windows import check_test_cfg

# labels read at most; a data set of up to this size is checked whole
MAX_LABELS = 500


@dataclass
class Checked:
    """Findings of the checks before a run.

    Attributes:
        sizes: Loader, domain and an image -> (height, width) of the images for the encoder; see
            `check_sizes`.
        numbers: train, val or test -> deviations from the numbers of images as downloaded.
        warnings: Findings that stop no run; also logged.
        classes: Names of the classes, in the order of their indexes.
        channels: Index of the class of each channel of the model.
    """

    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    numbers: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the classes of the model's channels."""
        return tuple(self.classes[i] for i in self.channels)


def check_run(cfg: Config, *, training: bool, labels: bool = True) -> Checked:
    """Checks data sets, label ids, class counts and window sizes; has the encoder's weights here.

    Args:
        cfg: Resolved config.
        training: Whether to check the loaders of a training run, else of a test.
        labels: Whether to read label ids; they are the same under another protocol.

    Raises:
        UserError: For the first mistake.
    """
    checked = Checked()
    if task_of(cfg.model.get('type')) == 'pixels':
        check_test_cfg(cfg.model.get('test_cfg'), cfg.model.num_classes)
    spaces: dict[str, tuple[str, ...]] = {}
    keys = ['train_dataloader', 'val_dataloader'] if training else ['test_dataloader']
    for key in keys:
        dataset = _build_dataset(cfg, key)
        spaces[key] = _in_order(_check_classes(dataset, key, cfg), dataset, cfg)
        parts = leaf_datasets(dataset)
        use = key.removesuffix('_dataloader')
        checked.numbers[use] = list(_numbers(parts, (cfg.get('expected_images') or {}).get(use)))
        for task, view in views(dataset):
            of_task = leaf_datasets(view)
            pixels: Counter[int] = Counter()
            for part in of_task if labels else ():
                pixels += check_labels(part, all_classes=use == 'train')
            checked.sizes |= _sizes(of_task, key, cfg)
            for part in of_task:
                _check_sample(part)
            hidden = cfg.benchmark.get('unseen') or ()
            check = pixels and use == 'train'
            warning = absent_classes(pixels, view.metainfo['classes'], hidden) if check else None
            if warning is not None:
                checked.warnings.append(warning)
                print_log(warning, logger='current', level=logging.WARNING)
            if use != 'train':
                evaluator = cfg[f'{use}_evaluator']
                if task is not None:
                    evaluator = metrics_of(evaluator, task)
                check_evaluator(of_task, evaluator, cfg.model.get('test_cfg') or {})
    if len(set(spaces.values())) > 1 and not compares_images(cfg):
        first, second = spaces.values()
        differing = next((a, b) for a, b in zip(first, second, strict=True) if a != b)
        raise UserError(
            f'train_dataloader and val_dataloader name their classes differently, such as '
            f'{differing[0]!r} and {differing[1]!r} at one index: expected the same classes in the '
            'same order; set the same metainfo'
        )
    checked.classes = next(iter(spaces.values()))
    checked.channels = channel_classes(checked.classes, cfg.benchmark)
    if cfg.benchmark.get('unseen') and not cfg.model.get('text'):
        warning = (
            f'benchmark.unseen names {len(cfg.benchmark.unseen)} classes, and the model reads no '
            'names of classes: expected model.text for scores of unseen classes; without it U is '
            'the score of classes that nothing taught the model'
        )
        checked.warnings.append(warning)
        print_log(warning, logger='current', level=logging.WARNING)
    # the slowest at last: a mistake in the data must not wait for a download
    fetch_weights(cfg.model.backbone.encoder)
    if cfg.model.get('text'):  # names, files and words, before the folder of the run is touched
        with building('model.text'):
            build_text(cfg.model.text, cfg.model.backbone.encoder, cfg.model.num_classes)
    return checked


def _build_dataset(cfg: Config, key: str) -> Any:
    """Builds the data set of a loader; where that fails, names the step of a pipeline that did."""
    with building(f'{key}.dataset'):
        try:
            return DATASETS.build(cfg[key].dataset)
        except Exception:
            for dataset in datasets_of(cfg, (key,)):
                for i, step in enumerate(dataset.get('pipeline') or []):
                    with building(f'{key}: step {i} of a pipeline, {step["type"]}'):
                        TRANSFORMS.build(step)
            raise


def _check_sample(dataset: Any) -> None:
    domain = f'domain {getattr(dataset, "domain", "?")!r}'
    with building(f'{domain}: its pipeline'):
        sample = dataset[0]
    packed = isinstance(sample, Mapping) and {'inputs', 'data_samples'} <= sample.keys()
    if packed and isinstance(dataset, ImageDataset):
        packed = 'gt_label' in sample['data_samples']
    if not packed:
        raise UserError(
            f'{domain}: its pipeline makes no sample for the model: end it with '
            f'{getattr(dataset, "last_step", "PackDomainInputs")}'
        )


def _check_classes(dataset: Any, key: str, cfg: Config) -> tuple[str, ...]:
    """Returns the names of a data set's classes."""
    classes = tuple(dataset.metainfo['classes'])
    about, number = cfg.benchmark, cfg.model.num_classes
    hidden = len(about.get('unseen') or ()) if about.get('compact') else 0
    # a model that reads names takes the classes of its test
    renamed = key == 'test_dataloader' and cfg.model.get('text')
    if len(classes) - hidden != number and not (
        renamed or (key != 'train_dataloader' and compares_images(cfg))
    ):
        seen = f', {hidden} of them unseen,' if hidden else ','
        raise UserError(
            f'{key}: the data set has {len(classes)} classes{seen} the model num_classes='
            f'{number}: take both from one benchmark'
        )
    for part in leaf_datasets(dataset):
        if isinstance(part, ImageDataset):  # it has checked its classes itself
            continue
        check_label_space(part.metainfo, getattr(part, 'ignore_index', 255), key)
    return classes


def _in_order(classes: tuple[str, ...], dataset: Any, cfg: Config) -> tuple[str, ...]:
    """Returns the classes; of several tasks in the order of the tasks in the model."""
    tasks = dataset.metainfo.get('tasks')
    if not tasks:
        return classes
    return all_classes({name: tasks[name]['classes'] for name in cfg.model.tasks})


def _sizes(parts: Sequence[Any], key: str, cfg: Config) -> dict[str, tuple[int, int]]:
    """Returns the sizes of a loader's images for the encoder, with the image of each."""
    model, found, every = cfg.model, {}, {}
    for part in parts:
        domain = getattr(part, 'domain', '?')
        if key == 'train_dataloader':
            images = sizes = training_sizes(part, model.get('crop_size'))
        else:
            images = test_sizes(part)
            sizes = window_sizes(images, model.get('test_cfg') or {}, domain)
        every |= images
        for size, image in sizes.items():
            place = f'{key}, domain {domain!r}'
            found[f'{place}, image {image!r}' if len(sizes) > 1 else place] = size
    # without a crop_size the model pads training images to the largest of a batch
    segments = task_of(model.get('type')) == 'pixels'
    padded = segments and key == 'train_dataloader' and model.get('crop_size') is None
    if not padded and model.get('data_preprocessor') is None:
        check_batch(every, cfg[key].get('batch_size') or 1, key)
    return found


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
            'the evaluator has neither DomainIoUMetric nor BinarySegMetric (for whole images '
            'ImageAccuracy): results are made by domain'
        )
    kind = metric_class(metric['type'])
    _check_domains(parts, metric)
    if kind.reads == 'embedding':
        _check_galleries(parts, metric)
    if kind.needs_scores and not test_cfg.get('keep_scores', False):
        raise UserError(
            f'{metric["type"]} reads the scores of the foreground, which the model does not keep: '
            'set model.test_cfg.keep_scores=True'
        )


def _check_galleries(parts: list[Any], metric: Mapping[str, Any]) -> None:
    for part in parts:
        if len(part) < 2:
            raise UserError(
                f'domain {part.domain!r} has {len(part)} image, and {metric["type"]} compares each '
                'image with the others: expected a gallery of 2 or more; add images'
            )
        most = max(metric.get('ks') or RECALL_KS)
        if len(part) <= most:
            raise UserError(
                f'domain {part.domain!r} has {len(part)} images, and {metric["type"]} looks at the '
                f'{most} nearest others of each, which are all: expected more than {most} images; '
                "add images, or lower the evaluator's ks"
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


def check_labels(dataset: Any, *, all_classes: bool = False) -> Counter[int]:
    """Reads images and labels of a data set: at most 500, spread evenly.

    Args:
        dataset: The data set.
        all_classes: Whether to count the classes of all labels, however many there are. The counts
            are kept, see `class_counts`.

    Returns:
        Class index -> pixels; empty for data without labels.

    Raises:
        UserError: For the first fault; rein-seg check-data lists all.
    """
    if not isinstance(dataset, (DomainDataset, ImageDataset)):
        print_log(f'data: {type(dataset).__name__}: label ids not checked', logger='current')
        return Counter()
    step = max(1, -(-len(dataset) // MAX_LABELS))
    indexes = range(0, len(dataset), step)

    def check(index: int) -> SampleCheck:
        sample = check_sample(dataset.get_data_info(index))
        for fault in sample.faults:
            # unknown ids wait: all labels together show better which ids they are
            if not fault.allowed and fault.kind != IDS:
                raise UserError(fault.message)
        return sample

    samples = in_parallel(check, indexes, title=f'check {dataset.domain}')
    print_log(
        f'data: {dataset.domain}: {len(dataset)} images, {len(indexes)} of them checked with '
        f'their labels; {describe(dataset.left_out)}',
        logger='current',
    )
    if isinstance(dataset, ImageDataset):
        return Counter(dataset.labels().tolist())
    if not dataset.labelled:
        return Counter()
    for _, message in faults_of_all(dataset.get_data_info(0), samples):
        raise UserError(f'domain {dataset.domain!r}: {message}')
    for fault in (fault for sample in samples for fault in sample.faults if fault.kind == IDS):
        raise UserError(fault.message)
    pixels: Counter[int] = Counter()
    if all_classes and step > 1:
        pixels.update(dict(enumerate(class_counts(dataset).sum(0).tolist())))
        return pixels
    for sample in samples:
        pixels.update(sample.classes)
    del pixels[dataset.ignore_index]
    return pixels
