"""Has mmengine read the weights of ``init_cfg=dict(type='Pretrained', ...)`` as we do.

Its own reader unpickles a file, running its code, where PyTorch's safe reader refuses it.
"""

from __future__ import annotations

import re
from typing import Any

from mmengine.model.weight_init import PretrainedInit
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from rein_seg.checkpoint.read import read_state_dict
from rein_seg.checkpoint.strict import check_fit
from rein_seg.checkpoint.tensors import not_finite, shown
from rein_seg.errors import UserError

_ELSEWHERE = (
    'http://', 'https://', 's3://', 'petrel:', 'pavi://', 'modelzoo://', 'torchvision://',
    'open-mmlab://', 'openmmlab://', 'mmcls://',
)  # fmt: skip


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_file(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Returns the tensors of a file of weights by name.

    Raises:
        UserError: If it cannot be read without running code, or holds NaN or infinite values.
    """
    state = read_state_dict(filename)
    bad = not_finite(state)
    if bad:
        raise UserError(
            f'weights file {filename!r}: tensor {shown(bad[0])!r} holds NaN or infinite values, '
            'expected numbers; get it again, or take an earlier one'
        )
    return {name: tensor.to(map_location or 'cpu') for name, tensor in state.items()}


@CheckpointLoader.register_scheme(prefixes=_ELSEWHERE, force=True)
def refuse(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Refuses an address: weights from there would be unpickled.

    Raises:
        UserError: Always.
    """
    raise UserError(
        f'weights {filename!r}: an address, expected a file: download it yourself and give its path'
    )


@WEIGHT_INITIALIZERS.register_module(name='Pretrained', force=True)
class CheckedPretrained(PretrainedInit):
    """mmengine's initialisation from a file, which only warned of tensors that do not fit.

    Args:
        checkpoint: File of weights.
        prefix: Of the names in the file, such as ``decode_head``.
        map_location: As in ``torch.load``.

    Raises:
        UserError: If the file cannot be read, no tensor in it has the name of a tensor of the
            module, or a tensor has another shape or type.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint.pretrained import CheckedPretrained
        >>> torch.save(dict(weight=torch.ones(2, 3), bias=torch.ones(2)), 'linear.pth')
        >>> layer = torch.nn.Linear(3, 2)
        >>> CheckedPretrained('linear.pth')(layer)
        >>> layer.weight.sum().item()
        6.0
    """

    def __call__(self, module: nn.Module) -> None:
        """Checks the tensors and loads them."""
        state = CheckpointLoader.load_checkpoint(self.checkpoint, self.map_location)
        begin = f'{self.prefix.rstrip(".")}.' if self.prefix else ''
        state = {re.sub(r'^module\.', '', name): tensor for name, tensor in state.items()}
        state = {n.removeprefix(begin): t for n, t in state.items() if n.startswith(begin)}
        shared = {name: own for name, own in module.state_dict().items() if name in state}
        if not shared:
            raise UserError(
                f'weights file {self.checkpoint!r} of init_cfg: no tensor has a name of '
                f'{type(module).__name__} (prefix={self.prefix!r}); give its file, or its prefix'
            )
        what = f'init_cfg of {type(module).__name__}'
        check_fit(shared, {name: state[name] for name in shared}, what=what, source=self.checkpoint)
        super().__call__(module)
