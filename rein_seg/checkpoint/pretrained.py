"""Has mmengine read the weights of ``init_cfg=dict(type='Pretrained', ...)`` as we do.

Its own reader unpickles a file, running its code, where PyTorch's safe reader refuses it.
"""

from __future__ import annotations

from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader

from rein_seg.checkpoint.read import read_checkpoint, read_state_dict
from rein_seg.errors import UserError

_ELSEWHERE = (
    'http://', 'https://', 's3://', 'petrel:', 'pavi://', 'modelzoo://', 'torchvision://',
    'open-mmlab://', 'openmmlab://', 'mmcls://',
)  # fmt: skip


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_file(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Returns the content of a file of weights.

    Raises:
        UserError: If it cannot be read without running code.
    """
    if filename.endswith('.safetensors'):
        return read_state_dict(filename)
    return read_checkpoint(filename, map_location=map_location or 'cpu')


@CheckpointLoader.register_scheme(prefixes=_ELSEWHERE, force=True)
def refuse(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Refuses an address: weights from there would be unpickled.

    Raises:
        UserError: Always.
    """
    raise UserError(
        f'weights {filename!r}: an address, expected a file: download it yourself and give its path'
    )
