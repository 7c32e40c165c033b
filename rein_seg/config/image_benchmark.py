"""Benchmarks of whole images that differ in their data alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rein_seg.config.definitions import Benchmark, Domain, Pipeline

LOAD, PACK = dict(type='LoadDomainImage'), dict(type='PackImageInputs')
# as CLIP's own preprocessing: Pillow's bicubic filter smooths where it makes smaller
_BICUBIC = dict(interpolation='bicubic', backend='pillow')


def train_steps(side: int, least: float = 0.08) -> Pipeline:
    """Returns random resized crops, flipped half of the time.

    Args:
        side: Of the crop, in pixels.
        least: Share of the image that a crop has at least.

    Example:
        >>> from rein_seg.config.image_benchmark import train_steps
        >>> [step['type'] for step in train_steps(224)][1:3]
        ['mmpretrain.RandomResizedCrop', 'RandomFlip']
    """
    crop = dict(
        type='mmpretrain.RandomResizedCrop', scale=side, crop_ratio_range=(least, 1.0), **_BICUBIC
    )
    return (LOAD, crop, dict(type='RandomFlip', prob=0.5), PACK)


def test_steps(side: int) -> Pipeline:
    """Returns the central square of an image whose shorter edge is resized to ``side``.

    Example:
        >>> from rein_seg.config.image_benchmark import test_steps
        >>> [step['type'] for step in test_steps(224)][1:3]
        ['mmpretrain.ResizeEdge', 'mmpretrain.CenterCrop']
    """
    edge = dict(type='mmpretrain.ResizeEdge', scale=side, **_BICUBIC)
    return (LOAD, edge, dict(type='mmpretrain.CenterCrop', crop_size=side), PACK)


def few_shot_benchmark(
    name: str,
    num_classes: int,
    *,
    type: str,
    train: str,
    test: str,
    images: int,
    data_root: str,
    hint: str,
    names: Mapping[str, Sequence[str]] | None = None,
    shots: int = 16,
    **args: Any,
) -> Benchmark:
    """Returns a benchmark that trains on a few images of each class and tests on a split.

    Args:
        name: Of benchmark and domain.
        num_classes: K.
        type: Class of the data set.
        train: Split of the training.
        test: Split of validation and test.
        images: Number of images of that split.
        data_root: Folder of the data.
        hint: Where to get them.
        names: Class -> words that a text tower reads in its place.
        shots: Images of each class.
        **args: Further arguments of the data set.

    Example:
        >>> from rein_seg.config.builtin import benchmarks
        >>> food = benchmarks()['food101']
        >>> food.train[0].args['shots'], food.val[0].images, food.targets
        (16, 25250, ('food101',))
    """
    common = {**args, 'hint': hint}
    few = {'split': train, 'shots': shots, 'shot_seed': 1, **common}
    tested = Domain(name=name, type=type, args={'split': test, **common}, images=images)
    return Benchmark(
        name=name,
        num_classes=num_classes,
        sizes_as=f'{name}-224',
        data_root=data_root,
        train=(Domain(name=name, type=type, args=few),),
        val=(tested,),
        targets=(name,),
        names=names or {},
        metric={'type': 'ImageAccuracy'},
        batch_size=32,
        test_batch_size=100,
        train_pipeline=train_steps(224),
        test_pipeline=test_steps(224),
    )


def retrieval_benchmark(
    name: str, num_classes: int, *, type: str, images: tuple[int, int], data_root: str
) -> Benchmark:
    """Returns a benchmark that trains on some classes and searches among images of the others.

    Args:
        name: Of the benchmark; its domains are NAME_train and NAME.
        num_classes: K of the training.
        type: Class of the data set, a `ClassSplitDataset`.
        images: Of the training and of the test classes.
        data_root: Folder of the data.

    Example:
        >>> from rein_seg.config.builtin import benchmarks
        >>> birds = benchmarks()['cub200']
        >>> birds.num_classes, birds.val[0].name, birds.val[0].images, birds.metric
        (100, 'cub200', 5924, {'type': 'RecallAtK'})
    """
    parts = [
        Domain(name=domain, type=type, args={'part': part}, images=count)
        for domain, part, count in zip(
            (f'{name}_train', name), ('train_classes', 'test_classes'), images, strict=True
        )
    ]
    return Benchmark(
        name=name,
        num_classes=num_classes,
        protocols=(f'frpt_{name}', f'frpt_repository_{name}'),
        data_root=data_root,
        train=(parts[0],),
        val=(parts[1],),
        targets=(name,),
        metric={'type': 'RecallAtK'},
        selection={'metric': f'{name}/R@1', 'rule': 'greater'},
        test_batch_size=64,
    )
