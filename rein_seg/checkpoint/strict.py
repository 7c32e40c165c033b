"""Strict loading with a coverage report, and a fingerprint of tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError


def load_strict(module: nn.Module, state: Mapping[str, Tensor], *, what: str, source: str) -> str:
    """Loads ``state`` into ``module``: every tensor, each of the right shape, none left over.

    Args:
        module: The module to fill. Frozen parts that keep their own weights can hook themselves
            out of its state dict, as `PEFTBackbone` does.
        state: Tensors by name.
        what: Kind of the content, such as ``adapter``, for messages.
        source: Path of the file, for messages.

    Returns:
        The coverage, in one line.

    Raises:
        UserError: If a tensor is missing, unexpected or of another shape; nothing is loaded then.

    Example:
        >>> from torch import nn
        >>> from rein_seg.checkpoint import load_strict
        >>> state = nn.Linear(3, 2).state_dict()
        >>> load_strict(nn.Linear(3, 2), state, what='weights', source='linear.pth')
        'weights from linear.pth: 2/2 tensors, 0 unexpected'
        >>> load_strict(nn.Linear(4, 2), state, what='weights', source='linear.pth')
        Traceback (most recent call last):
        rein_seg.errors.UserError: weights from linear.pth: 1/2 tensors, 0 unexpected. Wrong shape:
        weight is (2, 3), expected (2, 4). The file was made for another encoder, method, head or
        class count.
    """
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in state]
    unexpected = [name for name in state if name not in wanted]
    shapes = [
        f'{name} is {tuple(state[name].shape)}, expected {tuple(wanted[name].shape)}'
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    covered = len(wanted) - len(missing) - len(shapes)
    report = f'{what} from {source}: {covered}/{len(wanted)} tensors, {len(unexpected)} unexpected'
    if missing or unexpected or shapes:
        raise UserError(
            f'{report}.{_listed("missing", missing)}{_listed("unexpected", unexpected)}'
            f'{_listed("wrong shape", shapes)} '
            'The file was made for another encoder, method, head or class count.'
        )
    # every error is known by now, so a failed load leaves the module as it was
    module.load_state_dict(dict(state))
    return report


def tensors_sha256(state: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 of names, shapes, types and bytes, independent of order and file format.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint import tensors_sha256
        >>> tensors_sha256({'a': torch.ones(2), 'b': torch.zeros(1)})[:8]
        '412e3119'
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f'{name}:{tensor.dtype}:{tuple(tensor.shape)};'.encode())
        # as bytes: NumPy has no bfloat16
        digest.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


def _listed(title: str, names: Sequence[str], most: int = 5) -> str:
    if not names:
        return ''
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return f' {title.capitalize()}: {", ".join(names[:most])}{more}.'
