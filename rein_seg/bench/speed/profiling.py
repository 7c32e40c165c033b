"""Profiles a step: the time of each part, and in each part of each kind of operation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from rein_seg.bench.speed.parts import RANGE, REST, PartTrack, tracked

# the first rule that matches an operation's name; other operations of aten are elementwise
_RULES = (
    ('convolution', r'conv(olution|\d|_|$)'),
    ('attention', r'scaled_dot_product|flash_attention|efficient_attention'),
    (
        'matrix product',
        r'::(_?mkldnn_)?(mm|addmm|bmm|baddbmm|matmul|linear|linear_backward|einsum|mv|addmv|dot)$'
        r'|::_linear_pointwise$',
    ),
    ('optimizer', r'_fused_adam|_foreach_|^Optimizer'),
    ('gather', r'embedding_bag|grid_sampler|sampled_addmm'),
    ('norm', r'(layer|group|batch)_norm'),
    ('softmax', r'softmax'),
    ('resize', r'upsample'),
    ('index, sort', r'::_?(index|gather|scatter|take|sort|argsort|topk|bincount|embedding|unique)'),
    (
        'copy, fill',
        r'::_?(copy_|clone|contiguous|cat|stack|to|to_copy|fill_|zero_|ones|zeros|full|empty'
        r'|arange|new_)',
    ),
    ('elementwise', r'^aten::'),
)
KINDS = (*(kind for kind, _ in _RULES), 'Python')
_RULES_COMPILED = tuple((kind, re.compile(rule)) for kind, rule in _RULES)
_BACKWARD = 'autograd::engine::evaluate_function'
# Parts that may take much of a step; of the others none should. A layer of the pixel decoder is
# attention and feed-forward, like a block of the encoder.
EXEMPT_PARTS = ('encoder blocks', '3x3 convolution', 'deformable attention', 'feed-forward')
EXEMPT_KINDS = ('convolution', 'attention')


def profile_step(
    step: Callable[[], Any], model: nn.Module, device: torch.device, optim_wrapper: Any = None
) -> dict[str, Any]:
    """Profiles one step.

    Args:
        step: Function that runs the step, eager: a compiled graph has no parts.
        model: `PEFTSegmentor` that it runs.
        device: Of the model.
        optim_wrapper: Of the model, in training.

    Returns:
        ``ms`` of the step as profiled; ``idle_ms`` in which a GPU waited for the host (None on a
        CPU); ``parts``: part -> ``ms``, of it ``backward_ms``, ``share`` of the step, ``kinds``
        (kind of operation -> ms); and ``outside``: of every part but `EXEMPT_PARTS` the share
        without `EXEMPT_KINDS`.
    """
    activities = [ProfilerActivity.CPU]
    if device.type == 'cuda':
        activities.append(ProfilerActivity.CUDA)
    with tracked(model, optim_wrapper) as track, profile(activities=activities) as profiler:
        with record_function(RANGE + REST):
            step()
            if device.type == 'cuda':
                torch.cuda.synchronize()
    return summarise(profiler.events(), track, on_gpu=device.type == 'cuda')


def summarise(events: Any, track: PartTrack, *, on_gpu: bool) -> dict[str, Any]:
    """Returns the figures of `profile_step` from the profiler's events."""
    places: dict[int, tuple[str | None, bool]] = {}
    parts: dict[str, dict[str, Any]] = {}
    wall = sum(e.cpu_time_total for e in events if _is_outermost(e)) / 1000
    for event in events:
        if event.device_type != torch.autograd.DeviceType.CPU:
            continue
        spent = (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1000
        part, backward = _place(event, track, places)
        if spent <= 0 or part is None:
            continue
        one = parts.setdefault(part, {'ms': 0.0, 'backward_ms': 0.0, 'kinds': {}})
        one['ms'] += spent
        one['backward_ms'] += spent if backward else 0.0
        kind = kind_of(event.name)
        one['kinds'][kind] = one['kinds'].get(kind, 0.0) + spent
    busy = sum(one['ms'] for one in parts.values())
    for one in parts.values():
        one['share'] = one['ms'] / wall
    return {
        'ms': wall,
        'idle_ms': max(0.0, wall - busy) if on_gpu else None,
        'parts': parts,
        'outside': _outside(parts, wall),
    }


def kind_of(name: str) -> str:
    """Returns the kind of an operation; Python is also the time between operations.

    Example:
        >>> from rein_seg.bench.speed.profiling import kind_of
        >>> kind_of('aten::addmm'), kind_of('aten::gelu'), kind_of('part:matching')
        ('matrix product', 'elementwise', 'Python')
    """
    return next((kind for kind, rule in _RULES_COMPILED if rule.search(name)), 'Python')


def _is_outermost(event: Any) -> bool:
    return event.name == RANGE + REST and event.cpu_parent is None and not event.is_async


def _place(
    event: Any, track: PartTrack, places: dict[int, tuple[str | None, bool]]
) -> tuple[str | None, bool]:
    """Returns the part of an event, and whether it belongs to the backward pass.

    The part is None before and after the step.
    """
    if id(event) in places:
        return places[id(event)]
    parent = event.cpu_parent
    part, backward = _place(parent, track, places) if parent is not None else (None, False)
    if event.name.startswith(_BACKWARD):
        part, backward = track.of_node(event.sequence_nr % 2**64), True
    elif event.name.startswith(RANGE):
        part = event.name.removeprefix(RANGE)
    places[id(event)] = (part, backward)
    return part, backward


def _outside(parts: dict[str, dict[str, Any]], wall: float) -> dict[str, float]:
    """Returns part -> share, largest first."""
    left = {
        name: sum(ms for kind, ms in one['kinds'].items() if kind not in EXEMPT_KINDS) / wall
        for name, one in parts.items()
        if name not in EXEMPT_PARTS
    }
    return dict(sorted(left.items(), key=lambda item: -item[1]))
