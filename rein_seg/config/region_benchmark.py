"""Benchmarks that learn prompts on the regions of a segmentation benchmark."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rein_seg.config.definitions import Benchmark, Domain, Pipeline

_LOAD, _LABELS = dict(type='LoadDomainImage'), dict(type='LoadLabels')
_FILL, _PACK = dict(type='FillOutside'), dict(type='PackImageInputs')


def train_steps(side: int, **fill: Any) -> Pipeline:
    """Returns random crops of the box of a class, flipped half of the time.

    Args:
        side: Of the picture, in pixels.
        **fill: Arguments of `FillOutside`.

    Example:
        >>> from rein_seg.config.region_benchmark import train_steps
        >>> [step['type'] for step in train_steps(224)][2:4]
        ['CropRegion', 'FillOutside']
    """
    crop = dict(type='CropRegion', size=side, area=(0.08, 1.0), flip_prob=0.5)
    return (_LOAD, _LABELS, crop, {**_FILL, **fill}, _PACK)


def test_steps(side: int, **fill: Any) -> Pipeline:
    """Returns the whole box of a class.

    Example:
        >>> from rein_seg.config.region_benchmark import test_steps
        >>> test_steps(224)[2]
        {'type': 'CropRegion', 'size': 224}
    """
    return (_LOAD, _LABELS, dict(type='CropRegion', size=side), {**_FILL, **fill}, _PACK)


def of_regions(scenes: Benchmark, name: str, *, shots: int | None, **options: Any) -> Benchmark:
    """Returns a benchmark of the regions of the seen classes of another.

    Args:
        scenes: The benchmark of segmentation.
        name: Of the benchmark returned.
        shots: Training samples of each class; None takes all.
        **options: Further fields of the benchmark returned.

    Example:
        >>> from rein_seg.config.builtin import benchmarks
        >>> regions = benchmarks()['voc15_regions']
        >>> regions.num_classes, regions.train[0].type, regions.train[0].args['shots']
        (15, 'RegionDataset', 128)
    """

    def regions(domain: Domain, **args: Any) -> Domain:
        source = domain.node
        args = {'source': source, 'unseen': list(scenes.unseen), **args}
        return Domain(name=domain.name, type='RegionDataset', args=args)

    few = {} if shots is None else {'shots': shots}
    return replace(
        scenes,
        name=name,
        num_classes=scenes.num_classes - len(scenes.unseen),
        train=tuple(regions(domain, **few) for domain in scenes.train),
        val=tuple(regions(domain) for domain in scenes.val),
        unseen=(),
        crop_size=None,
        test_cfg=None,
        metric={'type': 'ImageAccuracy'},
        test_batch_size=32,
        **options,
    )
