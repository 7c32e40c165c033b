"""Measures the speed of configs in turn, and where the time of a step goes."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from rein_seg.bench.speed.benchmark_target import (
    MODES,
    BenchmarkTarget,
    Work,
    make_targets,
    threads,
)
from rein_seg.bench.speed.data import time_data
from rein_seg.bench.speed.floor import Product, against, find_reference, floors
from rein_seg.bench.speed.flops import count_flops
from rein_seg.bench.speed.parts import ENCODER, HEAD
from rein_seg.bench.speed.profiling import profile_step
from rein_seg.environment import describe_environment
from rein_seg.errors import UserError
from rein_seg.fast import onednn_matmul
from rein_seg.timing import PeakMemory, compare, interleave

Report = Callable[[str], None]
OWN = "float32, PyTorch's own"  # matrix products, beside the library that the steps use


def benchmark_speed(
    config: str,
    *,
    compare_with: Sequence[str] = (),
    mode: str = 'train',
    size: Sequence[int] | None = None,
    batch: int = 1,
    amp: bool = False,
    compiled: bool = False,
    random: bool = False,
    device: str | None = None,
    num_threads: int | None = None,
    repeats: int = 5,
    warmup: int = 1,
    profile: bool = True,
    cfg_options: Mapping[str, Any] | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Measures steps of training, or predictions, of configs in turn: A B A B.

    A training step is mmengine's with the config's optimizer: forward, losses, backward, clipping
    if the config has it, update. Images and labels are synthetic; weights are random where the
    encoder's file is not there. Between the steps a matrix product measures the machine's rate.

    Args:
        config: Config file.
        compare_with: Further config files, or options for ``config``; see `make_targets`.
        mode: train or predict (whole, or in windows as the config's ``test_cfg`` says).
        size: (H, W) of the images; default the config's crop size.
        batch: Images a step.
        amp: bfloat16 autocast.
        compiled: Steps go through ``torch.compile``; parts and FLOPs are of the eager step.
        random: Random weights, also where the encoder's file exists.
        device: Such as ``cuda:0``; default the first GPU, else the CPU.
        num_threads: Of PyTorch.
        repeats: Counted steps of each.
        warmup: Steps of each before these.
        profile: Whether to count FLOPs and to profile a step of each, after the timing.
        cfg_options: Dotted names -> values, for all targets.
        report: Takes lines of progress.

    Returns:
        ``rates``: GFLOP/s of matrix products, median and range, by type; also `OWN` where the steps
        use another library than PyTorch's own. ``targets``: by name type, seconds, images/s, ratios
        to ``config`` (median of the rounds, range), peak memory over the models' own, and with
        ``profile`` ``flops``, ``floor``, ``profile``, ``reference``. ``data``, ``settings``,
        ``environment``.

    Raises:
        UserError: If an argument is not as above.
    """
    work = _check(mode, size, batch, amp, compiled, random, device)
    said = report or (lambda line: None)
    with threads(num_threads):
        targets = make_targets(config, compare_with, work, cfg_options=cfg_options or {})
        for name, target in targets.items():
            said(f'{name}: {"random" if target.random else "pretrained"} weights')
        figures = _time(targets, repeats=repeats, warmup=warmup, report=said)
        for name, target in targets.items():
            one = figures['targets'][name]
            # a step of its own: measuring returns free memory to the system, which takes time
            with PeakMemory(work.device) as peak:
                target.step()
            one['peak_mib'] = peak.mib
            if profile and not target.work.mmseg:  # parts are found by our modules
                said(f'{name}: FLOPs and profile')
                one.update(_examine(target, one['seconds'], figures['rates']))
        first = next(iter(targets.values()))
        if mode == 'train':
            left_out = {name: target.work.without for name, target in targets.items()}
            figures['data'] = time_data(first.cfg, batch=batch, repeats=repeats, left_out=left_out)
        return {
            'config': config,
            'settings': {
                'mode': mode,
                'size': list(first.size),
                'batch': batch,
                'amp': amp,
                'compile': compiled,
                'device': str(work.device),
                'repeats': repeats,
                'warmup': warmup,
                'random_weights': first.random,
            },
            **figures,
            'environment': describe_environment()
            | {'load': list(os.getloadavg()), 'cores': os.cpu_count()},
        }


def _check(
    mode: str,
    size: Sequence[int] | None,
    batch: int,
    amp: bool,
    compiled: bool,
    random: bool,
    device: str | None,
) -> Work:
    """Returns the work of all targets.

    Raises:
        UserError: If there is no such mode or device, or a number is below 1.
    """
    if mode not in MODES:
        raise UserError(f'mode={mode!r}: expected one of {MODES}')
    if batch < 1 or (size is not None and (len(size) != 2 or min(size) < 1)):
        raise UserError(f'batch={batch}, size={size}: expected a batch and a (H, W) of 1 or more')
    name = device or ('cuda:0' if torch.cuda.is_available() else 'cpu')
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'device={name!r} cannot be used here: {error}') from error
    given = None if size is None else (int(size[0]), int(size[1]))
    return Work(
        mode=mode,
        size=given,
        batch=batch,
        amp=amp,
        compile=compiled,
        random=random,
        device=torch.device(name),
    )


def _time(
    targets: Mapping[str, BenchmarkTarget], *, repeats: int, warmup: int, report: Report
) -> dict[str, Any]:
    """Returns ``rates`` and ``targets`` with times and ratios."""
    first, device = next(iter(targets)), next(iter(targets.values())).work.device
    types = dict.fromkeys(target.dtype for target in targets.values())
    # between the steps: the machine's rate at the same moments, whatever else it does
    squares = {_name(dtype): Product(device, dtype) for dtype in types}
    if device.type == 'cpu' and torch.float32 in types and onednn_matmul.library() == 'oneDNN':
        squares[OWN] = Product(device, torch.float32, own=True)
    ways = {
        **{f'matrix product, {name}': square for name, square in squares.items()},
        **{name: target.step for name, target in targets.items()},
    }
    # a target that returns freed memory to the system slows the step after it
    settle = len(targets) > 1 and any(target.frees_memory for target in targets.values())
    measured = interleave(
        ways,
        repeats=repeats,
        warmup=warmup,
        device=device,
        memory=False,
        settle=settle,
        report=report,
    )
    rates = {}
    for name, square in squares.items():
        each = square.rates(measured.pop(f'matrix product, {name}').seconds)
        rates[name] = {
            'gflop_per_s': statistics.median(each),
            'range': [min(each), max(each)],
            'side': square.side,
        }
    found = {}
    for name, one in compare(measured, first).items():
        seconds = measured[name].seconds
        found[name] = {
            'dtype': _name(targets[name].dtype),
            'seconds': one['seconds'],
            'seconds_range': [min(seconds), max(seconds)],
            'images_per_s': targets[name].work.batch / one['seconds'],
            'time_ratio': one['time_ratio'],
            'time_ratio_range': one['time_ratio_range'],
        }
    return {'rates': rates, 'targets': found}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')


def _examine(target: BenchmarkTarget, seconds: float, rates: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``flops``, ``profile``, ``floor`` and, where one is known, ``reference``."""
    used = rates[_name(target.dtype)]
    model, optim_wrapper = target.model, target.optim_wrapper
    flops = count_flops(target.eager_step, model, optim_wrapper)
    target.eager_step()  # counting changes caches and memory
    profiled = profile_step(target.eager_step, model, target.work.device, optim_wrapper)
    floor = floors(flops, used['gflop_per_s'])
    spent = {'encoder': _sum(profiled, ENCODER), 'head': _sum(profiled, HEAD)}
    for name, group in floor.items():
        # the step's own time is known without the profiler's share
        group['seconds'] = seconds if name == 'step' else spent[name]
        group['ratio'] = group['seconds'] / group['floor_s'] if group['floor_s'] else None
    found = {'flops': flops, 'profile': profiled, 'floor': floor}
    work = target.work
    reference = find_reference(
        model, mode=work.mode, size=target.size, batch=work.batch, plain=target.plain
    )
    if reference is not None:
        found['reference'] = against(reference, seconds, rates.get(OWN, used)['gflop_per_s'])
    return found


def _sum(profiled: Mapping[str, Any], parts: Sequence[str]) -> float:
    """Returns the seconds of parts."""
    return sum(profiled['parts'].get(part, {'ms': 0.0})['ms'] for part in parts) / 1000
