"""Strict loading with a coverage report, and a fingerprint of tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rein_seg.checkpoint.tensors import kind, not_finite, shown
from rein_seg.errors import RunFailed, UserError


def load_strict(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    what: str,
    source: str,
    file: Mapping[str, Tensor] | None = None,
) -> str:
    """Loads ``state`` into ``module``: every tensor, each of the right shape, none left over.

    Args:
        module: The module to fill. Frozen parts that keep their own weights can hook themselves
            out of its state dict, as `PEFTBackbone` does.
        state: Tensors by name.
        what: Kind of the content, such as ``adapter``, for messages.
        source: Path of the file, for messages.
        file: The tensors by the file's own names, where they were renamed, for messages.

    Returns:
        The coverage, in one line.

    Raises:
        UserError: If a tensor is missing, unexpected, of another shape or kind (floating-point or
            whole numbers), or holds NaN or infinite values; nothing is loaded then.

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
    report = check_fit(module.state_dict(), state, what=what, source=source, file=file)
    # every error is known by now, so a failed load leaves the module as it was
    module.load_state_dict(dict(state))
    return report


def check_fit(
    wanted: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    *,
    what: str,
    source: str,
    file: Mapping[str, Tensor] | None = None,
) -> str:
    """Checks tensors against the tensors that they replace; see `load_strict`.

    Args:
        wanted: The model's own tensors by name.
        state: The tensors to load.
        what: Kind of the content, for messages.
        source: Path of the file, for messages.
        file: The tensors by the file's own names.

    Returns:
        The coverage, in one line.

    Raises:
        UserError: If they do not fit.
    """
    missing = [name for name in wanted if name not in state]
    unexpected = [name for name in state if name not in wanted]
    shapes = [
        f'{name} is {tuple(state[name].shape)}, expected {tuple(wanted[name].shape)}'
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    kinds = [
        f'{name} is {_plain(state[name])}, expected {_plain(wanted[name])}'
        for name in wanted
        if name in state and kind(state[name].dtype) != kind(wanted[name].dtype)
    ]
    covered = len(wanted) - len(missing) - len(shapes)
    report = f'{what} from {source}: {covered}/{len(wanted)} tensors, {len(unexpected)} unexpected'
    if missing or unexpected or shapes or kinds:
        raise UserError(
            f'{report}.{_listed("missing", missing)}{_listed("unexpected", unexpected)}'
            f'{_listed("wrong shape", shapes)}{_listed("wrong type", kinds)} '
            'The file was made for another encoder, method, head or class count.'
        )
    # in the model's own type, which has less range than the file's at times
    bad = [name for name, own in wanted.items() if not_finite({name: state[name].to(own.dtype)})]
    if bad:
        bad = not_finite(file or {}) or bad
        raise UserError(
            f'{report}.{_listed("NaN or infinite values in", bad)} Expected numbers: the file is '
            'damaged, or its training diverged; get it again, or take an earlier one.'
        )
    return report


@contextmanager
def fitting(place: str, *, named: bool = False) -> Iterator[None]:
    """Turns whatever a key map raises on tensors of odd shapes or types into a line.

    Args:
        place: Kind and path of the file, put before every message.
        named: Whether a `UserError` raised inside says the place itself.

    Raises:
        UserError: In place of any error inside.

    Example:
        >>> from rein_seg.checkpoint.strict import fitting
        >>> with fitting("encoder 'tiny' from 'x.pth'"):
        ...     {}['pos_embed']
        Traceback (most recent call last):
        rein_seg.errors.UserError: encoder 'tiny' from 'x.pth': its tensors have other names,
        shapes or types than expected (KeyError: 'pos_embed'); give the file of this model
    """
    try:
        yield
    except UserError as error:
        if named:
            raise
        raise UserError(f'{place}: {error}') from error
    except (MemoryError, OSError, RunFailed):
        raise
    except Exception as error:  # key maps read tensors by name and shape without checking each
        raise UserError(
            f'{place}: its tensors have other names, shapes or types than expected '
            f'({type(error).__name__}: {shown(error, 200)}); give the file of this model'
        ) from error


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
    first = ', '.join(shown(name) for name in names[:most])
    return f' {title[0].upper()}{title[1:]}: {first}{more}.'


def _plain(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix('torch.')
