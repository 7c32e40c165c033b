"""Peak memory of a step, in a process of its own: no other model, no memory kept from before."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from typing import Any

import torch

from rein_seg.bench.heads.variants import Variant, build_target
from rein_seg.bench.speed.benchmark_target import Work, threads
from rein_seg.fast.dispatch import use_in_process
from rein_seg.timing import PeakMemory


def peak_memory(
    config: str,
    variant: Variant,
    work: Work,
    *,
    num_threads: int | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> dict[str, float | None]:
    """Measures the second of two steps in a new process.

    Args:
        config: Config file.
        variant: Its head.
        work: A training step or a prediction.
        num_threads: Of PyTorch.
        cfg_options: Dotted names -> values, over the head's.

    Returns:
        ``step_mib``: peak above the level before the step, so models and optimizer do not count;
        ``process_mib``: peak of the whole process (on a GPU: of its memory). None where the system
        does not report it.
    """
    context = multiprocessing.get_context('spawn')
    with context.Pool(1) as pool:
        return pool.apply(_measure, (config, variant, work, num_threads, dict(cfg_options or {})))


def _measure(
    config: str,
    variant: Variant,
    work: Work,
    num_threads: int | None,
    cfg_options: Mapping[str, Any],
) -> dict[str, Any]:
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    use_in_process()
    with threads(num_threads):
        target = build_target(config, variant, work, cfg_options)
        target.step()  # the optimizer's state is made in the first step
        with PeakMemory(work.device) as peak:
            target.step()
        whole = peak.mib and peak.start_mib + peak.mib
        if work.device.type == 'cuda':
            whole = torch.cuda.max_memory_allocated() / 2**20
    return {'step_mib': peak.mib, 'process_mib': whole}
