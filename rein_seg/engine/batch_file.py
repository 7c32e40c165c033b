"""The file of a batch whose loss or gradient is not finite: written by a run, read by replay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine import dist
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from rein_seg.checkpoint import read_checkpoint, save_checkpoint
from rein_seg.checkpoint.tensors import not_finite
from rein_seg.errors import UserError

_PLAIN = (str, int, float, bool, type(None))


def save_batch(runner: Any, step: Any) -> Path:
    """Writes a batch, and the weights before its update, into the work folder of a run.

    Args:
        runner: The runner.
        step: With ``iteration`` and ``batch``.

    Returns:
        Path of the file: ``not_finite_iter_7.pth``, of other processes than the main process
        ``not_finite_iter_7_rank_1.pth``.
    """
    rank, processes = dist.get_dist_info()
    suffix = f'_rank_{rank}' if rank else ''
    path = Path(runner.work_dir) / f'not_finite_iter_{step.iteration + 1}{suffix}.pth'
    state = runner.bare_model.state_dict()
    buffers = {name for name, _ in runner.bare_model.named_buffers()}
    # the pass that failed has updated the statistics of normalisations; a training step reads none
    for name in buffers & set(not_finite(state)):
        state[name] = torch.ones_like(state[name])
    replay = dict(
        state_dict=state,
        inputs=[image.cpu() for image in step.batch['inputs']],
        samples=[_pack(sample) for sample in step.batch['data_samples']],
        position=step.iteration * processes + rank,
        seed=runner.seed,
    )
    meta = dict(iter=step.iteration, identity=runner.bare_model.identity)
    save_checkpoint(path, dict(meta=meta, replay=replay))
    return path


def read_batch(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the checkpoint in a batch's file, and its ``replay`` with samples.

    Raises:
        UserError: If the file cannot be read, or holds no batch.
    """
    checkpoint = read_checkpoint(path)
    replay = checkpoint.pop('replay', None)
    wanted = {'state_dict', 'inputs', 'samples', 'position', 'seed'}
    if not isinstance(replay, Mapping) or set(replay) != wanted:
        raise UserError(
            f'{path} holds no batch: expected not_finite_iter_N.pth, which a run writes when it '
            'stops at a loss that is not finite'
        )
    samples = [_unpack(sample) for sample in replay['samples']]
    return {**checkpoint, 'state_dict': replay['state_dict']}, {**replay, 'samples': samples}


def _pack(sample: SegDataSample) -> dict[str, Any]:
    maps = {key: value.data.cpu() for key, value in sample.all_items() if hasattr(value, 'data')}
    maps = {key: value for key, value in maps.items() if isinstance(value, Tensor)}
    return {'meta': {k: v for k, v in sample.metainfo.items() if _is_plain(v)}, 'maps': maps}


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return type(value) in _PLAIN


def _unpack(content: Mapping[str, Any]) -> SegDataSample:
    sample = SegDataSample(metainfo=dict(content['meta']))
    sample.set_data({key: PixelData(data=value) for key, value in content['maps'].items()})
    return sample
