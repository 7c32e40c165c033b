"""Adapters on one encoder beside models loaded one by one: memory of both, and time to switch."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from rein_seg.config.load import load_config
from rein_seg.errors import UserError
from rein_seg.run.predict import init_model, predict
from rein_seg.run.service import AdapterService
from rein_seg.timing import in_turn, return_free_memory, status_mib

METHODS = ('Rein', 'LoRA', 'DoRA', 'SSF', 'BitFit')
WAYS = ('shared', 'separate')


def benchmark_service(
    config: str,
    *,
    methods: Sequence[str] = METHODS,
    cfg_options: Sequence[str] = (),
    repeats: int = 3,
    size: tuple[int, int] = (512, 512),
    report: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measures both ways in turn, each in a process of its own.

    Args:
        config: Config file; its method is replaced by each of ``methods``, with defaults.
        methods: Names of methods; their adapters are random, which costs as much as trained ones.
        cfg_options: ``KEY=VALUE`` of each process, as on a command line.
        repeats: Processes of each way.
        size: (H, W) of the image that is segmented.
        report: Called with a line of progress.

    Returns:
        ``memory_ratio``: growth of memory by loading, shared over separate (of the GPU, else
        resident memory); ``switch_ratio``: seconds of a switch over seconds of loading one model;
        the medians behind both; and ``equal``: whether both ways predict the same.

    Raises:
        UserError: If a process fails.
    """

    def say(number: int, runs: Mapping[str, list[dict[str, Any]]]) -> None:
        if report is not None:
            took = ', '.join(
                f'{way} {each[-1]["memory_mib"]:.0f} MiB' for way, each in runs.items()
            )
            report(f'round {number}/{repeats}: {took}')

    ways = {way: partial(_in_process, way, config, methods, cfg_options, size) for way in WAYS}
    runs = in_turn(ways, repeats=repeats, after_round=say)
    figures: dict[str, Any] = {'adapters': list(methods)}
    for way in WAYS:
        for key in ('memory_mib', 'load_s', 'predict_s'):
            figures[f'{way}_{key}'] = statistics.median(run[key] for run in runs[way])
    switches = [seconds for run in runs['shared'] for seconds in run['switch_s']]
    loads = [run['load_s'] / len(methods) for run in runs['separate']]
    figures['switch_s'] = statistics.median(switches)
    figures['switch_s_range'] = [min(switches), max(switches)]
    figures['load_one_s'] = statistics.median(loads)
    figures['memory_ratio'] = figures['shared_memory_mib'] / figures['separate_memory_mib']
    figures['switch_ratio'] = figures['switch_s'] / figures['load_one_s']
    figures['equal'] = len({run['sum'] for way in WAYS for run in runs[way]}) == 1
    return figures


def measure(
    way: str, config: str, methods: Sequence[str], cfg_options: dict, size: tuple[int, int]
) -> dict[str, Any]:
    """Loads the adapters one way, in this process, and segments one image with each, twice.

    Returns:
        ``memory_mib`` of the loaded models, ``load_s`` of all, ``switch_s`` of each switch,
        ``predict_s`` of one image, and ``sum`` of all predicted classes.
    """
    configs = [_with_method(config, method, cfg_options) for method in methods]
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before, start = _held_mib(), time.perf_counter()
    calls = _load_shared(configs) if way == 'shared' else _load_separate(configs)
    load_s, memory = time.perf_counter() - start, _held_mib() - before
    switches, seconds, total = [], [], 0
    for _ in range(2):
        for switch, call in calls:
            start = time.perf_counter()
            switch()
            switches.append(time.perf_counter() - start)
            total += int(call(image).astype(np.int64).sum())
            seconds.append(time.perf_counter() - start)
    return {
        'memory_mib': memory,
        'load_s': load_s,
        'switch_s': switches,
        'predict_s': statistics.median(seconds),
        'sum': total,
    }


def _load_shared(configs: Sequence[Config]) -> list[tuple[Callable, Callable]]:
    service = AdapterService()
    for index, cfg in enumerate(configs):
        service.add(str(index), cfg)
        _redraw(service.model(str(index)), index)
    return [
        (lambda name=name: service.switch(name), lambda image: service.predict(image))
        for name in service.adapters
    ]


def _load_separate(configs: Sequence[Config]) -> list[tuple[Callable, Callable]]:
    models = []
    for index, cfg in enumerate(configs):
        models.append(init_model(cfg))
        _redraw(models[-1], index)
    return [(lambda: None, lambda image, model=model: predict(model, image)) for model in models]


@torch.no_grad()
def _redraw(model: Any, seed: int) -> None:
    """Draws the tensors of an adapter, the same for both ways."""
    generator = torch.Generator().manual_seed(seed)
    for _, tensor in sorted(model.state_dict().items()):
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator) * 0.02
            # scales stay near 1, all others near 0
            tensor.copy_(drawn.to(tensor) + tensor.mean().round())


def _with_method(config: str, method: str, cfg_options: dict) -> Config:
    cfg = load_config(config, cfg_options=cfg_options)
    if cfg.model.backbone.peft['type'] == method:
        return cfg
    peft = {'type': method, **({'link_to_queries': False} if method == 'Rein' else {})}
    options = {**cfg_options, 'model.backbone.peft': {'_delete_': True, **peft}}
    return load_config(config, cfg_options=options)


def _held_mib() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated() / 2**20
    return_free_memory()
    return status_mib('VmRSS')


def _in_process(
    way: str,
    config: str,
    methods: Sequence[str],
    cfg_options: Sequence[str],
    size: tuple[int, int],
) -> dict[str, Any]:
    command = [sys.executable, '-m', 'rein_seg', 'benchmark-service', config]
    command += ['--way', way, '--methods', *methods, '--size', *map(str, size)]
    command += ['--cfg-options', *cfg_options] if cfg_options else []
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ['it said nothing']
        raise UserError(f'measuring {way} failed: {lines[-1].removeprefix("error: ")}')
    return json.loads(result.stdout.strip().splitlines()[-1])
