"""Compares decode heads on the same encoders in one process: training step, window, slide."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from rein_seg.bench.heads.memory import peak_memory
from rein_seg.bench.heads.variants import Variant, build_target, chosen_heads
from rein_seg.bench.speed.benchmark_target import BenchmarkTarget, Work, threads
from rein_seg.bench.speed.floor import Product, floors
from rein_seg.bench.speed.flops import count_flops
from rein_seg.environment import describe_environment
from rein_seg.errors import UserError
from rein_seg.progress import Meter
from rein_seg.timing import compare, interleave

# name -> mode, and the sides of the image in sides of a window
WORKS = {'train': ('train', (1, 1)), 'window': ('predict', (1, 1)), 'slide': ('predict', (1, 2))}
ENCODERS = ('rein_dinov2_small_gtav', 'rein_dinov2_base_gtav')
_PRODUCT = 'matrix product'


def benchmark_heads(
    configs: Sequence[str] = ENCODERS,
    *,
    heads: Sequence[str] | None = None,
    works: Sequence[str] = tuple(WORKS),
    size: int = 512,
    repeats: int = 5,
    warmup: int = 1,
    memory: Sequence[str] = ('train',),
    device: str | None = None,
    num_threads: int | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Measures heads in turn, A B C A B C, on each config's encoder and method.

    The weights are random. Between the steps a matrix product measures the machine's rate. Heads
    whose masks open in training are trained with all masks in force, which is the most work, and
    predict with all masks open, as after training.

    Args:
        configs: Config files; each head takes the place of their own.
        heads: Names in `HEADS`, the first to compare with; None takes all.
        works: Of `WORKS`: a training step, one window, a slide over an image of two windows.
        size: Side of a window in pixels.
        repeats: Counted steps of each.
        warmup: Steps of each before these.
        memory: Works whose peak memory is measured, each head in a process of its own.
        device: Such as ``cuda:0``; default the first GPU, else the CPU.
        num_threads: Of PyTorch.
        cfg_options: Dotted names -> values, for all models, over the head's.

    Returns:
        ``configs``: by config and work ``gflop_per_s`` of the matrix product, and ``heads`` by name
        with seconds, ``time_ratio`` to the first head (median of the rounds) and its range,
        ``gflop`` counted, ``floor_s`` at that rate, ``times_floor``, and for works of ``memory``
        ``step_mib``, ``process_mib`` and ``memory_ratio``. ``settings``, ``environment``.

    Raises:
        UserError: If there is no such head or work.
    """
    variants = chosen_heads(heads)
    for name in {*works, *memory} - WORKS.keys():
        raise UserError(f'work {name!r}: expected some of {", ".join(WORKS)}')
    kept = {**_windows(size), **(cfg_options or {})}
    named = torch.device(device or ('cuda:0' if torch.cuda.is_available() else 'cpu'))
    work = Work(size=(size, size), random=True, device=named)
    total = len(configs) * len(variants) * len(works) * (repeats + warmup)
    total += len(configs) * len(variants) * len({*memory} & {*works})
    found: dict[str, Any] = {}
    with threads(num_threads), Meter(total, what='benchmark-heads', unit='steps') as meter:
        for config in configs:
            models = {
                name: build_target(config, variant, work, kept)
                for name, variant in variants.items()
            }
            found[config] = {
                name: _measure(models, name, repeats=repeats, warmup=warmup, meter=meter)
                for name in works
            }
            del models
            for name in works:
                if name in memory:
                    _add_memory(
                        found[config][name]['heads'],
                        partial(
                            peak_memory,
                            config,
                            work=_as(work, name),
                            num_threads=num_threads,
                            cfg_options=kept,
                        ),
                        variants,
                        meter,
                    )
    return {
        'configs': found,
        'settings': {
            'size': size,
            'device': str(named),
            'repeats': repeats,
            'warmup': warmup,
            'memory': list(memory),
        },
        'environment': describe_environment()
        | {'load': list(os.getloadavg()), 'cores': os.cpu_count()},
    }


def _windows(size: int) -> dict[str, Any]:
    """Returns options of a slide in windows of a side, which overlap by a third."""
    pairs = {'crop_size': (size, size), 'stride': (size * 2 // 3,) * 2}  # 512: 341, as published
    return {'model.test_cfg.mode': 'slide'} | {f'model.test_cfg.{k}': v for k, v in pairs.items()}


def _as(work: Work, name: str) -> Work:
    """Returns the work of `WORKS` on windows of the given work."""
    mode, sides = WORKS[name]
    assert work.size is not None
    height, width = (side * times for side, times in zip(work.size, sides, strict=True))
    return replace(work, mode=mode, size=(height, width))


def _measure(
    models: Mapping[str, BenchmarkTarget], name: str, *, repeats: int, warmup: int, meter: Meter
) -> dict[str, Any]:
    """Times one work of all heads in turn, then counts their FLOPs."""
    targets = {head: target.doing(_as(target.work, name)) for head, target in models.items()}
    device = next(iter(targets.values())).work.device
    square = Product(device, torch.float32)
    ways: dict[str, Callable[[], Any]] = {_PRODUCT: square}
    for head, target in targets.items():
        ways[head] = _counted(target.step, meter, f'{name}, {head}')
    measured = interleave(ways, repeats=repeats, warmup=warmup, device=device, memory=False)
    rate = statistics.median(square.rates(measured.pop(_PRODUCT).seconds))
    figures = compare(measured, next(iter(targets)))
    heads = {}
    for head, target in targets.items():
        one = figures[head]
        counted = count_flops(target.eager_step, target.model, target.optim_wrapper)
        floor = floors(counted, rate)['step']
        heads[head] = {
            'seconds': one['seconds'],
            'seconds_range': [min(measured[head].seconds), max(measured[head].seconds)],
            'time_ratio': one['time_ratio'],
            'time_ratio_range': one['time_ratio_range'],
            **floor,
            'times_floor': one['seconds'] / floor['floor_s'],
        }
    return {'gflop_per_s': rate, 'heads': heads}


def _counted(step: Callable[[], Any], meter: Meter, note: str) -> Callable[[], None]:
    def run() -> None:
        step()
        meter.advance(note=note)

    return run


def _add_memory(
    heads: dict[str, Any],
    peak: Callable[[Variant], dict[str, float | None]],
    variants: Mapping[str, Variant],
    meter: Meter,
) -> None:
    """Adds the peak memory of each head, and its ratio to the first."""
    first = None
    for head, variant in variants.items():
        heads[head] |= peak(variant)
        meter.advance(note=f'memory, {head}')
        mib = heads[head]['step_mib']
        first = first or mib
        heads[head]['memory_ratio'] = mib / first if mib and first else None
